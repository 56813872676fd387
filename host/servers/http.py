"""A server at an address: the SDK's Streamable HTTP over one guarded client, with bounds, repairs and words for what
fails. It looks to a connection as a process does."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

import anyio
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.inbound import mcp_param_headers, x_mcp_header_map
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
)

from host.core.types import ToolSpec
from host.servers.bodies import Bounded, Spared, said
from host.servers.logs import ServerLog, Tap
from host.servers.wire import MAX_LINE, UNREADABLE, Refused, Wire, encoded

GRACE = 2.0
"""Seconds that a server gets to hear that its session is over."""
CONNECT_SECONDS = 15.0
PACE = (1.0, 60.0)
STEADY_SECONDS = 30.0
# What an error of ours means for the call: the server may have run it, would not, or never got it.
FAILED = "io.agent-host/failed"
REFUSED = "io.agent-host/refused"
UNSENT = "io.agent-host/unsent"
APART = "io.agent-host/apart"
SESSION_OVER = "Session terminated"
_LASTING = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]


class Credentials(httpx2.Auth):
    """What is sent along to be let in. `trouble` says what a person can do where it is not enough."""

    trouble = ""


class HttpServer:
    """One life of the connection to an address. `ended` is set when it can no longer be talked to, `forgot` when that
    is because the server dropped our session or cannot be reached, which means that it did not run what was sent."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        log: ServerLog,
        tap: Tap | None = None,
        auth: Credentials | None = None,
    ) -> None:
        self.ended = anyio.Event()
        self.wire = Wire(log)
        self.sandbox = ""
        self.spawned = False
        self.closing = False
        self.forgot = False
        self._url, self._headers, self._log, self._tap, self._auth = url, headers, log, tap, auth
        self._reason = ""
        self._mirrored: dict[str, dict[tuple[str, ...], str]] = {}
        self._apart: dict[str, list[JSONRPCMessage]] = {}

    @property
    def reason(self) -> str:
        """Why it ended, in words."""
        return self._reason or ("the host closed it" if self.closing else "the connection ended")

    @asynccontextmanager
    async def transport(self) -> AsyncIterator[tuple[Reading, Writing]]:
        """Carry messages; leaving it tells the server that the session is over, in bounded time."""
        client = httpx2.AsyncClient(
            transport=Guarded(self._url, self),
            headers={**self._headers, "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(CONNECT_SECONDS, read=None),
            auth=self._auth,
            trust_env=False,
        )
        with anyio.CancelScope() as leaving:
            async with (
                client,
                streamable_http_client(self._url, http_client=client, max_sse_event_size=MAX_LINE) as (read, write),
            ):
                try:
                    yield Reading(read, self), Writing(write, self)
                finally:
                    self.closing = not self.ended.is_set()
                    self.ended.set()
                    leaving.shield, leaving.deadline = True, anyio.current_time() + GRACE

    def offers(self, tools: Mapping[str, ToolSpec]) -> None:
        """The tools by their own names: some of their arguments are mirrored in headers."""
        maps = {name: x_mcp_header_map(dict(spec.input_schema)) for name, spec in tools.items()}
        self._mirrored = {name: found for name, found in maps.items() if found}

    def end(self, reason: str, forgot: bool = False) -> None:
        """This life is over; whoever waits for an answer is told so."""
        if not self.ended.is_set():
            self._reason, self.forgot = reason, forgot
            self.ended.set()

    async def stand_in(self, line: bytes) -> bytes:
        """A small message for one that is large: what was read of it apart is put in its place when it arrives."""
        if self._tap:
            self._tap("in", line)
        mark = token_hex(8)
        try:
            self._apart[mark] = await self.wire.taken(line, anyio.current_time())
        except Refused as error:
            self._apart[mark] = []
            self.end(f"cut off: {error}")
        ids = [message.id for message in self._apart[mark] if isinstance(message, JSONRPCResponse | JSONRPCError)]
        said = {"jsonrpc": "2.0", "id": ids[0] if ids else None, "result": {"_meta": {APART: mark}}}
        return json.dumps(said).encode()

    def _read_apart(self, message: JSONRPCMessage) -> list[JSONRPCMessage] | None:
        """What a message of `stand_in` stands for. A server cannot write one: it does not know the mark."""
        meta = message.result.get("_meta") if isinstance(message, JSONRPCResponse) else None
        mark = meta.get(APART) if isinstance(meta, dict) else None
        return self._apart.pop(mark, None) if isinstance(mark, str) else None

    async def received(self, item: SessionMessage | Exception) -> SessionMessage | Exception | None:
        """A message on its way in, set right; None where it is dropped."""
        if isinstance(item, Exception):
            self._log.ignored(str(item).encode())
            return None
        if (apart := self._read_apart(item.message)) is not None:
            return SessionMessage(apart[0], item.metadata) if apart else None
        if isinstance(item.message, JSONRPCError):
            self._failed(item.message)
        # Through the door that a process' lines come by: what is bounded and set right there is so here.
        line = encoded(item.message).rstrip()
        if self._tap:
            self._tap("in", line)
        try:
            messages = await self.wire.taken(line, anyio.current_time())
        except Refused as error:
            self.end(f"cut off: {error}")
            return None
        return SessionMessage(messages[0], item.metadata) if messages else None

    def _failed(self, message: JSONRPCError) -> None:
        error = message.error
        if error.code == INVALID_REQUEST and error.message == SESSION_OVER:
            error.code, error.data = CONNECTION_CLOSED, UNSENT
            error.message = "the server no longer knows this session"
            self.end(error.message, forgot=True)
        elif error.data == UNSENT:
            self.end(error.message, forgot=True)
        elif error.data == REFUSED and self._auth is not None and self._auth.trouble:
            error.message = f"{error.message}: {self._auth.trouble}"
        elif error.code == PARSE_ERROR and error.message.startswith("Failed to parse"):
            error.message, error.data = f"its reply cannot be read: {error.message[:300]}", UNREADABLE

    def sending(self, item: SessionMessage) -> None:
        """A message on its way out."""
        message = item.message
        self.wire.sent(message)
        if self._tap:
            self._tap("out", encoded(message).rstrip())
        headers = item.metadata.headers if isinstance(item.metadata, ClientMessageMetadata) else None
        if headers is not None and (found := self._mirror(message)):
            headers.update(found)

    def _mirror(self, message: JSONRPCMessage) -> dict[str, str]:
        if not isinstance(message, JSONRPCRequest) or message.method != "tools/call":
            return {}
        params = message.params or {}
        return mcp_param_headers(self._mirrored.get(params.get("name", ""), {}), params.get("arguments") or {})


class Reading:
    """What the server says, set right on its way in."""

    def __init__(self, inner: Any, server: HttpServer) -> None:
        self._inner, self._server = inner, server

    @property
    def last_context(self) -> Any:
        return self._inner.last_context

    async def receive(self) -> SessionMessage | Exception:
        while True:
            try:
                item = await self._server.received(await self._inner.receive())
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                self._server.end("the connection ended")
                raise
            if item is not None:
                return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Writing:
    """What we say, noted on its way out."""

    def __init__(self, inner: Any, server: HttpServer) -> None:
        self._inner, self._server = inner, server

    async def send(self, item: SessionMessage, /) -> None:
        self._server.sending(item)
        await self._inner.send(item)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Guarded(httpx2.AsyncBaseTransport):
    """Requests to one origin and to no other. A request that fails gets an answer that says why: as an exception it
    would end the SDK's transport, and with it every call in flight."""

    def __init__(self, url: str, server: HttpServer) -> None:
        self._inner = httpx2.AsyncHTTPTransport(socket_options=_LASTING)
        self._origin, self._server = origin(httpx2.URL(url)), server
        self._opened, self._pause = -STEADY_SECONDS, 0.0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if origin(request.url) != self._origin:
            raise httpx2.UnsupportedProtocol(f"{request.url.host} is not where this server is", request=request)
        if request.method == "GET" and "last-event-id" not in request.headers:
            await self._in_pace()
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return failed(request, f"{request.url.host} cannot be reached: {said(error)}", UNSENT)
        except httpx2.TransportError as error:
            return failed(request, f"the connection broke before it answered: {said(error)}", FAILED)
        self._server.spawned = True
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            return failed(request, "it compressed its answer, which it was asked not to do", FAILED)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        whole = Bounded(response.stream, None)
        response.stream = Spared(whole, not is_json(response), MAX_LINE, self._server.stand_in)
        if request.method == "POST" and response.status_code >= 400:
            return await refused(request, response)
        return response

    async def _in_pace(self) -> None:
        """The SDK opens a listening stream again each second for as long as the server closes it politely."""
        now = anyio.current_time()
        steady = now - self._opened >= STEADY_SECONDS
        self._pause = 0.0 if steady else min(max(self._pause * 2, PACE[0]), PACE[1])
        if self._pause > PACE[0]:
            await anyio.sleep(self._pause)
        self._opened = anyio.current_time()

    async def aclose(self) -> None:
        await self._inner.aclose()


def origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def is_json(response: httpx2.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/json"


async def refused(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """A refusal: the server's own where it is an error of JSON-RPC, else one in words; with what sign-in reads of it.
    What a 404 means the SDK knows, for it depends on the session."""
    kept = {name: value for name, value in response.headers.items() if name in ("www-authenticate", "content-type")}
    body = b""
    try:
        body = await response.aread() if is_json(response) else b""
    except httpx2.StreamError:
        pass
    finally:
        await response.aclose()
    if response.status_code == 404 or speaks(body):
        return httpx2.Response(response.status_code, headers=kept, content=body, request=request)
    text = f"it answered {response.status_code} {response.reason_phrase}".strip()
    mark = REFUSED if response.status_code < 500 else FAILED
    kept.pop("content-type", None)
    return failed(request, text, mark, response.status_code, kept)


def speaks(body: bytes) -> bool:
    """Whether this is an error of JSON-RPC."""
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and isinstance(said.get("error"), dict)


def failed(
    request: httpx2.Request, why: str, mark: str, status: int = 502, headers: Mapping[str, str] | None = None
) -> httpx2.Response:
    """The answer to a request that got none."""
    error = {"code": CONNECTION_CLOSED, "message": why, "data": mark}
    body = {"jsonrpc": "2.0", "id": None, "error": error}
    return httpx2.Response(status, headers=headers, json=body, request=request)
