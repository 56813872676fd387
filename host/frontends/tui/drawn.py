"""A widget that is a pure function of its width."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import OptionList

from host.frontends.tui.cells import Drawing, Line, Lines, drawing, joined, options, styled


def nothing(width: int) -> Lines:
    return []


class Drawn(Widget):
    """Draws the lines that `lines(width)` gives, anew whenever its width changes or it is told to."""

    def __init__(
        self, lines: Callable[[int], Iterable[Line]] = nothing, *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._lines = lines
        self._drawn: tuple[int, Lines] = (0, [])
        self._most: int | None = None

    def show(self, lines: Callable[[int], Iterable[Line]]) -> None:
        self._lines = lines
        self.redraw()

    def redraw(self) -> None:
        self._drawn = 0, []
        self.clear_cached_dimensions()
        self.refresh(layout=True)

    def cut(self, most: int | None) -> None:
        """Draw so many lines at most; the last one tells of those that are left out."""
        if most != self._most:
            self._most = most
            self.redraw()

    @property
    def whole(self) -> int:
        """How many lines there are, uncut."""
        return len(self._drawn[1])

    def lines(self, width: int) -> Lines:
        if self._drawn[0] != width:
            self._drawn = width, list(self._lines(width))
        lines = self._drawn[1]
        if self._most is None or len(lines) <= self._most:
            return lines
        left = len(lines) - self._most + 1
        return [*lines[: self._most - 1], styled(f"▾ {left} more lines in a taller terminal", "$warning")]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines(width)) if width else 0

    def render(self) -> Drawing:
        return drawing(self.lines(self.content_size.width) if self.content_size.width else ())


class Rows(OptionList):
    """Lines to choose one from."""

    def __init__(self) -> None:
        super().__init__(markup=False)

    def fill(self, lines: Sequence[Line], nothing: str) -> None:
        """These lines, the first one chosen; `nothing` is said where there are none."""
        self.clear_options()
        self.add_options(options(lines) or options([styled(nothing, "$quiet")], disabled=True))
        self.highlighted = 0 if lines else None


def flow(parts: Iterable[Line], width: int, gap: str = "   ") -> Lines:
    """Parts side by side, none broken, in as many lines as they need."""
    lines: Lines = []
    for part in parts:
        if lines and lines[-1].cell_length + len(gap) + part.cell_length <= width:
            lines[-1] = joined(lines[-1], gap, part)
        else:
            lines.append(part)
    return lines
