"""`host__search_tools`: the tools that are not sent, found by words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread

from host.core.catalog import brief
from host.core.search import Index, keys
from host.core.types import CallResult, ToolSpec

BEST = 8
SAID = 80
PARAMETERS = 8
NOTHING = "No tool matches. Use other words, or name a server of the list to see all of its tools."


@dataclass(frozen=True, slots=True)
class Listing:
    """What can be found now. `about` describes the servers by name, `offered` names what the model has already."""

    specs: Sequence[ToolSpec] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    offered: Collection[str] = ()


class Finder:
    """Searches what `listing` gives. The index is made at the first search, off the loop, and again when the listing
    has changed."""

    def __init__(self, listing: Callable[[], Listing]) -> None:
        self._listing, self._index = listing, Index(())

    async def search(self, arguments: Mapping[str, Any]) -> CallResult:
        """One tool a line; the next request has them."""
        listing = self._listing()
        if self._index.keys != keys(listing.specs, listing.about):
            self._index = await to_thread.run_sync(Index, listing.specs, listing.about, self._index)
        found = self._index.search(
            arguments["query"], arguments.get("server"), arguments.get("k", BEST), listing.offered
        )
        lines = [line(spec, spec.name in listing.offered) for spec in found.specs] or [NOTHING]
        if found.more:
            lines.append(f"{found.more} more matched.")
        text = {"type": "text", "text": "\n".join(lines)}
        return CallResult(content=(text,), found=tuple(spec.name for spec in found.specs))


def line(spec: ToolSpec, offered: bool) -> str:
    """The name, then what it does and what it takes; `?` marks what may be left out."""
    if offered:
        return f"{spec.name} - offered already"
    required = spec.input_schema.get("required")
    needed = required if isinstance(required, list) else []
    properties = spec.input_schema.get("properties")
    names = list(properties) if isinstance(properties, Mapping) else []
    takes = [brief(name, 40) + ("" if name in needed else "?") for name in names[:PARAMETERS]]
    if len(names) > PARAMETERS:
        takes.append("…")
    about = brief(spec.description or spec.title or "", SAID)
    return f"{spec.name} - {about} ({', '.join(takes)})" if about else f"{spec.name} ({', '.join(takes)})"
