"""Where text becomes cells of the terminal, and nowhere else: all of it is made safe here, and none of it is markup.

Widgets draw a `Line`, which has no other maker; `tests/test_layers.py` keeps it so.
"""

from __future__ import annotations

from typing import TypeAlias

from textual.content import Content

from host.core.text import safe

Line: TypeAlias = "Content"  # a name for the type alone: it cannot be called
Lines: TypeAlias = "list[Content]"
Part: TypeAlias = "Content | str | tuple[str, str]"
BLANK = Content("")
BREAK = Content("\n")


def styled(text: str, style: str = "", limit: int | None = None) -> Line:
    """Text on one line, whatever stands in it; longer than `limit` it ends in `…`."""
    return Content.styled(safe(text, limit), style)


def joined(*parts: Part) -> Line:
    """Parts in a row: lines, plain texts, texts with a style."""
    return Content.assemble(*(part if isinstance(part, Content) else _line(part) for part in parts))


def paragraphs(text: str, style: str = "") -> Lines:
    """A text with line ends of its own, line by line."""
    return [styled(line, style) for line in text.replace("\r\n", "\n").expandtabs(4).split("\n")]


def _line(part: str | tuple[str, str]) -> Line:
    return styled(part) if isinstance(part, str) else styled(*part)
