"""One reader of a session: loses deltas by merging, never events."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace

import anyio

from host.core.errors import HostError
from host.core.events import Delta, Recorded, Rejected
from host.core.source import ServerStatus

Item = Recorded | Delta | ServerStatus | Rejected


class Feed:
    """What a reader has not taken yet. Neighbouring deltas of one part grow together while they wait."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._news = anyio.Event()
        self._ended = False
        self._error: HostError | None = None

    def push(self, item: Item) -> None:
        last = self._items[-1] if self._items else None
        if isinstance(item, Delta) and isinstance(last, Delta) and _continues(last, item):
            self._items[-1] = replace(last, value=last.value + item.value) if item.of != "progress" else item
        else:
            self._items.append(item)
        self._news.set()

    def end(self, error: HostError | None = None) -> None:
        """Nothing more will come; a reader that has taken everything then stops, or meets `error`."""
        self._ended, self._error = True, self._error or error
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Item]:
        while True:
            while self._items:
                yield self._items.popleft()
            if self._ended:
                if self._error is not None:
                    raise self._error
                return
            self._news = anyio.Event()
            await self._news.wait()


def _continues(last: Delta, item: Delta) -> bool:
    return (last.part, last.of, last.call_id) == (item.part, item.of, item.call_id)
