"""A long text abridged: its beginning and end, its size, and its shape, so that a reader knows what to look for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from host.core.types import Blob, Text

_JSON = re.compile(r"\s*[{\[]")
DEPTH = 4
KEYS = 24
LONGEST = 800


@dataclass(frozen=True, slots=True)
class Outline:
    """`head` and `tail` are the first and the last characters; `shape` tells how the whole is built."""

    characters: int
    head: str
    tail: str
    shape: str
    kind: Literal["outline"] = "outline"

    @classmethod
    def of(cls, text: str, limit: int) -> Outline:
        """The outline of a text of which `limit` characters may be shown."""
        return cls(len(text), text[:limit], text[len(text) - limit // 4 :], shape(text))

    def shown(self, limit: int, handle: str) -> str:
        """Three parts of the head, one of the tail, and between them what is missing and how to get it."""
        head, tail = self.head[: limit * 3 // 4], self.tail[max(0, len(self.tail) - limit // 4) :]
        hidden = self.characters - len(head) - len(tail)
        return (
            f"{head}\n[… {hidden} of {self.characters} characters not shown; {self.shape}; "
            f'read on with host__read_result(handle="{handle}", offset={len(head)}), or search it with grep …]\n{tail}'
        )


@dataclass(frozen=True, slots=True)
class Rest:
    """Texts behind those that are shown, of which only number and size are told; `first` and `last` are the places
    of the outermost among the parts."""

    texts: int
    characters: int
    first: int
    last: int
    kind: Literal["rest"] = "rest"

    def shown(self, handle: str) -> str:
        return (
            f"[… {self.texts} more texts, {self.characters} characters in all, not shown; "
            f'read with host__read_result(handle="{handle}.{self.first}") up to "{handle}.{self.last}" …]'
        )


Shown = Text | Blob | Outline | Rest
_KINDS: Mapping[str, type[Any]] = {"text": Text, "blob": Blob, "outline": Outline, "rest": Rest}


def outlined(parts: Iterable[Shown], limit: int) -> list[Shown]:
    """The parts with `limit` characters of text in all: whole ones, the outline of the one that does not fit, and at
    the end how much stands behind it."""
    kept: list[Shown] = []
    rest: Rest | None = None
    for number, part in enumerate(parts):
        match part:
            case Blob():
                kept.append(part)
            case Rest():
                rest = _and(rest, part)
            case _ if limit <= 0:
                rest = _and(rest, Rest(1, size(part), number, number))
            case Text(text=text) if len(text) <= limit:
                kept.append(part)
                limit -= len(text)
            case Text(text=text):
                kept.append(Outline.of(text, limit))
                limit = 0
            case Outline():
                kept.append(part)
                limit = 0
    return [*kept, rest] if rest is not None else kept


def _and(rest: Rest | None, more: Rest) -> Rest:
    if rest is None:
        return more
    return Rest(rest.texts + more.texts, rest.characters + more.characters, rest.first, more.last)


def size(part: Text | Outline) -> int:
    return len(part.text) if isinstance(part, Text) else part.characters


def plain(parts: Iterable[Shown]) -> list[dict[str, Any]]:
    """Parts as JSON."""
    return [asdict(part) for part in parts]


def read(bodies: Iterable[Mapping[str, Any]]) -> list[Shown]:
    """Parts from JSON."""
    return [_KINDS[body["kind"]](**body) for body in bodies]


def shape(text: str) -> str:
    """How a text is built: the keys and lengths of JSON, else its lines."""
    value = _parsed(text)
    if value is None:
        lines = text.count("\n") + (not text.endswith("\n"))
        return f"text of {lines} line{'s' * (lines != 1)}, the longest {max(map(len, text.split(chr(10))))} characters"
    told = _of(value, DEPTH)
    return "JSON " + (told if len(told) <= LONGEST else f"{told[:LONGEST]}…")


def _parsed(text: str) -> Any:
    if not _JSON.match(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _of(value: Any, depth: int) -> str:
    match value:
        case dict():
            if depth == 0:
                return f"{{{len(value)} keys}}"
            known = [f"{key[:60]}: {_of(inner, depth - 1)}" for key, inner in list(value.items())[:KEYS]]
            more = [f"{len(value) - KEYS} more keys"] if len(value) > KEYS else []
            return "{" + ", ".join(known + more) + "}"
        case []:
            return "[]"
        case list():
            return f"[{len(value)} × {_of(value[0], depth - 1) if depth else '…'}]"
        case str():
            return f"string of {len(value)}" if len(value) > LONGEST else "string"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case _:
            return "null"
