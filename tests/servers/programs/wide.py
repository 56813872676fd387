#!/usr/bin/env python3
"""An MCP server with as many tools as its first argument says, each of them a verb and a thing. No SDK."""

import json
import sys

VERBS = ["archive", "approve", "count", "export", "list", "merge", "move", "rename", "split", "watch"]
THINGS = ["albums", "badges", "cables", "dishes", "engines", "flags", "gardens", "hats", "islands", "jackets"]
THINGS += ["kites", "lamps", "maps", "nets", "oars", "pianos", "quilts", "ropes", "spoons", "tents"]
THINGS += ["urns", "valves", "wheels", "yachts", "zebras", "anchors", "bells", "crates", "drums", "easels"]
NAMES = [f"{verb}_{thing}" for thing in THINGS for verb in VERBS][: int(sys.argv[1])]
LONG = "It works on one at a time, keeps what it cannot change, and tells of each what was done and why. " * 2
INFO = {"serverInfo": {"name": "wide", "version": "1"}, "capabilities": {"tools": {}}}


def tool(name: str) -> dict:
    verb, thing = name.split("_")
    schema = {"type": "object", "properties": {"which": {"type": "string", "description": f"Which of the {thing}."}}}
    about = f"{verb.capitalize()} {thing}. {LONG}"
    hints = {"readOnlyHint": True, "openWorldHint": False}
    return {"name": name, "description": about, "inputSchema": schema, "annotations": hints}


def send(**message: object) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    id, params = message["id"], message.get("params") or {}
    match message["method"]:
        case "initialize":
            told = {"instructions": "Keeps things in order, one shelf after the other."}
            send(id=id, result={"protocolVersion": params["protocolVersion"], **INFO, **told})
        case "tools/list":
            send(id=id, result={"tools": [tool(name) for name in NAMES]})
        case "tools/call":
            said = f"{params['name']}: {params.get('arguments', {}).get('which')}"
            send(id=id, result={"content": [{"type": "text", "text": said}]})
        case _:
            send(id=id, error={"code": -32601, "message": "no such method"})
