"""An MCP server without an SDK that wants an answer of the model, and asks which folders it may know of:
wishing_server.py modern|legacy"""

import json
import sys
import threading

MODERN = sys.argv[1] == "modern"
WISH = {
    "messages": [{"role": "user", "content": {"type": "text", "text": "Name a colour."}}],
    "systemPrompt": "You love nature.",
    "maxTokens": 50,
}
SENT = {
    "answer": ("sampling/createMessage", WISH),
    "folders": ("roots/list", {}),
    "twice": ("sampling/createMessage", WISH),
}
came = {name: threading.Event() for name in SENT}
answers = {}


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def reply(id, **result):
    more = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if MODERN else {}
    send(id=id, result=more | result)


def text(id, value):
    reply(id, content=[{"type": "text", "text": json.dumps(value)}])


def call(id, name, params):
    method, wish = SENT[name]
    if not MODERN:
        send(id=name, method=method, params=wish)
        assert came[name].wait(20)
        text(id, answers[name])
    elif "inputResponses" in params:
        text(id, {"result": params["inputResponses"]["k"]})
    else:
        wishes = ("k", "l") if name == "twice" else ("k",)
        requests = {key: {"method": method, "params": wish} for key in wishes}
        reply(id, resultType="input_required", inputRequests=requests)


def answer(id, method, params):
    match method:
        case "server/discover" if MODERN:
            reply(id, supportedVersions=["2026-07-28"], capabilities={"tools": {}})
        case "initialize":
            info = {"name": "wishing", "version": "1"}
            reply(id, protocolVersion="2025-11-25", capabilities={"tools": {}}, serverInfo=info)
        case "tools/list":
            reply(id, tools=[{"name": name, "inputSchema": {"type": "object"}} for name in SENT])
        case "tools/call":
            threading.Thread(target=call, args=(id, params["name"], params), daemon=True).start()
        case _:
            send(id=id, error={"code": -32601, "message": f"no {method}"})


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        answer(message["id"], message["method"], message.get("params") or {})
    elif message.get("id") in came:
        answers[message["id"]] = {key: message[key] for key in ("result", "error") if key in message}
        came[message["id"]].set()
