"""What an address that a model writes may carry from one server to another. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from host.core.frame import source
from host.core.types import Message, Text, ToolResult

_WORD = re.compile(r"\w+")


def strangers(uri: str, server: str, messages: Sequence[Message], listed: Iterable[str], notes: int = 0) -> list[str]:
    """The words of an address that neither its server nor the user has said, in a conversation that holds what other
    servers said: they may be theirs. `listed` is what the server lists; the message `notes` sums up everybody's words.
    """
    own, others = list(listed), False
    for message in messages:
        if notes and message.seq == notes:
            others = True
            continue
        for text in _texts(message):
            origin = source(text) if message.role in ("tool", "user") else None
            others = others or origin not in (None, server)
            if origin == server or (message.role == "user" and origin is None):
                own.append(text)
    if not others:
        return []
    known = {word for text in own for word in _words(text)}
    return sorted(_words(uri) - known)


def _texts(message: Message) -> Iterable[str]:
    for part in message.parts:
        inner = part.content if isinstance(part, ToolResult) else (part,)
        yield from (each.text for each in inner if isinstance(each, Text))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(unquote(text).casefold()))
