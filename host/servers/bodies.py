"""Bodies of responses, with bounds. A message that is too large to be parsed beside other work is read apart, and a
small one goes on in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2

from host.servers.large import LARGE

_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")

StandIn = Callable[[bytes], Awaitable[bytes]]
"""Takes a message, returns the one that goes on in its place."""


class Bounded(httpx2.AsyncByteStream):
    """A body that may not grow past `limit` bytes, and whose breaking off costs one call."""

    def __init__(self, inner: httpx2.AsyncByteStream, limit: int | None) -> None:
        self._inner, self._limit = inner, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in self._inner:
                size += len(chunk)
                if self._limit is not None and size > self._limit:
                    raise httpx2.StreamError(f"it is larger than {self._limit // 2**20} MiB")
                yield chunk
        except httpx2.TransportError as error:
            raise httpx2.StreamError(f"it broke off: {said(error)}") from None

    async def aclose(self) -> None:
        await self._inner.aclose()


class Spared(httpx2.AsyncByteStream):
    """The body of a response, `events` or one message. No message may grow past `limit` bytes."""

    def __init__(self, inner: httpx2.AsyncByteStream, events: bool, limit: int, stand_in: StandIn) -> None:
        self._inner, self._events, self._limit, self._stand_in = inner, events, limit, stand_in

    async def __aiter__(self) -> AsyncIterator[bytes]:
        whole = bytearray()
        async for chunk in self._inner:
            seen = max(0, len(whole) - 3)
            whole += chunk
            while self._events and (end := _end(whole, seen)):
                yield await self._event(bytes(whole[:end]))
                del whole[:end]
                seen = 0
            if len(whole) > self._limit:
                raise httpx2.StreamError(f"it is larger than {self._limit // 2**20} MiB")
        if self._events or len(whole) <= LARGE:
            yield bytes(whole)
        else:
            yield await self._stand_in(bytes(whole))

    async def _event(self, event: bytes) -> bytes:
        if len(event) <= LARGE:
            return event
        lines = event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        data = b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
        others = [line for line in lines if line and not line.startswith(b"data:")]
        return b"\n".join([*others, b"data: " + await self._stand_in(data), b"", b""])

    async def aclose(self) -> None:
        await self._inner.aclose()


def _end(events: bytearray, seen: int) -> int:
    """Where the first event ends; 0 where none does."""
    ends = [at + len(end) for end in _ENDS if (at := events.find(end, seen)) >= 0]
    return min(ends, default=0)


def said(error: BaseException) -> str:
    """What an error says, on one line. Task groups wrap what they carry, so the innermost is meant."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split())[:300] or type(error).__name__
