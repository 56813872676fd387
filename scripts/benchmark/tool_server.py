#!/usr/bin/env python3
"""The benchmark's MCP server: echo, and sleep (milliseconds), any number of which run at once. No SDK, no asyncio."""

import heapq
import json
import os
import select
import time

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
MS = {"type": "object", "properties": {"ms": {"type": "integer"}}, "required": ["ms"]}
TOOLS = [
    {"name": "echo", "description": "Say the text again.", "inputSchema": TEXT},
    {"name": "sleep", "description": "Wait.", "inputSchema": MS},
]


def send(message: dict) -> None:
    data = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def words(text: str) -> dict:
    return {"content": [{"type": "text", "text": text}]}


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
                    case "tools/call":
                        send({"id": id, "result": words(params["arguments"]["text"])})
                    case _ if id is not None:
                        send({"id": id, "error": {"code": -32601, "message": "no such method"}})
        while due and due[0][0] <= time.monotonic():
            send({"id": heapq.heappop(due)[1], "result": words("slept")})


main()
