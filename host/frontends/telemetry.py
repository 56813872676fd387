"""Sessions told to an OpenTelemetry collector as they happen. A reader of feeds like any other: it delays no turn, and
what a collector does not take in time is counted and given up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from host import __version__
from host.core.errors import HostError
from host.core.events import Recorded
from host.core.settings import Collector
from host.core.spans import Span, Spans, otlp
from host.frontends.handle import Handle
from host.frontends.plain import tell

WAITING, BATCH, GATHER, PATIENCE, FAREWELL = 2048, 256, 1.0, 10.0, 3.0
TRIES, PAUSE, AGAIN = 3, 0.5, (429, 502, 503, 504)


@asynccontextmanager
async def telemetry(collector: Collector) -> AsyncIterator[Callable[[Handle], None]]:
    """Gives what is to be told of each session that opens. On leaving, what still waits has a moment to get out."""
    waiting, taken = anyio.create_memory_object_stream[Span](WAITING)
    exporter = _Exporter(collector, waiting)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exporter.send, taken)
        async with anyio.create_task_group() as readers:

            def trace(handle: Handle) -> None:
                readers.start_soon(exporter.read, handle)

            yield trace
            readers.cancel_scope.deadline = anyio.current_time() + FAREWELL
        waiting.close()
        tasks.cancel_scope.deadline = anyio.current_time() + FAREWELL
    if exporter.lost or exporter.unsent:
        count = exporter.lost + exporter.unsent
        tell(f"{count} spans did not reach {collector.place}: {exporter.why}")


@dataclass(slots=True)
class _Exporter:
    collector: Collector
    waiting: MemoryObjectSendStream[Span]
    lost: int = 0
    unsent: int = 0
    why: str = "it was too slow"

    async def read(self, handle: Handle) -> None:
        """Follow one session to its end. A resumed one is read from its beginning, for the turn that is open; its
        earlier spans were told by the process that made them."""
        spans, since = Spans(self.collector.content), await handle.ask("since")
        try:
            async for item in handle.feed():
                if isinstance(item, Recorded) and (span := spans.take(item)) and item.seq > since:
                    self._put(span)
        except HostError:
            return  # the session failed, and its own front end says so

    def _put(self, span: Span) -> None:
        try:
            self.waiting.send_nowait(span)
        except anyio.WouldBlock:
            self.lost += 1

    async def send(self, taken: MemoryObjectReceiveStream[Span]) -> None:
        import httpx2

        headers = {**self.collector.headers, "content-type": "application/json"}
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as client, taken:
            async for first in taken:
                batch = await _gathered(taken, first)
                self.unsent += len(batch)
                body = otlp(batch, self.collector.resource, __version__)
                if await self._delivered(client, body):
                    self.unsent -= len(batch)

    async def _delivered(self, client: Any, body: Mapping[str, Any]) -> bool:
        import httpx2

        for number in range(TRIES):
            try:
                answer = await client.post(self.collector.url, json=body)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                self.why = type(error).__name__
            else:
                if answer.is_success:
                    return True
                self.why = f"status {answer.status_code}"
                if answer.status_code not in AGAIN:
                    return False
            await anyio.sleep(PAUSE * 2**number)
        return False


async def _gathered(taken: MemoryObjectReceiveStream[Span], first: Span) -> list[Span]:
    """What came within a moment of the first."""
    batch = [first]
    with anyio.move_on_after(GATHER):
        async for span in taken:
            batch.append(span)
            if len(batch) >= BATCH:
                break
    return batch
