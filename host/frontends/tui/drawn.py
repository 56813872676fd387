"""A widget that is a pure function of its width."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

Lines = Iterable[Content]


def nothing(width: int) -> Lines:
    return ()


class Drawn(Widget):
    """Draws the lines that `lines(width)` gives, anew whenever its width changes or it is told to."""

    def __init__(
        self, lines: Callable[[int], Lines] = nothing, *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._lines = lines
        self._drawn: tuple[int, list[Content]] = (0, [])

    def show(self, lines: Callable[[int], Lines]) -> None:
        self._lines = lines
        self.redraw()

    def redraw(self) -> None:
        self._drawn = 0, []
        self.clear_cached_dimensions()
        self.refresh(layout=True)

    def lines(self, width: int) -> list[Content]:
        if self._drawn[0] != width:
            self._drawn = width, list(self._lines(width))
        return self._drawn[1]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines(width)) if width else 0

    def render(self) -> Content:
        return Content("\n").join(self.lines(self.content_size.width)) if self.content_size.width else Content("")


def flow(parts: Iterable[Content], width: int, gap: str = "   ") -> list[Content]:
    """Parts side by side, none broken, in as many lines as they need."""
    lines: list[Content] = []
    for part in parts:
        if lines and lines[-1].cell_length + len(gap) + part.cell_length <= width:
            lines[-1] = lines[-1] + gap + part
        else:
            lines.append(part)
    return lines
