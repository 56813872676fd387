"""Results for people to read: compact Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ROWS, COLUMNS, WIDTH, LINES, DEPTH = 20, 8, 70, 40, 3


def shown(value: Any) -> str:
    """A result: an object as a table of its values, lists of objects as tables of their own, a text as it is."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return _list("", value)
    if isinstance(value, Mapping):
        return _object(value) or "The result is empty."
    return f"The result is {_cell(value)}."


def listed(thing: Mapping[str, Any]) -> str:
    """A thing on one line."""
    return ", ".join(_cell(value) for value in thing.values() if not _nested(value))


def _text(text: str) -> str:
    lines = text.strip().splitlines()
    if not lines:
        return "The result is empty."
    more = f"\n[{len(lines) - LINES} more lines]" if len(lines) > LINES else ""
    if len(lines) == 1:
        return _plain(lines[0])
    fence = "```"
    while fence in text:
        fence += "`"
    return "\n".join([fence, *lines[:LINES], fence]) + more


def _object(thing: Mapping[str, Any], depth: int = 0) -> str:
    simple = {key: value for key, value in thing.items() if not _nested(value)}
    parts = []
    if simple:
        parts.append(_table(["", ""], [[f"**{_plain(key)}**", _cell(value)] for key, value in simple.items()]))
    for key, value in thing.items():
        if isinstance(value, list) and _nested(value):
            parts.append(_list(key, value))
        elif isinstance(value, Mapping) and _nested(value) and depth < DEPTH:
            parts.append(f"**{_plain(key)}**\n\n{_object(value, depth + 1)}")
    return "\n\n".join(part for part in parts if part)


def _list(name: str, values: Sequence[Any]) -> str:
    title = f"**{_plain(name)}**" if name else ""
    if not values:
        return f"{title}: none" if title else "Nothing was found."
    if not all(isinstance(value, Mapping) for value in values):
        lines = [f"- {_cell(value)}" for value in values[:ROWS]]
        return "\n".join([*([f"{title}\n"] if title else []), *lines, *_more(values)])
    keys = list(dict.fromkeys(key for value in values[:ROWS] for key in value))[:COLUMNS]
    rows = [[_cell(value.get(key)) for key in keys] for value in values[:ROWS]]
    table = _table([_plain(key) for key in keys], rows)
    return "\n".join([*([f"{title}\n"] if title else []), table, *_more(values)])


def _more(values: Sequence[Any]) -> list[str]:
    return [f"\n{len(values) - ROWS} more are not shown."] if len(values) > ROWS else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _nested(value: Any) -> bool:
    """Whether a value needs a table of its own."""
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list) and (not value or any(isinstance(one, Mapping) for one in value))


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            return _cell(", ".join(_cell(one) for one in value))
        case Mapping():
            return _cell(", ".join(f"{key}: {_cell(one)}" for key, one in value.items()))
        case _:
            return _plain(str(value))


def _plain(text: str) -> str:
    """One line that no cell is broken by."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= WIDTH * 3 else line[: WIDTH * 3 - 1] + "…"
