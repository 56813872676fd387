#!/usr/bin/env python3
"""The benchmark's MCP server: echo, sleep (milliseconds; any number at once), rows (megabytes of JSON on one line, as
text or structured), spill (the same bytes without an end). No SDK, no asyncio."""

import heapq
import json
import os
import select
import time

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
MS = {"type": "object", "properties": {"ms": {"type": "integer"}}, "required": ["ms"]}
MB = {"type": "object", "properties": {"mb": {"type": "integer"}, "structured": {"type": "boolean"}}}
TOOLS = [
    {"name": "echo", "description": "Say the text again.", "inputSchema": TEXT},
    {"name": "sleep", "description": "Wait.", "inputSchema": MS},
    {"name": "rows", "description": "List many rows.", "inputSchema": MB},
    {"name": "spill", "description": "Never stop.", "inputSchema": TEXT},
]


def send(message: dict) -> None:
    put(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def put(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def words(text: str) -> dict:
    return {"content": [{"type": "text", "text": text}]}


def rows(id: int, mb: int, structured: bool) -> None:
    """Text by multiplication, so that this process stays small and quick."""
    row = '{"id":17,"name":"a row","tags":["x","y"],"price":12.5,"note":null},'
    found = '{"rows":[' + (row * (mb * 2**20 // len(row)))[:-1] + "]}"
    text = found.replace('"', '\\"')
    result = (
        f'"content":[],"structuredContent":{found}' if structured else f'"content":[{{"type":"text","text":"{text}"}}]'
    )
    put(f'{{"jsonrpc":"2.0","id":{id},"result":{{{result}}}}}\n'.encode())


def main() -> None:
    due: list[tuple[float, int]] = []
    rest = b""
    while True:
        wait = max(0.0, due[0][0] - time.monotonic()) if due else None
        if select.select([0], [], [], wait)[0]:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                id, params = message.get("id"), message.get("params") or {}
                match message.get("method"):
                    case "initialize":
                        info = {"serverInfo": {"name": "bench", "version": "1"}, "capabilities": {"tools": {}}}
                        send({"id": id, "result": {"protocolVersion": params["protocolVersion"], **info}})
                    case "tools/list":
                        send({"id": id, "result": {"tools": TOOLS}})
                    case "tools/call" if params["name"] == "sleep":
                        heapq.heappush(due, (time.monotonic() + params["arguments"]["ms"] / 1000, id))
                    case "tools/call" if params["name"] == "rows":
                        rows(id, **params["arguments"])
                    case "tools/call" if params["name"] == "spill":
                        while True:
                            put(params["arguments"]["text"].encode() * 10_000)
                    case "tools/call":
                        send({"id": id, "result": words(params["arguments"]["text"])})
                    case _ if id is not None:
                        send({"id": id, "error": {"code": -32601, "message": "no such method"}})
        while due and due[0][0] <= time.monotonic():
            send({"id": heapq.heappop(due)[1], "result": words("slept")})


main()
