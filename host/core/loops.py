"""Calls that go round in circles: the same tool, the same arguments, the same end."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from host.core import events as ev
from host.core.events import plain
from host.core.types import ToolCall, canonical

TOLD = 3
NEVER_RAN = ("denied", "declined", "interrupted")


@dataclass(frozen=True, slots=True)
class Circle:
    """How a call ended last, in how many steps of the turn in a row, and which was the last."""

    end: str
    times: int
    step: int


def circle(before: Circle | None, finished: ev.CallFinished, step: int) -> Circle:
    """The circle after one more end. A call that never ran changed nothing, so it goes on the round. Calls of one step
    were made side by side: they are one time round."""
    more = before is not None and before.step < step
    if before is not None and finished.outcome in NEVER_RAN:
        return Circle(before.end, before.times + more, step)
    what = [finished.outcome, finished.cause, plain(finished.content), finished.structured, plain(finished.outline)]
    end = sha256(canonical(what).encode("utf-8", "surrogatepass")).hexdigest()
    return Circle(end, before.times + more if before is not None and before.end == end else 1, step)


def name(call: ToolCall) -> str:
    """The same for two calls of the same tool with the same arguments."""
    return f"{call.name} {call.raw if call.malformed else canonical(call.arguments)}"
