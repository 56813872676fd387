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
    """How a call ended last, and how often in a row."""

    end: str
    times: int


def circle(before: Circle | None, finished: ev.CallFinished) -> Circle:
    """The circle after one more end. A call that never ran changed nothing, so it goes on the round."""
    if before is not None and finished.outcome in NEVER_RAN:
        return Circle(before.end, before.times + 1)
    what = [finished.outcome, finished.cause, plain(finished.content), finished.structured, plain(finished.outline)]
    end = sha256(canonical(what).encode("utf-8", "surrogatepass")).hexdigest()
    return Circle(end, before.times + 1 if before is not None and before.end == end else 1)


def name(call: ToolCall) -> str:
    """The same for two calls of the same tool with the same arguments."""
    return f"{call.name} {call.raw if call.malformed else canonical(call.arguments)}"
