"""A browser comes back to a listener on this machine, once and with the state that it was sent away with."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import anyio
from anyio.abc import SocketAttribute, SocketStream

HEAD = 16 * 1024
PATH = "/callback"
DONE = "You are signed in. You may close this page and go back to the terminal."


Way = Callable[[], Awaitable[str]]


async def first(*ways: Way) -> str:
    """Where a person was sent, by whichever way it is learnt first."""
    found: list[str] = []
    async with anyio.create_task_group() as tasks:

        async def wait(way: Way) -> None:
            found.append(await way())
            tasks.cancel_scope.cancel()

        for way in ways:
            tasks.start_soon(wait, way)
    return found[0]


class Callback:
    """A listener on 127.0.0.1 for the one visit that knows the one-time state."""

    def __init__(self, port: int) -> None:
        self._here = f"127.0.0.1:{port}"
        self.redirect_uri = f"http://{self._here}{PATH}"
        self._state: str | None = None
        self._target = ""
        self._came = anyio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, wished: str | None) -> AsyncIterator[Callback]:
        """Listen at the port of `wished` if that is free."""
        port = urlsplit(wished).port or 0 if wished else 0
        try:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
        except OSError:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        callback = cls(listener.extra(SocketAttribute.local_port))
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, callback._visit)
            yield callback
            tasks.cancel_scope.cancel()

    def expect(self, url: str) -> None:
        """The person is led to this address, which carries the state."""
        self._state = parse_qs(urlsplit(url).query).get("state", [None])[0]

    async def visited(self) -> str:
        """The address that the visit was for."""
        await self._came.wait()
        return f"http://{self._here}{self._target}"

    async def _visit(self, stream: SocketStream) -> None:
        async with stream:
            with anyio.move_on_after(5), suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                target = _target(await _head(stream), self._here)
                said = parse_qs(urlsplit(target or "").query).get("state")
                right = self._state is not None and said == [self._state] and not self._came.is_set()
                if right:
                    self._target = target or ""
                    self._came.set()
                await stream.send(_page(200 if right else 400, DONE if right else "This is not the answer."))


async def _head(stream: SocketStream) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < HEAD:
        try:
            head += await stream.receive()
        except anyio.EndOfStream:
            break
    return head


def _target(head: bytes, here: str) -> str | None:
    """What a visit asks for; None where it is not meant for us, as when a page led a browser here by another name."""
    first, *rest = head.decode("latin-1").split("\r\n")
    hosts = [line.partition(":")[2].strip() for line in rest if line.lower().startswith("host:")]
    asked = re.fullmatch(rf"GET ({PATH}\?[!-~]*) HTTP/1\.[01]", first)
    return asked[1] if asked and hosts == [here] else None


def _page(status: int, text: str) -> bytes:
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Bad Request'}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    )
    rest = f"Content-Length: {len(text)}\r\nCache-Control: no-store\r\nConnection: close\r\n"
    return f"{head}{rest}\r\n{text}".encode()
