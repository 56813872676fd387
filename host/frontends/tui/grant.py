"""What a yes is to cover beside this one call, and for how long: chosen with the arrows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from host.core.events import Asked
from host.frontends.tui.cells import Lines, styled
from host.frontends.tui.draw import wrapped
from host.frontends.tui.drawn import Drawn, flow

SCOPES = (("session", "this session"), ("project", "this project"), ("me", "me, wherever I work"))
LONGEST = 80


class Terms(Drawn, can_focus=True):
    """The terms of a grant. `remember` is what the answer would say."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cover(1)", "What it covers", show=False),
        Binding("up,k", "cover(-1)", "What it covers", show=False),
        Binding("right,tab", "scope(1)", "How long", show=False),
        Binding("left", "scope(-1)", "How long", show=False),
    ]

    def __init__(self, asked: Asked) -> None:
        super().__init__(self._draw, classes="terms")
        self.covers = covers(asked.arguments or {})
        self.cover = self.scope = 0

    @property
    def remember(self) -> dict[str, Any]:
        return {"for": SCOPES[self.scope][0], "arguments": self.covers[self.cover][1]}

    def action_cover(self, step: int) -> None:
        self.cover = (self.cover + step) % len(self.covers)
        self.redraw()

    def action_scope(self, step: int) -> None:
        self.scope = (self.scope + step) % len(SCOPES)
        self.redraw()

    def _draw(self, width: int) -> Lines:
        lines = [styled("GRANT  which calls of this tool, ↑ ↓", "$quiet")]
        for number, (words, _) in enumerate(self.covers):
            mark = "(•) " if number == self.cover else "( ) "
            lines += [styled("       " + mark) + line for line in wrapped(words, width - 11)][:1]
        scopes = [("(•) " if n == self.scope else "( ) ") + words for n, (_, words) in enumerate(SCOPES)]
        lines.append(styled("       for how long, ← →", "$quiet"))
        return [*lines, *(styled("       ") + line for line in flow(map(styled, scopes), width - 7))]


def covers(arguments: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What a grant may cover: exactly this call, or every call in which one argument is like this one's."""
    found: list[tuple[str, Any]] = [("exactly these arguments", "exact")]
    for name, value in arguments.items():
        path = f"$['{name}']" if name.startswith("$") else name
        if isinstance(value, bool) or (isinstance(value, str) and len(value) <= LONGEST and "${" not in value):
            found.append((f"whenever {name} is {value}", {path: {"equals": value}}))
        elif isinstance(value, (int, float)):
            found.append((f"whenever {name} is at most {value}", {path: {"max": value}}))
    return found
