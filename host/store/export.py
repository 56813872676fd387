"""A session for elsewhere: as a document to read, as one JSON object, as JSON lines, as records for an audit. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from host import __version__
from host.core import events as ev
from host.core.events import Recorded
from host.core.spans import Spans, otlp
from host.core.text import safe, safe_json
from host.core.types import Part, Text, ToolCall

# What a masked record keeps: fields that name, number and judge; of a message's parts, what they are.
_KEPT = {
    "v", "session", "seq", "at", "kind", "profile", "model", "servers", "mode", "host", "stop", "usage", "request",
    "code", "call_id", "tool", "server", "remote_name", "verdict", "rules", "effect", "open", "digest", "grantable",
    "request_id", "about", "step", "action", "by", "round", "key", "outcome", "is_error", "milliseconds", "cause",
    "found", "added", "removed", "changed", "through_seq", "target",
}  # fmt: skip
_NAMES = {"kind", "id", "name", "maker"}


def export_json(recorded: Sequence[Recorded]) -> str:
    """The session as one JSON object: its id and its events, as they are printed live."""
    session = recorded[0].session if recorded else ""
    events = [json.loads(ev.envelope(item)) for item in recorded]
    return safe_json(ev.dumps({"v": ev.VERSION, "session": session, "events": events}).decode()) + "\n"


def export_jsonl(recorded: Iterable[Recorded]) -> str:
    """The session as its events, one to a line, as they are printed live."""
    return "".join(safe_json(ev.envelope(item).decode()) + "\n" for item in recorded)


def export_records(recorded: Iterable[Recorded]) -> str:
    """The session as records for an audit: one canonical line each, keys sorted, all of it printable ASCII, so that
    nothing in it can end a line, begin another or steer a terminal."""
    return "".join(f"{_ascii(json.loads(ev.envelope(item)))}\n" for item in recorded)


def _ascii(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).replace("\x7f", "\\u007f")


def export_spans(recorded: Iterable[Recorded]) -> str:
    """The session as OpenTelemetry spans: one line, a body as a collector takes it (OTLP, JSON)."""
    spans = Spans()
    ended = [span for item in recorded if (span := spans.take(item))]
    return _ascii(otlp(ended, {"service.name": "agent-host"}, __version__)) + "\n" if ended else ""


def masked(record: str) -> str:
    """A line of `export_records` without what was said and sent: each text in it as its length, each number as such."""
    body = json.loads(record)
    return _ascii({key: value if key in _KEPT else _mask(value, key == "parts") for key, value in body.items()})


def _mask(value: Any, parts: bool = False) -> Any:
    match value:
        case dict():
            return {k: v if parts and k in _NAMES else _mask(v) for k, v in value.items()}
        case list():
            return [_mask(item, parts) for item in value]
        case str():
            return f"⟦text {len(value)}⟧"
        case bool() | None:
            return value
    return "⟦number⟧"


def export_markdown(recorded: Sequence[Recorded]) -> str:
    """The session as a document. Words of outside are quoted or fenced, so that none can pass for the document's."""
    title = safe(recorded[0].session) if recorded else "(no events)"
    names: dict[str, str] = {}
    blocks = [f"# Session {title}", *(block for item in recorded for block in _blocks(item, names))]
    return safe("\n\n".join(blocks), keep_newlines=True) + "\n"


def _blocks(item: Recorded, names: dict[str, str]) -> Iterator[str]:
    """The paragraphs of one event. `names` are those of the calls so far."""
    match item.event:
        case ev.SessionOpened() as opened:
            yield f"Began {_code(item.at)}, profile {_code(opened.profile)}, model {_code(opened.model)}."
        case ev.UserSaid() as said:
            yield f"## User, {_code(item.at)}"
            yield _quoted(said.parts)
        case ev.ModelSaid() as said:
            yield f"## Model {_code(said.model)}, {said.stop}, {said.usage.input} tokens in, {said.usage.output} out"
            names |= {part.id: part.name for part in said.parts if isinstance(part, ToolCall)}
            if any(isinstance(part, Text) for part in said.parts):
                yield _quoted(said.parts)
            if said.error:
                yield f"Error: {_code(said.error)}"
        case ev.CallDecided() as decided:
            rules = ", ".join(decided.rules)
            why = ": ".join(filter(None, (rules, decided.reason)))
            yield f"### Call {_code(decided.tool)}: {decided.verdict}{f' ({_code(why)})' if why else ''}"
            yield _fenced(json.dumps(decided.arguments, ensure_ascii=False, indent=2), "json")
        case ev.Asked() as asked if asked.about != "approval":
            yield f"### Question of {_code(asked.server)} ({asked.about})"
            yield _fenced(asked.message or asked.url or asked.reason or "")
        case ev.Answered() as answer:
            yield f"Answer: **{answer.action}** by {_code(answer.by)}{_and(answer.reason)}"
            if answer.content is not None:
                yield _fenced(json.dumps(answer.content, ensure_ascii=False, indent=2), "json")
        case ev.CallFinished() as end:
            name = _code(names.get(end.call_id, end.call_id))
            yield f"Result of {name}: **{end.outcome}**, {end.milliseconds} ms{_and(end.reason)}"
            if end.content:
                yield _fenced("\n".join(map(_block, end.content)))
            if end.structured is not None:
                yield _fenced(json.dumps(end.structured, ensure_ascii=False, indent=2), "json")
        case ev.SettingsChanged() as changed:
            yield f"Settings: {_code(json.dumps(changed.changes, ensure_ascii=False))} by {_code(changed.by)}"
        case ev.TurnEnded() as ended:
            yield f"Turn ended: **{ended.reason}**{_and(ended.error)}"
        case ev.Erased() as erased:
            yield f"Event {erased.target} erased by {_code(erased.by)}{_and(erased.why)}"
        case ev.Compacted() as compacted:
            yield f"Compacted through event {compacted.through_seq}:"
            yield _fenced(compacted.summary)
        case ev.Unknown() as unknown:
            yield f"Event {item.seq} {_code(unknown.kind)}: {_code(json.dumps(unknown.body, ensure_ascii=False))}"


def _and(reason: str | None) -> str:
    return f": {_code(reason)}" if reason else ""


def _block(block: ev.Json) -> str:
    return str(block["text"]) if block.get("type") == "text" and "text" in block else json.dumps(block)


def _quoted(parts: Iterable[Part]) -> str:
    words = "\n".join(part.text for part in parts if isinstance(part, Text))
    return "\n".join(f"> {line}".rstrip() for line in words.split("\n"))


def _fenced(text: str, language: str = "") -> str:
    fence = _ticks(text, 3)
    return f"{fence}{language}\n{text}\n{fence}"


def _code(text: str) -> str:
    text = safe(text)
    ticks = _ticks(text, 1)
    return f"{ticks} {text} {ticks}" if "`" in text or not text else f"{ticks}{text}{ticks}"


def _ticks(text: str, least: int) -> str:
    """A run of backticks longer than any in the text."""
    return "`" * max([least, *(len(run) + 1 for run in re.findall("`+", text))])
