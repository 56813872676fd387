"""The readers of a session: each loses deltas by merging, never events."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

import anyio
from anyio import to_thread

from host.core.errors import HostError
from host.core.events import Delta, Recorded, Rejected, ServerNews
from host.core.source import ServerStatus

RECENT = 256
Item = Recorded | Delta | ServerStatus | Rejected | ServerNews


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


class Readers:
    """All who read a session. The last events are at hand; `stored` reads others, after one number up to another."""

    def __init__(self, stored: Callable[[int, int], list[Recorded]]) -> None:
        self._stored = stored
        self._feeds: set[Feed] = set()
        self._error: HostError | None = None
        self.recent: deque[Recorded] = deque(maxlen=RECENT)
        self._ended = False

    def push(self, item: Item) -> None:
        if isinstance(item, Recorded):
            self.recent.append(item)
        for feed in self._feeds:
            feed.push(item)

    def end(self, error: HostError | None = None) -> None:
        """Nothing more will come, also to who begins to read from here on."""
        self._error = self._error or error
        for feed in self._feeds:
            feed.end(error)
        self._ended = True

    async def feed(self, after: int, now: Callable[[], tuple[int, Mapping[int, str]]]) -> AsyncIterator[Item]:
        """The events after one number; then the text streamed so far, by part; then what comes. `now` tells, when the
        reading begins, the number of the last event and that text."""
        feed = Feed()
        upto, texts = now()
        recent = [recorded for recorded in self.recent if recorded.seq > after]
        if self._ended:
            feed.end(self._error)
        self._feeds.add(feed)
        try:
            if upto > after and (not recent or recent[0].seq > after + 1):
                recent = await to_thread.run_sync(self._stored, after, upto)
            for recorded in recent:
                yield recorded
            for part, text in texts.items():
                yield Delta(part, 0, "text", text)
            async for item in feed:
                yield item
        finally:
            self._feeds.discard(feed)
