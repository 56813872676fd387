"""A log as an aligned table for a terminal; nothing in it can steer one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from host.core import events as ev
from host.core.events import Recorded
from host.core.text import safe
from host.core.types import Part, Text, Usage, canonical
from host.store.audit import NOBODY, AuditRow, Only, audit_rows

_DETAIL = 240
_ARGUMENTS = 2000
_ACTIONS = {"accept": "accepted", "decline": "declined", "cancel": "cancelled"}
Line = tuple[str, str, str, str]


def show_text(recorded: Sequence[Recorded], verified: bool | None = None, only: Only | None = None) -> str:
    """A line for each event that says something, a few for each call; or the calls of `only`."""
    calls = {row.seq: row for row in audit_rows(recorded) if only is None or only.takes(row)}
    lines = [line for item in recorded for line in _lines(item, calls.get(item.seq), only is None)]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(3)]
    table = [
        f"{seq:>{widths[0]}}  {at:<{widths[1]}}  {what:<{widths[2]}}  {detail}".rstrip()
        for seq, at, what, detail in lines
    ]
    told = [_title(recorded, verified), *table, *_remains(calls.values())]
    return "".join(f"{safe(line)}\n" for line in told)


def _lines(item: Recorded, call: AuditRow | None, all: bool) -> Iterator[Line]:
    at = item.at.replace("T", " ").removesuffix("Z")[:23]
    if call is not None:
        yield str(item.seq), at, "call", safe(f"{call.tool} {canonical(call.arguments)}", _ARGUMENTS)
        for detail in (_allowed(call), _came_of_it(call)):
            yield "", "", "", safe(detail, _DETAIL)
    elif all and (told := _told(item.event)):
        what, detail = told
        yield str(item.seq), at, safe(what, 12), safe(detail, _DETAIL)


def _title(recorded: Sequence[Recorded], verified: bool | None) -> str:
    session = recorded[0].session if recorded else "(no events)"
    word = {True: "verified", False: "DAMAGED: see `agent-host audit verify`", None: "not verified"}[verified]
    count = len(recorded)
    return f"session {session} · {count} event{'s' * (count != 1)} · {word}"


def _remains(rows: Iterable[AuditRow]) -> list[str]:
    unsettled = [row.tool for row in rows if row.unsettled]
    return [f"unknown outcome, not settled: {', '.join(unsettled)}"] if unsettled else []


def _allowed(row: AuditRow) -> str:
    """Under which rule, by whom, when."""
    rules = f"rule {', '.join(row.rules)}" if row.rules else ""
    why = " · ".join(filter(None, (rules, row.reason)))
    answer = ""
    if row.how == "granted":
        answer = f" → granted by {row.by} ahead ({row.grant})"
    elif row.by != NOBODY:
        answer = f" → {_ACTIONS[row.action]} by {row.by} at {row.answered[11:].removesuffix('Z')} ({row.how})"
    return f"{row.verdict}{answer}{f' [{why}]' if why else ''}"


def _came_of_it(row: AuditRow) -> str:
    sent = f"sent at {row.started[11:].removesuffix('Z')}" if row.started else "not sent"
    took = f" after {row.milliseconds} ms" if row.milliseconds else ""
    return f"{sent} → {row.outcome or 'open'}{' UNSETTLED' if row.unsettled else ''}{took}"


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
