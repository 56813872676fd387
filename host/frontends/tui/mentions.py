"""What is typed that means more than words: `/server:prompt name=value …`, `@server:uri`, `@file`, and the word at
which the cursor stands. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

_MENTION = re.compile(r"(?<!\S)@(\S+)")
_PROMPT = re.compile(r"/([a-z0-9][a-z0-9_-]*):(\S+)(?:\s+(.*))?\Z", re.DOTALL)
_HOLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Typed:
    """The word that is being typed, without its sign: from `start` to `end` of the text."""

    kind: Literal["command", "argument", "mention"]
    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """A prompt of a server as it was typed; `loose` are values that were given without a name."""

    server: str
    name: str
    given: Mapping[str, str]
    loose: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Hole:
    """The place of a template at which somebody types: `before` stands ahead of the value, `given` are the others."""

    name: str
    value: str
    before: str
    given: Mapping[str, str]


def typed(text: str, cursor: int) -> Typed | None:
    """What could be completed where the cursor stands; None where these are plain words."""
    start = max((text.rfind(blank, 0, cursor) for blank in " \n\t"), default=-1) + 1
    word = text[start:cursor]
    if word.startswith("@"):
        return Typed("mention", word[1:], start, cursor)
    if cursor == len(text) and word == text and word.startswith("/"):
        return Typed("command", word[1:], 0, cursor)
    if start and cursor == len(text) and prompt(text[:start]):
        return Typed("argument", word, start, cursor)
    return None


def prompt(text: str) -> Chosen | None:
    """The prompt that a text is, if it is one."""
    found = _PROMPT.match(text)
    if found is None:
        return None
    try:
        words = shlex.split(found[3] or "")
    except ValueError:  # a quote is still open
        words = (found[3] or "").split()
    named = [word.partition("=") for word in words if "=" in word]
    return Chosen(found[1], found[2], {k: v for k, _, v in named}, [word for word in words if "=" not in word])


def arguments(chosen: Chosen, names: Sequence[str]) -> dict[str, str]:
    """Its values by name: those without one take the free names in their order, the last one all that is left."""
    free = [name for name in names if name not in chosen.given]
    loose = [*chosen.loose[: max(len(free) - 1, 0)], " ".join(chosen.loose[max(len(free) - 1, 0) :])]
    return {**chosen.given, **{name: value for name, value in zip(free, loose, strict=False) if value}}


def mentions(text: str) -> list[str]:
    """What stands behind each `@`, without the signs that end a sentence; each once."""
    return list(dict.fromkeys(word for found in _MENTION.findall(text) if (word := found.rstrip(".,;!?)\"'"))))


def resource(mention: str, servers: Collection[str]) -> dict[str, Any] | None:
    """The resource that is mentioned, if it is one of these servers'."""
    server, colon, uri = mention.partition(":")
    return {"server": server, "uri": uri} if colon and uri and server in servers else None


def hole(template: str, uri: str) -> Hole | None:
    """Where a URI that is being typed stands in a template; None where it does not fit it or is at no value."""
    pieces = _HOLE.split(template)
    given: dict[str, str] = {}
    place = 0
    for literal, name, behind in zip(pieces[::2], pieces[1::2], pieces[2::2], strict=False):
        if not uri.startswith(literal, place) or not re.fullmatch(r"\+?\w+", name):
            return None
        place += len(literal)
        end = uri.find(behind, place) if behind else -1
        if end < 0:
            return Hole(name.lstrip("+"), uri[place:], uri[:place], given)
        given[name.lstrip("+")] = uri[place:end]
        place = end
    return None


def quoted(name: str, value: str) -> str:
    """An argument as it is typed."""
    return f"{name}={shlex.quote(value)}" if re.search(r"[\s'\"\\]", value) else f"{name}={value}"


def fitting(words: str, *texts: object) -> bool:
    """Whether what was typed stands in one of these texts, whatever their case."""
    return any(words.lower() in str(text).lower() for text in texts if text)


def best(items: Iterable[tuple[bool, Any]]) -> list[Any]:
    """Those that begin as it was typed, then the others."""
    listed = list(items)
    return [item for first, item in listed if first] + [item for first, item in listed if not first]
