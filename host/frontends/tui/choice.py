"""A field in which one, several or a yes is chosen: marks that are told apart without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from host.frontends.tui.cells import Lines, joined
from host.frontends.tui.drawn import Drawn, flow


class Choice(Drawn, can_focus=True):
    """Arrows move, Space chooses. `many` may hold several marks, else the new one takes the old one's place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "move(-1)", "Previous", show=False),
        Binding("right,down", "move(1)", "Next", show=False),
        Binding("space,enter", "choose", "Choose", show=False),
    ]

    def __init__(self, choices: Sequence[tuple[Any, str]], chosen: Sequence[Any], many: bool) -> None:
        super().__init__(self._draw, classes="choice")
        self.choices = choices
        self.many = many
        self.marked = [value in chosen for value, _ in choices]
        self.place = self.marked.index(True) if True in self.marked else 0

    @property
    def value(self) -> list[Any]:
        return [value for (value, _), marked in zip(self.choices, self.marked, strict=True) if marked]

    def _draw(self, width: int) -> Lines:
        marks = ("[ ]", "[x]") if self.many else ("( )", "(•)")
        parts = []
        for number, ((_, title), marked) in enumerate(zip(self.choices, self.marked, strict=True)):
            here = self.has_focus and number == self.place
            style = "reverse" if here else "bold" if marked else ""
            part = joined((marks[marked], "$accent" if marked else "$quiet"), " ", (title, style))
            parts.append(part.truncate(width, ellipsis=True))
        return flow(parts, width)

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def action_move(self, step: int) -> None:
        self.place = (self.place + step) % len(self.choices)
        self.redraw()

    def action_choose(self) -> None:
        before = self.marked[self.place]
        if not self.many:
            self.marked = [False] * len(self.choices)
        self.marked[self.place] = not before if self.many else True
        self.redraw()
