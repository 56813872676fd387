#!/usr/bin/env python3
"""An MCP server (2026-07-28, no SDK) that keeps a ledger: a line, fsynced, before each answer. It does not look at
idempotency keys: that nothing happens twice is the host's work. Usage: ledger_server.py LEDGER [PAUSE_MS]"""

import json
import os
import sys
import time
from pathlib import Path

LEDGER, PAUSE = sys.argv[1], int(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0
ID = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
FORM = {
    "type": "object",
    "properties": {"method": {"type": "string", "enum": ["card", "bank"]}},
    "required": ["method"],
}
TOOLS = [
    {"name": "look", "description": "Look an order up.", "inputSchema": ID},
    {"name": "refund", "description": "Refund an order.", "inputSchema": ID},
    {"name": "give_back", "description": "Take goods back; asks for the payment method.", "inputSchema": ID},
]


def note(what: str, id: str) -> None:
    with Path(LEDGER).open("a") as ledger:
        ledger.write(f"{what} {id}\n")
        ledger.flush()
        os.fsync(ledger.fileno())


def call(name: str, arguments: dict, params: dict) -> dict:
    id = arguments["id"]
    if name == "give_back" and "inputResponses" not in params:
        request = {
            "method": "elicitation/create",
            "params": {"mode": "form", "message": "How to pay back?", "requestedSchema": FORM},
        }
        return {"resultType": "input_required", "inputRequests": {"pay": request}, "requestState": f"state of {id} ✓"}
    if name == "give_back":
        assert params["requestState"] == f"state of {id} ✓", params
        answer = params["inputResponses"]["pay"]
        if answer["action"] != "accept":
            return {"resultType": "complete", "content": [{"type": "text", "text": "not taken back"}], "isError": True}
    time.sleep(PAUSE)
    note(name, id)
    time.sleep(PAUSE)
    return {"resultType": "complete", "content": [{"type": "text", "text": f"{name} {id}: done"}]}


def answer(message: dict) -> dict:
    method, params = message["method"], message.get("params") or {}
    if method == "server/discover":
        return {
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
            "ttlMs": 0, "cacheScope": "private",
        }  # fmt: skip
    if method == "tools/list":
        return {"resultType": "complete", "tools": TOOLS, "ttlMs": 0, "cacheScope": "private"}
    return call(params["name"], params.get("arguments") or {}, params)


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer(message)}), flush=True)
