"""A conversation is sent whole with every request, and only its end is new: what was written before is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from host.core.types import Message

T = TypeVar("T")


class Memo:
    """What the messages of one conversation, by their identity, became on one wire when they were last sent. It is
    shared with every later request: who reads it copies before changing."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[Message, object]] = {}
        self._now: dict[int, tuple[Message, object]] = {}

    def of(self, message: Message, make: Callable[[Message], T]) -> T:
        """What `make` makes of the message, made once."""
        known = self._before.get(id(message))
        if known is None:
            known = message, make(message)
        self._now[id(message)] = known
        return known[1]  # type: ignore[return-value]

    def sent(self) -> None:
        """A request is written: what was not in it is forgotten."""
        self._before, self._now = self._now, {}
