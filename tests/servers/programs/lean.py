#!/usr/bin/env python3
"""A small MCP server without an SDK, well behaved but for what its arguments ask of it.

    lean.py ERA [TRAIT ...]        ERA: modern (2026-07-28) or legacy (2025-11-25), or the name of a variable that says

With $LEDGER set it appends each message it receives to that file, one line each."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ERA, TRAITS = os.environ.get(sys.argv[1], sys.argv[1]), sys.argv[2:]
MODERN = ERA == "modern"
LOCK = threading.Lock()
STATE = 'opaque "state"\u00e9 \\ \u2028 {"a":1}  '
answers = {}
NOW = {"grown": 0, "subscription": None, "listed": 0}


def write(line):
    with LOCK:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


def send(**message):
    write(json.dumps({"jsonrpc": "2.0", **message}).encode())


def reply(id, **result):
    send(id=id, result={"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **result} if MODERN else result)


def text(id, words, **more):
    reply(id, content=[{"type": "text", "text": words}], **more)


def tool(name, properties=None, **more):
    schema = {"type": "object", "properties": properties or {}}
    return {"name": name, "description": f"Does {name}.", "inputSchema": schema, **more}


NUMBER = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
TOOLS = [
    tool("add", {"a": {"type": "integer"}, "b": {"type": "integer"}}, outputSchema=NUMBER),
    tool("wrong", outputSchema=NUMBER),
    *[tool(name) for name in ("env", "echo", "ask", "crash", "hang", "slow", "big", "broken", "odd", "fail")],
    tool("rows", outputSchema={"type": "object", "properties": {"sum": {"type": "integer"}}}),
    *[tool(name) for name in ("texts", "image", "late_id")],
    *[tool(name) for name in ("kinds", "strange", "pings", "hangup")],
    *[tool(name) for name in ("grow", "noise", "pid", "error", "raw", "meta", "chatty")],
]


def listing():
    more = [tool(f"grown{n}") for n in range(NOW["grown"])]
    if "wide" in TRAITS:
        more += [tool(f"wide{n}") | {"description": "It is a tool of many. " * 50} for n in range(250)]
    if "bad_tool" in TRAITS:
        more += [tool("odd_schema") | {"inputSchema": {"type": "string"}}, {"name": "no_schema"}]
        more += [tool("empty_schema") | {"inputSchema": {}}, tool("no_type") | {"inputSchema": {"properties": {}}}]
        more += [
            tool("deep") | {"inputSchema": {"type": "object", "properties": {"a": {"$ref": "http://x.invalid/s"}}}}
        ]
    if "mirror" in TRAITS:
        NOW["listed"] += 1
        more += [tool("tell", {"to": {"type": "string", "x-mcp-header": f"To{NOW['listed']}"}})]
    return TOOLS + more


def on_list(id, params):
    if "no_listing" in TRAITS:
        send(id=id, error={"code": -32603, "message": "no list today"})
        return
    if "no_result_type" in TRAITS:
        send(id=id, result={"tools": listing()})
        return
    if "pages" in TRAITS:
        start = int(params.get("cursor", 0))
        page = listing()[start : start + 4]
        cursor = {"nextCursor": str(start + 4)} if start + 4 < len(listing()) else {}
        reply(id, tools=page, **cursor)
        return
    if "endless_pages" in TRAITS:
        reply(id, tools=listing() if "cursor" not in params else [], nextCursor="again")
        return
    reply(id, tools=listing())


KINDS = [
    {"type": "text", "text": "words"},
    {"type": "image", "mimeType": "image/png", "data": "AAAA"},
    {"type": "audio", "mimeType": "audio/wav", "data": "AAAA"},
    {"type": "resource_link", "uri": "note://one", "name": "one"},
    {"type": "resource", "resource": {"uri": "note://two", "mimeType": "text/plain", "text": "two"}},
]


def ping_back(id):
    """Ask the host what it must answer, and what it does not know; tell what it said."""
    said = []
    for number, method in enumerate(("ping", "roots/list", "no/such/method")):
        asked = f"e{id}.{number}"
        answers[asked] = threading.Event()
        send(id=asked, method=method)
        answers[asked].wait()
        said.append(answers["r" + asked[1:]])
    text(id, json.dumps(said))


def ask_legacy(id, arguments):
    params = {"message": "Which?", "requestedSchema": {"type": "object", "properties": {"which": {"type": "string"}}}}
    if arguments.get("url"):
        params = {"mode": "url", "message": "Go", "url": arguments["url"], "elicitationId": "e1"}
    answers[f"e{id}"] = threading.Event()
    send(id=f"e{id}", method="elicitation/create", params=params)
    answers[f"e{id}"].wait()
    text(id, json.dumps(answers[f"r{id}"]))


def ask_modern(id, params):
    form = {"message": "Which?", "requestedSchema": {"type": "object", "properties": {"which": {"type": "string"}}}}
    if "inputResponses" not in params:
        requests = {"k": {"method": "elicitation/create", "params": form}}
        reply(id, resultType="input_required", inputRequests=requests, requestState=STATE)
    elif params.get("requestState") != STATE:
        send(id=id, error={"code": -32602, "message": "that is not the state I gave"})
    else:
        text(id, json.dumps(params["inputResponses"]))


def on_call(id, params):
    name, arguments = params["name"], params.get("arguments", {})
    match name:
        case "add":
            total = arguments["a"] + arguments["b"]
            text(id, str(total), structuredContent={"sum": total})
        case "wrong":
            text(id, "done", structuredContent={"sum": "many"})
        case "env":
            text(id, json.dumps(dict(os.environ)))
        case "echo" | "tell":
            text(id, "echoed", structuredContent=arguments)
        case "meta":
            text(id, json.dumps(params.get("_meta", {})))
        case "ask" if MODERN:
            ask_modern(id, params)
        case "ask":
            threading.Thread(target=ask_legacy, args=(id, arguments), daemon=True).start()
        case "crash":
            print("the disk is full", file=sys.stderr, flush=True)
            os._exit(3)
        case "hang":
            pass
        case "slow":
            token = params["_meta"]["progressToken"]
            for step in range(arguments.get("steps", 4)):
                time.sleep(arguments["pause"])
                send(
                    method="notifications/progress", params={"progressToken": token, "progress": step, "message": "on"}
                )
            text(id, "finally")
        case "big":
            text(id, "x" * arguments["size"] + "end")
        case "rows":
            found = {"rows": [{"id": n, "name": "é", "sum": None} for n in range(arguments["count"])]} | arguments[
                "more"
            ]
            reply(id, content=[], structuredContent=found, isError=arguments.get("error", False))
        case "texts":
            reply(id, content=[{"type": "text", "text": f"text {n} " + "y" * 1000} for n in range(arguments["count"])])
        case "image":
            data = "A" * arguments["size"]
            reply(id, content=[{"type": "image", "mimeType": "image/png", "data": data}])
        case "late_id":
            result = {"content": [{"type": "text", "text": "z" * 400_000}]}
            write(json.dumps({"jsonrpc": "2.0", "result": result, "id": str(id)}).encode())
        case "broken":
            head = f'{{"jsonrpc":"2.0","id":{id},"result":{{"x":'.encode()
            write({"utf8": head + b'"\xff"}}', "deep": head + b"[" * 50000 + b"]" * 50000 + b"}}"}[arguments["how"]])
        case "kinds":
            reply(id, content=KINDS)
        case "strange":
            reply(id, resultType="deferred", content=[])
        case "pings":
            threading.Thread(target=ping_back, args=(id,), daemon=True).start()
        case "hangup":
            reply(NOW["subscription"])
            NOW["grown"] += 1
            text(id, "no more news")
        case "odd":
            reply(id, content=[{"type": "hologram", "beam": 1}, {"type": "text", "text": "plain"}])
        case "fail":
            text(id, "no such thing", isError=True)
        case "error":
            send(id=id, error={"code": -32602, "message": "I do not know that"})
        case "raw":
            reply(id, content=[{"type": "text", "text": "t", "_meta": {"n": None}}], structuredContent={"n": None}, x=1)
        case "noise":
            write(b"Debug: \xff\xfe\x00 not a message")
            write(b'{"level": "info", "id": 1}')
            text(id, "still here")
        case "chatty":
            for _ in range(2000):
                send(method="notifications/message", params={"level": "info", "data": "chat"})
            text(id, "said enough")
        case "pid":
            text(id, json.dumps([os.getpid(), child and child.pid]))
        case "grow":
            NOW["grown"] += 1
            params = {"_meta": {"io.modelcontextprotocol/subscriptionId": NOW["subscription"]}} if MODERN else {}
            send(method="notifications/tools/list_changed", params=params)
            text(id, "grown")


def on_request(id, method, params):
    if "slow_start" in TRAITS:
        return
    changes = {"tools": {"listChanged": True}, "resources": {}}
    server = {"name": "lean", "version": os.environ.get("VERSION", "1")}
    match method:
        case "server/discover" if "dies_on_discover" in TRAITS:
            print("unknown method", file=sys.stderr, flush=True)
            os._exit(1)
        case "server/discover" if "silent_on_discover" in TRAITS:
            pass
        case "server/discover" if MODERN:
            reply(id, supportedVersions=["2026-07-28"], capabilities=changes)
        case "initialize" if not MODERN:
            version = next((t for t in TRAITS if t.startswith("20")), "2025-11-25")
            reply(id, protocolVersion=version, capabilities=changes, serverInfo=server)
        case "tools/list":
            on_list(id, params)
        case "tools/call":
            on_call(id, params)
        case "resources/list" if "lists_resources" in TRAITS:
            ttl = next((int(trait[4:]) for trait in TRAITS if trait.startswith("ttl_")), 0)
            reply(id, resources=[{"uri": "note://one", "name": "one"}], ttlMs=ttl)
        case "resources/read" if params["uri"] == "note://one":
            reply(id, contents=[{"uri": params["uri"], "mimeType": "text/plain", "text": "one note"}])
        case "resources/read" if params["uri"] == "note://long":
            reply(id, contents=[{"uri": params["uri"], "text": "a line of it\n" * 50_000}])
        case "subscriptions/listen" if MODERN:
            NOW["subscription"] = id
            honored = {"toolsListChanged": True}
            meta = {"io.modelcontextprotocol/subscriptionId": id}
            send(method="notifications/subscriptions/acknowledged", params={"_meta": meta, "notifications": honored})
        case _:
            send(id=id, error={"code": -32601, "message": f"no {method}"})


child = None
if "dies_at_start" in TRAITS:
    print("Traceback: no module named nothing", file=sys.stderr, flush=True)
    sys.exit(4)
if "stubborn" in TRAITS:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])  # what is ignored stays ignored in a child
if "brood" in TRAITS and (between := os.fork()):
    os.waitpid(between, 0)  # then the session is made, and who is in it has no parent
elif "brood" in TRAITS:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        for standard in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), standard)
        os.execvp("sleep", ["sleep", "600"])
    os._exit(0)
if "orphan" in TRAITS:
    child = subprocess.Popen(["sleep", "600"])
if "chatters" in TRAITS:
    print("I am ready", flush=True)
if "raises" in TRAITS:
    print("Traceback (most recent call last):\n  File x\nKeyError: 'config'", file=sys.stderr, flush=True)
if "sleepy" in TRAITS:
    time.sleep(float(os.environ.get("SLEEP", "3.2")))

for line in sys.stdin.buffer:
    if "LEDGER" in os.environ:
        with Path(os.environ["LEDGER"]).open("ab") as ledger:
            ledger.write(line)
    message = json.loads(line)
    if "method" not in message:
        key = str(message["id"])[1:]
        answers[f"r{key}"] = message.get("result", message.get("error"))
        answers[f"e{key}"].set()
    elif "id" in message:
        on_request(message["id"], message["method"], message.get("params", {}))
if "stubborn" in TRAITS:
    time.sleep(600)
