#!/usr/bin/env python3
"""An MCP server (2025-11-25, no SDK) that lists what stands in the file $TOOLS now, and notes each call in $NOTES.

The call of `turn` puts its argument `tools` in that file and, with `told`, says that the list has changed. While there
is a file $WAIT it does not begin."""

import json
import os
import sys
import time
from pathlib import Path

TOOLS, NOTES = Path(os.environ["TOOLS"]), Path(os.environ["NOTES"])


def send(**message) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def call(name, arguments) -> str:
    with NOTES.open("a") as notes:
        notes.write(json.dumps({"call": name, "arguments": arguments}) + "\n")
    if name == "turn":
        TOOLS.write_text(json.dumps(arguments["tools"]))
        if arguments.get("told"):
            send(method="notifications/tools/list_changed")
    return f"did {name}"


end = time.monotonic() + 30
while os.environ.get("WAIT") and Path(os.environ["WAIT"]).exists() and time.monotonic() < end:
    time.sleep(0.01)
for line in sys.stdin:
    message = json.loads(line)
    id, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if method == "initialize":
        about = {"serverInfo": {"name": "turning", "version": "1.2"}, "capabilities": {"tools": {"listChanged": True}}}
        send(id=id, result={"protocolVersion": "2025-11-25", **about})
    elif method == "tools/list":
        send(id=id, result={"tools": json.loads(TOOLS.read_text())})
    elif method == "tools/call":
        said = call(params["name"], params.get("arguments", {}))
        send(id=id, result={"content": [{"type": "text", "text": said}]})
    elif id is not None:
        send(id=id, error={"code": -32601, "message": "no such method"})
