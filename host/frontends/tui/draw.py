"""Blocks as lines: pure functions of a block and a width."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from host.core.text import safe
from host.frontends.tui.cells import BLANK, Line, Lines, joined, paragraphs, styled
from host.frontends.tui.prose import hang, prose
from host.frontends.view import STAGES, Beside, Block, CallCard, ModelBlock, NoticeBlock, Stage, TurnBlock, UserBlock

GUTTER = 12
FOLD = 40
WORD = re.compile(r"[\w.$-]+")
WIDE = 72
"""Columns behind the gutter from where on a card has room for the size of its result."""
COLOURS: Mapping[Stage, str] = {
    "proposed": "$quiet",
    "allowed": "$quiet",
    "waiting": "$warning",
    "running": "$primary",
    "paused": "$warning",
    "ok": "$success",
    "error": "$error",
    "denied": "$error",
    "declined": "$warning",
    "interrupted": "$warning",
    "unknown": "$warning",
}


def draw(block: Block, width: int, unfolded: int = 0) -> Lines:
    """A block as it stands in the transcript. `unfolded`: 0 one line, 1 folded at 40 lines, 2 everything."""
    match block:
        case UserBlock(text, attached):
            told = [line for one in attached for line in wrapped(f"┆ {beside(one)}", width - GUTTER, "$quiet")]
            lines = hang(gutter("▸", "you", "bold $accent"), [*wrapped(text, width - GUTTER, "bold"), *told])
        case ModelBlock():
            lines = hang(gutter("●", "agent", "bold $primary"), said(block, width - GUTTER))
        case CallCard():
            lines = [headline(block, width), *(details(block, width, unfolded) if unfolded else [])]
        case NoticeBlock(text, tone):
            mark = {
                "info": ("·", "note", "$quiet"),
                "warning": ("⚠", "warning", "$warning"),
                "error": ("✗", "error", "$error"),
            }
            lines = hang(gutter(*mark[tone]), wrapped(text, width - GUTTER, "$quiet" if tone == "info" else ""))
        case TurnBlock():
            lines = turn(block, width)
    return lines


def beside(one: Beside) -> str:
    """What the user put beside their words, on one line."""
    what = one.what
    given = "".join(f" {name}={value}" for name, value in (what.arguments or {}).items())
    return " · ".join(text for text in (f"{what.kind} {what.name}{given}", what.server, one.size) if text)


def gutter(glyph: str, word: str, style: str) -> Line:
    """The column on the left: glyph and word of a state or a speaker."""
    return joined(" ", (f"{glyph} {word}".ljust(GUTTER - 1)[: GUTTER - 1], style))


def wrapped(text: str, width: int, style: str = "") -> Lines:
    """Plain text, its own line breaks kept."""
    return [part for line in paragraphs(text, style) for part in line.wrap(max(width, 8))]


def said(block: ModelBlock, width: int) -> Lines:
    """What the model said, with a cursor while it speaks and a word where it was cut."""
    lines = prose(block.text, width)
    if block.streaming:
        if block.drafting:
            return [*lines, styled(f"… writing a tool call, {block.drafting} characters", "$quiet")]
        return [*lines[:-1], (lines[-1] if lines else BLANK) + styled("▌", "$primary")]
    if block.stop in ("failed", "interrupted", "length"):
        word = {
            "failed": "cut off: the model failed",
            "interrupted": "cut off by you",
            "length": "cut off: longest answer",
        }
        return [*lines, styled(f"… {word[block.stop]}", "$warning")]
    return lines


def turn(block: TurnBlock, width: int) -> Lines:
    usage = block.usage
    spent = [plural(block.calls, "call")] if block.calls else []
    spent += [duration(int(block.seconds * 1000))] if block.seconds else []
    spent += [f"{count(usage.input)} → {count(usage.output)} tokens"] if usage.tokens else []
    spent += [money(usage.usd)] if usage.usd else []
    if block.reason == "done":
        return [styled(" " * GUTTER + " · ".join(spent), "$quiet")] if block.calls or usage.tokens else []
    head = {"interrupted": ("■", "stopped"), "failed": ("✗", "failed"), "limit": ("⚠", "limit")}[block.reason]
    words = block.error or {"interrupted": "you stopped this turn"}.get(block.reason, "")
    return hang(
        gutter(*head, "bold $error" if block.reason == "failed" else "bold $warning"), wrapped(words, width - GUTTER)
    )


def headline(card: CallCard, width: int) -> Line:
    """A call in one line: state · server.tool · short arguments · time · size · who decided."""
    glyph, word = STAGES[card.stage]
    room = max(width - GUTTER, 20)
    name = styled(f"{card.server}.{card.name}" if card.server else card.name, "bold")
    tail = _tail(card, room)
    column = min(max(len(name), room // 4, 22), room * 2 // 5)
    middle = max(room - column - 2 - tail.cell_length, 0)
    lead = card.result.strip().partition("\n")[0] if card.stage in ("error", "denied", "unknown") else ""
    brief = styled(lead, "$error", 200) if lead else styled(short(card), "$quiet")
    return joined(
        gutter(glyph, word, COLOURS[card.stage]),
        name.truncate(column, ellipsis=True, pad=True),
        "  ",
        brief.truncate(max(middle - 1, 0), ellipsis=True, pad=True) if middle else "",
        " " if middle else "",
        tail,
    )


def _tail(card: CallCard, room: int) -> Line:
    """The right end of a card's line; its columns stand under each other."""
    if card.stage == "waiting":
        return styled("waits for you", "$warning")
    if card.stage == "paused":
        return styled("waits for you", "$warning")
    if card.live:
        return joined(
            progress(card, max(room // 2 - 11, 10)), ("  esc stops", "$quiet") if card.stage == "running" else ""
        )
    note = card.note + " · edited" if card.edited and "edited" not in card.note else card.note
    time = duration(card.milliseconds) if card.milliseconds else ""
    size = f"{bytesize(card.size) if card.size else '':>9}" if room >= WIDE else ""
    style = "$warning" if card.edited else "$quiet"
    return joined(
        (f"{time:>7}{size}  ", "$quiet"),
        styled(note, style).truncate(max(room // 5, 12), ellipsis=True, pad=True),
    )


def progress(card: CallCard, width: int) -> Line:
    """A bar where the total is known, and the server's own words."""
    message = styled(f'"{card.message}"' if card.message else "", "$quiet")
    if card.fraction is None:
        return message.truncate(width, ellipsis=True)
    full = round(card.fraction * 10)
    bar = joined(("█" * full, "$primary"), ("░" * (10 - full), "$quiet"), f" {card.fraction * 100:3.0f} %")
    return joined(bar, "  " if card.message else "", message.truncate(max(width - 18, 0), ellipsis=True))


def short(card: CallCard) -> str:
    """Arguments in a few words, for one line; the whole is a key away."""
    if card.raw is not None:
        return safe(card.raw, 200)
    return "  ".join(f"{k}={safe(_compact(v), 120)}" for k, v in card.arguments.items())


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def details(card: CallCard, width: int, unfolded: int) -> Lines:
    """Everything of a call: arguments, why it ran or did not, and its result."""
    inner = width - GUTTER - 2
    given = wrapped(card.raw, inner - 11) if card.raw is not None else arguments(card.arguments, inner - 11)
    lines = hang(styled("arguments  ", "$quiet"), given or [styled("none", "$quiet")])
    if card.wished is not None:
        lines += hang(styled("the model  ", "$quiet"), arguments(card.wished, inner - 11))
    reason = "" if card.reason in card.note else card.reason
    if why := "; ".join(text for text in (card.note, reason) if text):
        lines += hang(styled("decision   ", "$quiet"), wrapped(why, inner - 11))
    if card.result:
        text = wrapped(pretty(card.result), inner - 11)
        shown = text if unfolded > 1 else text[:FOLD]
        lines += hang(styled("result     ", "$quiet"), shown)
        if card.checked:
            lines.append(styled("✓ its structured content fits the tool's own schema", "$quiet"))
        if len(text) > len(shown):
            lines.append(styled(f"▾ {len(text) - len(shown)} more lines · space shows all", "$warning"))
    return hang(styled(" " * GUTTER + "│ ", "$quiet"), lines, repeat=True)


def arguments(values: Mapping[str, Any], width: int) -> Lines:
    """Every argument in full: name, value, and the length of a long text. Nothing is cut. What could pass for a line of
    the host has a bar or a quote before it: each line of a long text, and a name that is more than a word."""
    bar = styled("┊ ", "$quiet")
    names = {name: styled(str(name) if WORD.fullmatch(str(name)) else f'"{name}"', "$accent") for name in values}
    column = min(max((len(name) for name in names.values()), default=0), width // 3) + 2
    lines: Lines = []
    for name, value in values.items():
        room = max(width - column, 10)
        body = wrapped(f'"{value}"' if isinstance(value, str) else _json(value, room), room)
        if isinstance(value, str) and len(body) > 1:
            body = hang(bar, wrapped(f'"{value}"', room - bar.cell_length), repeat=True)
            body.append(styled(f"{len(value)} characters, {len(body)} lines", "$quiet"))
        head = names[name]
        if head.cell_length > column - 2:
            folded = head.fold(width - bar.cell_length)
            lines += hang(bar, folded, repeat=True) if len(folded) > 1 else folded
            lines += hang(styled(" " * column), body)
        else:
            lines += hang(head.truncate(column, pad=True), body)
    return lines


def _json(value: Any, room: int) -> str:
    line = _compact(value)
    return line if len(line) <= room else json.dumps(value, ensure_ascii=False, indent=2)


def pretty(text: str) -> str:
    """JSON with its structure shown; any other text as it is."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def columns(rows: Iterable[tuple[Line, ...]], gap: str = "  ") -> Lines:
    """Rows of cells under each other; the last cell of a row is not padded."""
    table = list(rows)
    widths = [max(cell.cell_length for cell in column) for column in zip(*table, strict=True)]
    return [
        styled(gap).join([*(c.truncate(w, pad=True) for c, w in zip(row[:-1], widths, strict=False)), row[-1]])
        for row in table
    ]


def plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def count(tokens: int) -> str:
    return f"{tokens / 1000:.3g}k" if tokens >= 1000 else str(tokens)


def money(usd: float) -> str:
    return f"${usd:.2f}" if usd >= 1 else f"${usd:.3f}"


def duration(milliseconds: int) -> str:
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 60_000 else f"{milliseconds // 60_000} min"


def bytesize(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"
