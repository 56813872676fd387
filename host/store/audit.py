"""A log for a person who was not there: who wished what, who allowed it, what came of it. Pure, but for `load`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from host.core import events as ev
from host.core.events import Recorded
from host.core.text import safe
from host.core.types import Part, Text, ToolCall, Usage, canonical
from host.store.export import export_json, export_jsonl, export_markdown
from host.store.log import Row, read_log

__all__ = ["AuditRow", "audit_rows", "export_json", "export_jsonl", "export_markdown", "load", "show_text"]

NOBODY = "—"
_DETAIL = 240


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One call. `arguments` as they were sent, else as decided or wished. `by` (user, host or —) answered, `how`:
    once, remembered (also: an earlier answer held) or edited. `outcome` is empty while the call is open;
    `unsettled`: it was sent, nobody knows what came of it, and nobody said."""

    seq: int
    at: str
    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    verdict: str = NOBODY
    rules: tuple[str, ...] = ()
    reason: str = ""
    by: str = NOBODY
    how: str = ""
    outcome: str = ""
    milliseconds: int = 0
    key: str = ""
    unsettled: bool = False


def load(folder: Path, session: str) -> list[Recorded]:
    """The events of a session. One whose body was erased, or cannot be read, is an Unknown that says so."""
    return [Recorded(session, row.seq, row.at, _event(row)) for row in read_log(folder, session)]


def _event(row: Row) -> ev.Event:
    if not row.body:
        return ev.Unknown(row.kind, {"erased": True})
    try:
        return ev.decode(row.kind, row.body)
    except (ev.BadMessage, ValueError, RecursionError) as error:
        return ev.Unknown(row.kind, {"unreadable": str(error)})


def audit_rows(recorded: Iterable[Recorded]) -> list[AuditRow]:
    """One row per call, in the order in which they were first decided or ended."""
    ledger = _Ledger()
    for item in recorded:
        ledger.take(item)
    return ledger.rows


@dataclass(slots=True)
class _Ledger:
    """The calls of a log as they stand after the events so far. A provider may use an id again in a later step."""

    rows: list[AuditRow] = field(default_factory=list)
    current: dict[str, int] = field(default_factory=dict)
    wished: dict[str, ToolCall] = field(default_factory=dict)
    decided: dict[str, ev.CallDecided] = field(default_factory=dict)
    asked: dict[str, ev.Asked] = field(default_factory=dict)
    remembered: set[tuple[str, str, str, str]] = field(default_factory=set)

    def take(self, item: Recorded) -> None:
        match item.event:
            case ev.ModelSaid() as said:
                self.wished = {part.id: part for part in said.parts if isinstance(part, ToolCall)}
                self.current, self.decided, self.asked = {}, {}, {}
            case ev.CallDecided() as decided:
                self._decided(item, decided)
            case ev.Asked(about="approval") as asked:
                self.asked[asked.request_id] = asked
            case ev.Answered() as answered if answered.request_id in self.asked:
                self._answered(item, self.asked[answered.request_id], answered)
            case ev.CallStarted() as started:
                self._set(item, started.call_id, arguments=started.arguments, key=started.key)
            case ev.CallFinished() as end:
                row = self._set(item, end.call_id, outcome=end.outcome, milliseconds=end.milliseconds)
                self._set(
                    item,
                    end.call_id,
                    unsettled=end.outcome == "unknown",
                    reason="; ".join(dict.fromkeys(filter(None, (row.reason, end.cause, end.reason)))),
                )
            case ev.SettingsChanged(changes=changes):
                self._changed(changes)

    def _set(self, item: Recorded, call_id: str, **changes: Any) -> AuditRow:
        if call_id not in self.current:
            wish = self.wished.get(call_id)
            self.current[call_id] = len(self.rows)
            tool, arguments = (wish.name, wish.arguments) if wish else ("?", {})
            self.rows.append(AuditRow(item.seq, item.at, call_id, tool, arguments))
        place = self.current[call_id]
        self.rows[place] = replace(self.rows[place], **changes)
        return self.rows[place]

    def _decided(self, item: Recorded, decided: ev.CallDecided) -> None:
        self.decided[decided.call_id] = decided
        row = self._set(
            item,
            decided.call_id,
            seq=item.seq,
            at=item.at,
            tool=decided.tool,
            arguments=decided.arguments,
            verdict=decided.verdict,
            rules=decided.rules,
            reason=decided.reason,
        )
        if decided.verdict == "allow" and row.by == NOBODY and _grant(decided, decided.arguments) in self.remembered:
            self._set(item, decided.call_id, by="user", how="remembered")

    def _answered(self, item: Recorded, asked: ev.Asked, answered: ev.Answered) -> None:
        if asked.call_id is None:
            return
        decided = self.decided.get(asked.call_id)
        sent = answered.content if answered.content is not None else asked.arguments or {}
        accepted = answered.action == "accept"
        edited = accepted and canonical(sent) != canonical(asked.arguments or {})
        how = "edited" if edited else "remembered" if answered.remember else "once"
        if accepted and answered.remember and decided:
            self.remembered.add(_grant(decided, sent))
        said = "; ".join(filter(None, (decided.reason if decided else "", answered.reason)))
        self._set(item, asked.call_id, by=answered.by, how=how, reason=said)

    def _changed(self, changes: Mapping[str, Any]) -> None:
        if "resumed" in changes:  # decisions and answers that started nothing did not outlive their process
            for place in self.current.values():
                if not self.rows[place].key and not self.rows[place].outcome:
                    self.rows[place] = replace(self.rows[place], by=NOBODY, how="")
        if settled := changes.get("settled"):
            self.rows = [replace(row, unsettled=False) if row.key == settled else row for row in self.rows]


def _grant(decided: ev.CallDecided, arguments: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return decided.server, decided.remote_name, decided.digest, canonical(arguments)


def show_text(recorded: Sequence[Recorded], verified: bool | None = None) -> str:
    """The log as an aligned table for a terminal; nothing in it can steer one."""
    calls = {row.seq: row for row in audit_rows(recorded)}
    lines: list[tuple[str, str, str, str]] = []
    for item in recorded:
        told = ("call", _call(calls[item.seq])) if item.seq in calls else _told(item.event)
        if told is not None:
            what, detail = told
            at = item.at.replace("T", " ").removesuffix("Z")
            lines.append((str(item.seq), safe(at, 23), safe(what, 12), safe(detail, _DETAIL)))
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(3)]
    table = [
        f"{seq:>{widths[0]}}  {at:<{widths[1]}}  {what:<{widths[2]}}  {detail}".rstrip()
        for seq, at, what, detail in lines
    ]
    return "\n".join([_title(recorded, verified), *table, *_remains(calls.values())]) + "\n"


def _title(recorded: Sequence[Recorded], verified: bool | None) -> str:
    session = safe(recorded[0].session) if recorded else "(no events)"
    word = {True: "verified", False: "DAMAGED: see `agent-host audit verify`", None: "not verified"}[verified]
    count = len(recorded)
    return f"session {session} · {count} event{'s' * (count != 1)} · {word}"


def _remains(rows: Iterable[AuditRow]) -> list[str]:
    unsettled = [safe(row.tool) for row in rows if row.unsettled]
    return [f"unknown outcome, not settled: {', '.join(unsettled)}"] if unsettled else []


def _call(row: AuditRow) -> str:
    answer = f" → {row.by}{f' ({row.how})' if row.how else ''}" if row.by != NOBODY else ""
    outcome = f"{row.outcome or 'open'}{' UNSETTLED' if row.unsettled else ''}"
    took = f" {row.milliseconds} ms" if row.milliseconds else ""
    why = " · ".join(filter(None, (", ".join(row.rules), row.reason)))
    return (
        f"{row.tool} {row.verdict}{answer} → {outcome}{took}  {canonical(row.arguments)}{f'  [{why}]' if why else ''}"
    )


def _told(event: ev.Event) -> tuple[str, str] | None:
    """What a line says of an event that is no call; None for one that a call's line tells."""
    match event:
        case ev.SessionOpened():
            return "opened", f"{event.profile} · {event.model} · {event.mode} · {', '.join(event.servers)}"
        case ev.UserSaid():
            return "prompt", _words(event.parts)
        case ev.ModelSaid():
            took = event.request.get("milliseconds")
            parts = (event.model, _usage(event.usage), f"{took} ms" if took else "", event.stop, event.error)
            return "model", " · ".join(filter(None, parts))
        case ev.Asked():
            about = event.message or event.url or event.reason or ""
            return "question", " ".join(filter(None, (event.about, event.tool or event.server, about)))
        case ev.Answered():
            content = canonical(event.content) if event.content is not None else ""
            kept = f"remember {canonical(event.remember)}" if event.remember else ""
            return "answer", " ".join(filter(None, (event.action, f"by {event.by}", content, kept, event.reason)))
        case ev.CatalogChanged():
            sides = ("added", "removed", "changed", "quarantined")
            return "catalog", " ".join(
                [event.server, *(f"{s}: {', '.join(v)}" for s in sides if (v := getattr(event, s)))]
            )
        case ev.Compacted():
            return "compacted", f"through {event.through_seq} · {_usage(event.usage)}"
        case ev.SettingsChanged():
            return "settings", f"{canonical(event.changes)} by {event.by}"
        case ev.TurnEnded():
            return "turn end", " · ".join(filter(None, (event.reason, _usage(event.usage), event.error)))
        case ev.Erased():
            return "erased", f"event {event.target} by {event.by}: {event.why}"
        case ev.Unknown():
            return event.kind, canonical(event.body)
    return None


def _usage(usage: Usage) -> str:
    cached = f" ({usage.cache_read} cached)" if usage.cache_read else ""
    cost = f" · ${usage.usd:.4f}" if usage.usd else ""
    return f"{usage.input} in{cached} · {usage.output} out{cost}"


def _words(parts: Iterable[Part]) -> str:
    return "\n".join(part.text if isinstance(part, Text) else f"[{part.kind}]" for part in parts)
