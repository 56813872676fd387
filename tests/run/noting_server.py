#!/usr/bin/env python3
"""An MCP server (2026-07-28, no SDK, a thread for each call) that notes in the file $NOTES that it began and each
call as it came. What a tool does is told by its name."""

import json
import os
import sys
import threading
import time
from pathlib import Path

LOCK = threading.Lock()
ARRIVED = threading.Condition()
waiting: list[int] = []
came: list[int] = []
PATIENCE = 10
LIFE = os.urandom(8).hex()  # in a sandbox all process ids are alike


def note(**what) -> None:
    data = (json.dumps(what) + "\n").encode()
    descriptor = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, data)
    os.close(descriptor)


def write(line: str) -> None:
    with LOCK:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def result(id, **body) -> None:
    body = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **body}
    write(json.dumps({"jsonrpc": "2.0", "id": id, "result": body}))


def text(id, words, **more) -> None:
    result(id, content=[{"type": "text", "text": words}], **more)


NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
NAMES = ["look", "note", "gather", "wait", "meet", "crash", "hang", "fail", "both", "big", "mine", "identify"]
NAMES += ["ask", "raw", "moving"]
TOOLS = [{"name": n, "description": f"Does {n}.", "inputSchema": {"type": "object", "properties": {}}} for n in NAMES]
TOOLS.append({"name": "add", "description": "One more.", "inputSchema": NUMBER})
FORM = {"type": "object", "properties": {"card": {"type": "string"}}, "required": ["card"]}


def gather(id, wanted) -> None:
    """Wait until so many calls are in flight, then answer them, the last first."""
    with ARRIVED:
        waiting.append(id)
        came.append(id)
        ARRIVED.notify_all()
        full = ARRIVED.wait_for(lambda: len(came) >= wanted["of"] and waiting[-1] == id, PATIENCE)
        text(id, wanted["text"] if full else f"only {len(came)} came")
        waiting.remove(id)
        ARRIVED.notify_all()


def meet(id, arguments) -> None:
    """Answer when the call that it is to meet has come too."""
    Path(arguments["me"]).touch()
    end = time.monotonic() + PATIENCE
    while not Path(arguments["other"]).exists():
        if time.monotonic() > end:
            text(id, "nobody came", isError=True)
            return
        time.sleep(0.01)
    text(id, "met")


def ask(id, params) -> None:
    if "inputResponses" not in params:
        form = {"method": "elicitation/create", "params": {"message": "Which card?", "requestedSchema": FORM}}
        result(id, resultType="input_required", inputRequests={"pay": form}, requestState="as it was")
    else:
        text(id, json.dumps([params["requestState"], params["inputResponses"]["pay"]]))


def call(id, params) -> None:
    name, arguments = params["name"], params.get("arguments", {})
    match name:
        case "gather":
            gather(id, arguments)
        case "wait":
            time.sleep(arguments["ms"] / 1000)
            note(waited=arguments)
            text(id, "waited")
        case "meet":
            meet(id, arguments)
        case "crash" if not Path(arguments["unless"]).exists():
            Path(arguments["unless"]).touch()
            os._exit(3)
        case "hang":
            return
        case "fail":
            text(id, "no such order", isError=True)
        case "both":
            text(id, "in words", structuredContent={"in": "data"})
        case "big":
            half = arguments["size"] // 2
            text(id, "x" * half + arguments.get("needle", "") + "y" * half)
        case "mine":
            text(id, json.dumps({"pid": os.getpid(), **{k: os.environ.get(k) for k in ("MARK", "SHOP_TOKEN")}}))
        case "identify":
            text(id, "welcome", structuredContent={"user": arguments["user"]})
        case "ask":
            ask(id, params)
        case "raw":
            body = '{"resultType":"complete","content":[],"structuredContent":{"n":' + arguments["json"] + "}}"
            write(f'{{"jsonrpc":"2.0","id":{json.dumps(id)},"result":{body}}}')
        case "moving":
            token = {"progressToken": params["_meta"]["progressToken"], "progress": 1}
            token["message"] = os.environ.get("SHOP_TOKEN", "")
            write(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": token}))
            text(id, "moved")
        case "add":
            text(id, str(arguments["n"] + 1))
        case _:
            text(id, arguments.get("text", "done"))


def answer(message) -> None:
    id, params = message["id"], message.get("params") or {}
    match message["method"]:
        case "server/discover":
            result(id, supportedVersions=["2026-07-28"], capabilities={"tools": {}})
        case "tools/list":
            result(id, tools=TOOLS)
        case "tools/call":
            note(call=params["name"], arguments=params.get("arguments"), meta=params.get("_meta", {}), pid=LIFE)
            threading.Thread(target=call, args=(id, params), daemon=True).start()
        case method:
            write(json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": f"no {method}"}}))


note(began=LIFE, mark=os.environ.get("MARK"))
if "silent" in sys.argv:
    time.sleep(600)
for line in sys.stdin:
    message = json.loads(line)
    if "method" in message and "id" in message:
        answer(message)
