"""A log for a person who was not there: who wished what, who allowed it, what came of it. Pure, but for `load`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from host.core import events as ev
from host.core.events import Recorded
from host.core.types import ToolCall, canonical
from host.store.log import Row, read_log

NOBODY = "—"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One call: who allowed what, when, under which rule and grant, and what came of it.

    `arguments` as they were sent, else as decided or wished. `by` (user, host or —) did `action`, `how`: once,
    remembered, edited, or granted: an answer given before (`grant`) held. `outcome` is empty while the call is
    open; `unsettled`: it was sent, nobody knows what came of it, and nobody said."""

    session: str
    seq: int
    at: str
    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    server: str = ""
    remote_name: str = ""
    effect: str = ""
    verdict: str = NOBODY
    rules: tuple[str, ...] = ()
    reason: str = ""
    action: str = ""
    by: str = NOBODY
    how: str = ""
    answered: str = ""
    grant: str = ""
    started: str = ""
    outcome: str = ""
    milliseconds: int = 0
    key: str = ""
    unsettled: bool = False


@dataclass(frozen=True, slots=True)
class Only:
    """Which calls are wanted: exact globs on server and on the tool's own or exposed name, and an outcome."""

    server: str = "*"
    tool: str = "*"
    outcome: str = ""

    def takes(self, row: AuditRow) -> bool:
        tools = (row.tool, row.remote_name)
        return (
            fnmatchcase(row.server, self.server)
            and any(fnmatchcase(tool, self.tool) for tool in tools)
            and self.outcome in ("", row.outcome or "open")
        )


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
                before = self._set(item, started.call_id, arguments=started.arguments, key=started.key)
                self._set(item, started.call_id, started=before.started or item.at)
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
            self.rows.append(AuditRow(item.session, item.seq, item.at, call_id, tool, arguments))
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
            server=decided.server,
            remote_name=decided.remote_name,
            effect=decided.effect,
            verdict=decided.verdict,
            rules=decided.rules,
            reason=decided.reason,
        )
        if decided.grant and row.by == NOBODY:
            self._set(item, decided.call_id, by="user", how="granted", grant=decided.grant)

    def _answered(self, item: Recorded, asked: ev.Asked, answered: ev.Answered) -> None:
        if asked.call_id is None:
            return
        decided = self.decided.get(asked.call_id)
        sent = answered.content if answered.content is not None else asked.arguments or {}
        accepted = answered.action == "accept"
        edited = accepted and canonical(sent) != canonical(asked.arguments or {})
        how = "edited" if edited else "remembered" if accepted and answered.remember else "once"
        said = "; ".join(filter(None, (decided.reason if decided else "", answered.reason)))
        self._set(item, asked.call_id, action=answered.action, by=answered.by, how=how, reason=said, answered=item.at)

    def _changed(self, changes: Mapping[str, Any]) -> None:
        if "resumed" in changes:  # decisions and answers that started nothing did not outlive their process
            for place in self.current.values():
                if not self.rows[place].key and not self.rows[place].outcome:
                    self.rows[place] = replace(self.rows[place], action="", by=NOBODY, how="", answered="")
        if settled := changes.get("settled"):
            self.rows = [replace(row, unsettled=False) if row.key == settled else row for row in self.rows]
