"""Where text becomes cells of the terminal, and nowhere else: all of it is made safe here, and none of it is markup.

Widgets draw a `Line`, which has no other maker; mypy and `tests/test_layers.py` keep it so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias, cast

from textual.content import Content
from textual.widgets.option_list import Option

from host.core.text import safe


class Line(Protocol):
    """Text that was made safe, with its styles. The terminal library's own class stands behind it, which would also
    take a plain text for a line; through this one nobody can add one."""

    @property
    def plain(self) -> str: ...
    @property
    def cell_length(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, part: int | slice) -> Line: ...
    def __add__(self, other: Line) -> Line: ...
    def join(self, lines: Iterable[Line]) -> Line: ...
    def truncate(self, max_width: int, *, ellipsis: bool = False, pad: bool = False) -> Line: ...
    def wrap(self, width: int) -> Lines: ...
    def fold(self, width: int) -> Lines: ...
    def stylize(self, style: str) -> Line: ...


Lines: TypeAlias = list[Line]
Part: TypeAlias = "Line | str | tuple[str, str]"
Drawing: TypeAlias = "Content"  # what a widget gives to be drawn; a name for the type alone, it cannot be called


def styled(text: str, style: str = "", limit: int | None = None) -> Line:
    """Text on one line, whatever stands in it; longer than `limit` it ends in `…`."""
    return cast(Line, Content.styled(safe(text, limit), style))


def joined(*parts: Part) -> Line:
    """Parts in a row: lines, plain texts, texts with a style."""
    return cast(Line, Content.assemble(*map(_content, parts)))


def paragraphs(text: str, style: str = "") -> Lines:
    """A text with line ends of its own, line by line."""
    return [styled(line, style) for line in text.replace("\r\n", "\n").expandtabs(4).split("\n")]


def drawing(lines: Iterable[Line]) -> Drawing:
    """Lines under each other."""
    return _content(BREAK.join(lines))


def options(lines: Iterable[Line], disabled: bool = False) -> list[Option]:
    """Lines as what can be chosen from a list."""
    return [Option(_content(line), disabled=disabled) for line in lines]


def _content(part: Part) -> Content:
    match part:
        case str():
            part = styled(part)
        case (text, style):
            part = styled(text, style)
    return cast(Content, part)


BLANK = styled("")
BREAK = cast(Line, Content("\n"))
