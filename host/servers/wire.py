"""What goes over a server's pipes, line by line: read with bounds, repaired where the SDK would lose more than the
faulty part, and refused in a way that costs one call and not the connection."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from mcp_types import (
    PARSE_ERROR,
    PROTOCOL_VERSION_META_KEY,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from mcp_types.methods import validate_server_result
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from host.core.errors import HostError
from host.core.events import dumps
from host.core.told import CHARS_PER_TOKEN
from host.core.types import CallResult, Large, Limits
from host.servers.large import LARGE, apart
from host.servers.logs import ServerLog

MAX_LINE = 64 * 1024 * 1024
NOTIFICATIONS = 200
FLOOD = 10_000
UNREADABLE = "io.agent-host/unreadable"
LARGE_RESULT = "io.agent-host/large"
BATCHES = "2025-03-26"
CONTENT = ("text", "image", "audio", "resource", "resource_link")
_REPLY = rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?'
_ID_FIRST = re.compile(_REPLY + rb'"id"\s*:\s*(\d{1,18})\s*,\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"(?:result|error)"')
_ID_LAST = re.compile(rb'"id"\s*:\s*(\d{1,18})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')
_NO_ID_FIRST = re.compile(_REPLY + rb'"(?:result|error)"')


class Refused(Exception):
    """The connection cannot go on; says why."""


class Lines:
    """Bytes in, whole lines out, in time linear in the bytes."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit, self._parts, self._size = limit, list[bytes](), 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` ends. Raises Refused where one grows past the limit."""
        *ended, rest = chunk.split(b"\n")
        if ended:
            ended[0] = b"".join([*self._parts, ended[0]])
            self._parts, self._size = [], 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
        if self._size > self._limit:
            raise Refused(f"it wrote a line of more than {self._limit // 2**20} MiB")
        return ended


def encoded(message: JSONRPCMessage) -> bytes:
    """The line of a message. A lone surrogate, which UTF-8 cannot carry, goes as an escape."""
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    except PydanticSerializationError:
        return dumps(message.model_dump(by_alias=True, exclude_unset=True)) + b"\n"


class Awaited(NamedTuple):
    """A request that has no reply yet: its method, the protocol it was sent under, the tool it calls."""

    method: str
    version: str | None
    tool: str | None


class Wire:
    """The traffic of one connection: knows which replies are awaited. `dropped` are the tools of the last listing
    whose definitions are not MCP, each with why; `schemas` the output schemas by tool, and `limit` the characters
    that are shown of a result, for those that are read in a process apart."""

    def __init__(self, log: ServerLog) -> None:
        self.dropped: dict[str, str] = {}
        self.schemas: Mapping[str, Mapping[str, Any]] = {}
        self.limit = Limits().result_tokens * CHARS_PER_TOKEN
        self._log = log
        self._awaited: dict[int | str, Awaited] = {}
        self._version: str | None = None
        self._second, self._notified, self._useless = 0.0, 0, 0

    def sent(self, message: JSONRPCMessage) -> None:
        """Note what goes out, before it goes out."""
        if isinstance(message, JSONRPCRequest):
            params = message.params or {}
            version = (params.get("_meta") or {}).get(PROTOCOL_VERSION_META_KEY)
            tool = params.get("name") if message.method == "tools/call" else None
            self._awaited[message.id] = Awaited(message.method, version or self._version, tool)
            if message.method == "tools/list" and "cursor" not in params:
                self.dropped = {}
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._awaited.pop((message.params or {}).get("requestId", 0), None)

    async def taken(self, line: bytes, now: float) -> list[JSONRPCMessage]:
        """As `received`, but the result of a call that is large is not parsed here: it comes as one `large_result`."""
        if len(line) <= LARGE:
            return self.received(line, now)
        schemas = {
            json.dumps(id): self.schemas[asked.tool]
            for id, asked in self._awaited.items()
            if asked.tool is not None and asked.tool in self.schemas
        }
        try:
            told, body = await apart("reply", {"schemas": schemas, "limit": self.limit}, line)
        except HostError as error:
            return self._unreadable(line, str(error))
        if told["kind"] == "unreadable":
            return self._unreadable(line, told["why"])
        if told["kind"] == "large" and (asked := self._awaited.get(told["id"])) and asked.method == told["method"]:
            del self._awaited[told["id"]]
            return [self._large(asked, told, body)]
        return self.received(line, now)

    def _large(self, asked: Awaited, told: Mapping[str, Any], body: bytes) -> JSONRPCMessage:
        """A small reply to stand for the large one, which it carries as a value of ours: no server can write that."""
        large = Large(body, tuple(told["outline"]))
        bad, problem = told["is_error"], told["problem"]
        if problem is not None:
            result = CallResult("error", is_error=True, cause="bad_result", reason=problem, large=large)
        else:
            result = CallResult("error" if bad else "ok", is_error=bad, large=large)
        small: dict[str, Any] = {"resultType": "complete", "content": [], "contents": []}
        small["_meta"] = {LARGE_RESULT: result}
        self._repair(asked, small)
        return JSONRPCResponse(jsonrpc="2.0", id=told["id"], result=small)

    def received(self, line: bytes, now: float) -> list[JSONRPCMessage]:
        """The messages of one line; several where it is a batch, none where it is noise. Raises Refused."""
        if now - self._second >= 1:
            self._second, self._notified, self._useless = now, 0, 0
        if not line.strip():
            return []
        try:
            value = from_json(line, allow_inf_nan=False)
        except ValueError as error:
            return self._unreadable(line, str(error))
        items = value if isinstance(value, list) else [value]
        if isinstance(value, list) and self._version != BATCHES:
            self._log.odd["it sends several messages as one, which its protocol does not have"] += 1
        return [message for item in items if (message := self._message(item, line)) is not None]

    def _message(self, item: Any, line: bytes) -> JSONRPCMessage | None:
        asked = self._asked(item)
        try:
            if asked is not None and isinstance(item.get("result"), dict):
                self._repair(asked, item["result"])
            message = jsonrpc_message_adapter.validate_python(item, by_name=False)
        except ValidationError as error:
            if asked is not None:
                return failure(item["id"], first_problem(error))
            self._noise(line)
            return None
        if isinstance(message, JSONRPCNotification):
            self._notified += 1
            if self._notified > NOTIFICATIONS:
                self._log.dropped += 1
                self._wasted()
                return None
        return message

    def _asked(self, item: Any) -> Awaited | None:
        """What the request was that this replies to; None if it is no reply, or nobody waits for it."""
        if not isinstance(item, dict) or "method" in item:
            return None
        id: Any = item.get("id")
        if isinstance(id, str) and id.isdecimal() and len(id) < 19:
            id = item["id"] = int(id)
            self._log.odd["it writes the id of a request otherwise than it got it"] += 1
        if isinstance(id, bool) or not isinstance(id, (int, str)):
            return None
        return self._awaited.pop(id, None)

    def _unreadable(self, line: bytes, why: str) -> list[JSONRPCMessage]:
        """A line that is not JSON. If it was to be one of our replies, that call fails now; else it is noise."""
        found = _ID_FIRST.match(line[:300])
        if found is None and _NO_ID_FIRST.match(line[:300]):
            found = _ID_LAST.search(line[-100:])
        if found is not None and int(found[1]) in self._awaited:
            del self._awaited[int(found[1])]
            return [failure(int(found[1]), why)]
        self._noise(line)
        return []

    def _noise(self, line: bytes) -> None:
        self._log.ignored(line)
        self._wasted()

    def _wasted(self) -> None:
        self._useless += 1
        if self._useless > FLOOD:
            raise Refused(f"it wrote more than {FLOOD} useless lines within a second")

    def _repair(self, asked: Awaited, result: dict[str, Any]) -> None:
        """Set right in place what would make the SDK throw away a result that can be used."""
        method, version, _ = asked
        if method == "initialize" and isinstance(result.get("protocolVersion"), str):
            self._version = result["protocolVersion"]
        if version in MODERN_PROTOCOL_VERSIONS:
            if "resultType" not in result:
                self._log.odd[f"its result of {method} has no resultType"] += 1
            result.setdefault("resultType", "complete")
            if method != "tools/call":
                result.setdefault("ttlMs", 0)
                result.setdefault("cacheScope", "private")
        if method == "tools/list" and isinstance(result.get("tools"), list):
            result["tools"], dropped = usable(result["tools"], version)
            self.dropped |= dropped
        elif method == "tools/call" and result.get("resultType") != "input_required":
            content = result.get("content") or []
            if not all(map(known, content)):
                self._log.odd["it sends content of a type that this host does not know"] += 1
            result["content"] = [block if known(block) else placeholder(block) for block in content]


def large_result(result: Mapping[str, Any]) -> CallResult | None:
    """The large result that this one stands for."""
    found = (result.get("_meta") or {}).get(LARGE_RESULT)
    return found if isinstance(found, CallResult) else None


def failure(id: int | str, why: str) -> JSONRPCError:
    """What the waiting call gets in place of a reply that cannot be read."""
    text = f"its reply cannot be read: {why}"
    return JSONRPCError(jsonrpc="2.0", id=id, error=ErrorData(code=PARSE_ERROR, message=text, data=UNREADABLE))


def usable(tools: list[Any], version: str | None) -> tuple[list[Any], dict[str, str]]:
    """The tools that are MCP, and those that are not with why: the SDK takes all of a listing or nothing."""
    for tool in tools:
        if isinstance(tool, dict) and isinstance(schema := tool.get("inputSchema"), dict):
            schema.setdefault("type", "object")
    if _problem(tools, version) is None:
        return tools, {}
    judged = [(tool, _problem([tool], version)) for tool in tools]
    dropped = {
        tool["name"] if isinstance(tool, dict) and isinstance(tool.get("name"), str) else f"tool {number}": why
        for number, (tool, why) in enumerate(judged)
        if why is not None
    }
    return [tool for tool, why in judged if why is None], dropped


def _problem(tools: list[Any], version: str | None) -> str | None:
    listing = {"tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    try:
        validate_server_result("tools/list", version or "", listing)
    except ValidationError as error:
        return first_problem(error).removeprefix("tools.0.")
    except (KeyError, ValueError):
        return None  # a version the SDK does not know is its own failure
    return None


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, on one short line."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:300]


def known(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in CONTENT


def placeholder(block: Any) -> dict[str, Any]:
    kind = block.get("type") if isinstance(block, dict) else type(block).__name__
    return {"type": "text", "text": f"[content of type {str(kind)[:50]!r}, not known to this host]"}
