"""What is odd about a server, in words for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from host.servers.logs import ServerLog
from host.servers.memory import Memory

if TYPE_CHECKING:
    from host.servers.connection import Connection

SLOW_SECONDS = 5.0
TRACEBACK = "Traceback (most recent call last)"
PROBED = {
    "died": "it does not survive server/discover: it exits, and is started a second time to be spoken to as before",
    "silent": "it says nothing to server/discover, which costs time when it is first seen",
}


def quirks(log: ServerLog, memory: Memory, connection: Connection | None, aside: Mapping[str, str]) -> Iterator[str]:
    """Of the server as it was seen so far: `connection` is its life, `aside` are the tools that are not offered."""
    if memory.spoken is not None and memory.spoken.probe in PROBED:
        yield PROBED[memory.spoken.probe]
    if memory.changed:
        yield memory.changed
    if connection is not None:
        yield from _of_a_life(connection)
    yield from (f"the tool {name} is set aside: {why}" for name, why in aside.items())
    yield from (f"{what} ({count} times)" if count > 1 else what for what, count in log.odd.items())
    if log.noisy:
        yield f"{log.noisy} lines on its stdout were not messages; the last: {log.noise[-1]}"
    if log.dropped:
        yield f"{log.dropped} of its notifications were dropped: they came too fast"
    if any(TRACEBACK in line for line in log.stderr):
        yield f"it wrote a traceback to stderr; its last line there: {log.last()}"


def _of_a_life(connection: Connection) -> Iterator[str]:
    if connection.ready and not connection.says:
        yield "it does not say its name and version"
    if connection.took > SLOW_SECONDS:
        yield f"it took {connection.took:.1f} s until it had listed its tools"
    if connection.trouble:
        yield connection.trouble
