"""A model that is a function: what it says is what the function returns. For replay and for tests."""

from __future__ import annotations

import re
from collections.abc import Callable

import anyio

from host.core.events import Delta
from host.core.types import Message, Text, ToolCall
from host.providers.base import OnDelta, Reply, Request

_WORD = re.compile(r"\s*\S+\s*|\s+")


class Scripted:
    """A provider built from `answer`, a plain function of the request. `pace` is seconds between words."""

    def __init__(self, answer: Callable[[Request], Message | Reply], pace: float = 0.0) -> None:
        self._answer = answer
        self._pace = pace

    async def ask(self, request: Request, on_delta: OnDelta) -> Reply:
        answer = self._answer(request)
        reply = answer if isinstance(answer, Reply) else as_reply(answer)
        await stream(reply, on_delta, self._pace)
        return reply

    async def aclose(self) -> None:
        """Nothing is held."""


def as_reply(message: Message) -> Reply:
    """A message as a whole answer that cost nothing."""
    return Reply(message.parts, "calls" if message.calls else "done")


async def stream(reply: Reply, on_delta: OnDelta, pace: float = 0.0) -> None:
    """Give out a finished reply as a model would: word by word, then the arguments of its calls."""
    for number, part in enumerate(reply.parts):
        if isinstance(part, Text):
            for word in _WORD.finditer(part.text):
                on_delta(Delta(number, word.start(), "text", word.group()))
                await anyio.sleep(pace)
        elif isinstance(part, ToolCall):
            on_delta(Delta(number, 0, "args", part.text, part.id))
            await anyio.sleep(pace)
