"""Where the data of a session came from, and through which call it could leave: labels, not proofs.

What an open tool gives, or a resource, may have been written by anybody (`untrusted`); what a closed tool gives is
`private`. A call that can carry data out is where the two meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from host.core.events import CallDecided
from host.core.types import Message, Text, ToolResult

HOST = "host"
SHORTEST = 6
MOST = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A tool whose results the model has read."""

    server: str
    trust: Literal["private", "untrusted"]


def noted(sources: Mapping[str, Source], decided: CallDecided) -> dict[str, Source]:
    """The sources after one more result. What was untrusted once stays so."""
    if decided.server == HOST:
        if decided.remote_name != "read_resource":
            return dict(sources)
        return {**sources, decided.tool: Source(str(decided.arguments.get("server")), "untrusted")}
    before = sources.get(decided.tool)
    open = decided.open or (before is not None and before.trust == "untrusted")
    return {**sources, decided.tool: Source(decided.server, "untrusted" if open else "private")}


def flows(
    sources: Mapping[str, Source], messages: Sequence[Message], server: str, arguments: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What could leave with a call to `server` that can carry data out: once something untrusted was read, every source
    but the server's own, each with the arguments that stand literally in what it gave."""
    if all(source.trust == "private" for source in sources.values()):
        return []
    texts = [(path, text) for path, text in _texts(arguments, "$") if len(text) >= SHORTEST][:MOST]
    literal: dict[str, set[str]] = {}
    for tool, given in _results(messages):
        literal.setdefault(tool, set()).update(path for path, text in texts if text in given)
    return [
        {"tool": tool, "server": source.server, "trust": source.trust, "arguments": sorted(literal.get(tool, ()))}
        for tool, source in sources.items()
        if source.server != server
    ]


def _results(messages: Iterable[Message]) -> Iterator[tuple[str, str]]:
    """Each text that a tool gave, with the tool's name."""
    names: dict[str, str] = {}
    for message in messages:
        names |= {call.id: call.name for call in message.calls}
        for part in message.parts:
            if isinstance(part, ToolResult):
                yield from ((names.get(part.call_id, ""), t.text) for t in part.content if isinstance(t, Text))


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{number}]")
