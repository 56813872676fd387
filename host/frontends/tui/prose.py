"""Markdown as wrapped lines: whatever the model wrote is shown, nothing of it is hidden or obeyed.

HTML stays text, a link shows its address, an image its address too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from host.frontends.tui.cells import BLANK, BREAK, Line, Lines, Part, joined, paragraphs, styled

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

INLINE = {"strong": "bold", "em": "italic", "s": "strike"}


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable(["html_block", "html_inline"])


def prose(text: str, width: int) -> Lines:
    """The lines of a Markdown text, none wider than `width`. The parser is loaded with the first message."""
    from markdown_it.tree import SyntaxTreeNode

    return _blocks(SyntaxTreeNode(_parser().parse(text)).children, max(width, 8))


def finished(text: str) -> int:
    """How much of a streaming text can no longer change its look: up to the last blank line that is outside of
    code fences and before a plain paragraph or heading."""
    cut, place, fence = 0, 0, ""
    blank = False
    for line in text.splitlines(keepends=True):
        stripped = line.lstrip()
        mark = stripped[:3]
        if mark in ("```", "~~~") and (not fence or mark == fence):
            fence = "" if fence else mark
        starts = bool(stripped) and line[0] not in " \t>|-*+" and not line[0].isdigit()
        if blank and starts and (not fence or mark == fence):
            cut = place
        blank = not stripped and not fence
        place += len(line)
    return cut


def _blocks(nodes: Sequence[SyntaxTreeNode], width: int, tight: bool = False) -> Lines:
    lines: Lines = []
    for node in nodes:
        if lines and not tight:
            lines.append(BLANK)
        lines += _block(node, width)
    return lines


def _block(node: SyntaxTreeNode, width: int) -> Lines:
    match node.type:
        case "paragraph":
            return _inline(node).wrap(width)
        case "heading":
            return _inline(node).stylize("bold $primary").wrap(width)
        case "fence" | "code_block":
            return _code(node.content, width)
        case "blockquote":
            return hang(styled("▏ ", "$primary"), _blocks(node.children, width - 2), repeat=True)
        case "bullet_list" | "ordered_list":
            return _list(node, width)
        case "table":
            return _table(node, width)
        case "hr":
            return [styled("─" * width, "$quiet")]
        case _:
            return []


def hang(head: Line, lines: Iterable[Line], repeat: bool = False) -> Lines:
    """Lines behind a head; the lines after the first stand under it, or behind it again."""
    rest = head if repeat else styled(" " * head.cell_length)
    return [(rest if n else head) + line for n, line in enumerate(lines)] or [head]


def _code(text: str, width: int) -> Lines:
    lines = [part for line in paragraphs(text.rstrip("\n"), "$code") for part in line.fold(width - 2)]
    return hang(styled("│ ", "$quiet"), lines, repeat=True)


def _list(node: SyntaxTreeNode, width: int) -> Lines:
    lines: Lines = []
    start = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else 0
    tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
    digits = len(str(start + len(node.children) - 1))
    for number, item in enumerate(node.children, start):
        head = styled(f"{number:>{digits}}. " if node.type == "ordered_list" else "• ", "$primary")
        if lines and not tight:
            lines.append(BLANK)
        lines += hang(head, _blocks(item.children, width - head.cell_length, tight))
    return lines


def _table(node: SyntaxTreeNode, width: int) -> Lines:
    rows = [[_inline(cell) for cell in row.children] for part in node.children for row in part.children]
    columns = list(zip(*rows, strict=True))
    widths = [max(cell.cell_length for cell in column) for column in columns]
    room = max(width - 2 * (len(widths) - 1), 4 * len(widths))
    while sum(widths) > room:
        widths[widths.index(max(widths))] -= 1
    lines: Lines = []
    for number, row in enumerate(rows):
        cells = [(cell.stylize("bold") if number == 0 else cell).wrap(w) for cell, w in zip(row, widths, strict=True)]
        for n in range(max(len(cell) for cell in cells)):
            parts = [(c[n] if n < len(c) else BLANK).truncate(w, pad=True) for c, w in zip(cells, widths, strict=True)]
            lines.append(styled("  ").join(parts))
        if number == 0:
            lines.append(styled("  ".join("─" * w for w in widths), "$quiet"))
    return [line for wide in lines for line in wide.fold(width)]


def _inline(node: SyntaxTreeNode, style: str = "") -> Line:
    """The text under a node, styled."""
    parts: list[Part] = []
    for child in node.children:
        match child.type:
            case "softbreak":
                parts.append(" ")
            case "hardbreak":
                parts.append(BREAK)
            case "code_inline":
                parts.append((child.content, f"{style} $code".strip()))
            case "link":
                parts += [_inline(child, f"{style} underline".strip()), *_address(child, "href")]
            case "image":
                parts += [(f"[image: {child.content}]", style), *_address(child, "src")]
            case kind if kind in INLINE:
                parts.append(_inline(child, f"{style} {INLINE[kind]}".strip()))
            case "text":
                parts.append((child.content.expandtabs(4), style))
            case _:
                parts.append(_inline(child, style) if child.children else (child.content, style))
    return joined(*parts)


def _address(node: SyntaxTreeNode, name: str) -> list[tuple[str, str]]:
    """Where a link really goes, unless its text says so already."""
    url = str(node.attrs.get(name, ""))
    shown = "".join(child.content for child in node.children)
    return [] if shown == url else [(f" ({url})", "$quiet")]
