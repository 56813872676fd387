"""What a played model says, and how each wire says it: as a stream, in one piece, and what it takes in return.

A wire is a module with `PATH`, `sse(parts, number, model)`, `whole(parts, number, model)`, `check(body)` and
`results(body)`, which are the results that came in since the user last spoke.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Say:
    """Words of the model, streamed in small pieces."""

    text: str


@dataclass(frozen=True)
class Call:
    """A function call; `arguments` may be a text, to be sent as it is. Without an id one is made."""

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True)
class Refuse:
    """A refusal in place of words."""

    text: str


@dataclass(frozen=True)
class Raw:
    """An output item as it is, such as reasoning: an item of Responses, a block of Messages, keys of a chat message."""

    item: dict[str, Any]


@dataclass(frozen=True)
class End:
    """How the answer ends, if not well: incomplete with a reason, or failed with an error code."""

    status: str
    reason: str


Part = Say | Call | Refuse | Raw | End
Decide = Callable[[dict[str, Any]], Sequence[Part]]


def pieces(text: str, size: int = 7) -> Iterator[str]:
    """A text as it streams."""
    return (text[start : start + size] for start in range(0, len(text), size))


def written(call: Call) -> str:
    """The text of a call's arguments."""
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)


def unframed(output: str) -> str:
    """A result's words without the frame in which the host hands them on."""
    return re.sub(r'<mcp-data server="[^"]*" from="[^"]*">\n|\n</mcp-data>', "", output)


def ending(parts: Sequence[Part]) -> End | None:
    return next((part for part in parts if isinstance(part, End)), None)


def frame(data: dict[str, Any], event: str | None = None) -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
