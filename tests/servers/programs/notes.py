#!/usr/bin/env python3
"""A small MCP server without an SDK that has everything besides tools: resources, templates, prompts, completion,
subscriptions, instructions and a log.

    notes.py ERA [TRAIT ...]        ERA: modern (2026-07-28) or legacy (2025-11-25)

With $LEDGER set it appends each message it receives to that file, one line each."""

import base64
import json
import os
import sys
import time
import zlib
from pathlib import Path

ERA, TRAITS = sys.argv[1], sys.argv[2:]
MODERN = ERA == "modern"
NOTES = {"one": "Buy milk.", "two": "Call Ana about order 8841.", "long": "a line of it\n" * 6_000}
TOPICS = ["apples", "apricots", "bananas", "cherries"]
STREAM = {"id": None, "filter": {}}
SUBSCRIBED = set()
LEVEL = {"now": None}


def png(width, height):
    """A picture: a red field."""

    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    rows = (b"\0" + b"\xd0\x40\x40" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PICTURE = base64.b64encode(png(16, 8)).decode()


def send(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def reply(id, **result):
    send(id=id, result={"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **result} if MODERN else result)


def tell(method, wanted, **params):
    """A notification, if somebody wants it: on the subscription, or before that era to whoever is there."""
    if MODERN and STREAM["id"] is None:
        return
    if MODERN and not wanted(STREAM["filter"]):
        return
    meta = {"_meta": {"io.modelcontextprotocol/subscriptionId": STREAM["id"]}} if MODERN else {}
    send(method=f"notifications/{method}", params=params | meta)


def log(level, meta, data):
    wanted = meta.get("io.modelcontextprotocol/logLevel") if MODERN else LEVEL["now"]
    order = ["debug", "info", "warning", "error"]
    if wanted and order.index(level) >= order.index(wanted):
        send(method="notifications/message", params={"level": level, "logger": "shelf", "data": data})


def tool(name, **more):
    return {"name": name, "description": f"Does {name}.", "inputSchema": {"type": "object"}, **more}


SUM = {"type": "object", "properties": {"notes": {"type": "integer"}}, "required": ["notes"]}


def tools():
    return [tool("everything", outputSchema=SUM), tool("add_note"), tool("change_note"), tool("work"), tool("crash")]


def resources():
    listed = [
        {"uri": f"note://{name}", "name": name, "title": f"Note {name}", "mimeType": "text/plain"} for name in NOTES
    ]
    picture = {"uri": "picture://red", "name": "red", "description": "A red field", "mimeType": "image/png"}
    return [*listed, picture, {"uri": "blob://raw", "name": "raw", "mimeType": "application/octet-stream"}]


def contents(uri):
    kind, _, name = uri.partition("://")
    if kind == "note" and name in NOTES:
        return [{"uri": uri, "mimeType": "text/plain", "text": NOTES[name]}]
    if kind == "topic":
        return [{"uri": uri, "mimeType": "text/markdown", "text": f"# All about {name}"}]
    if uri == "picture://red":
        return [{"uri": uri, "mimeType": "image/png", "blob": PICTURE}]
    if uri == "blob://raw":
        return [{"uri": uri, "mimeType": "application/octet-stream", "blob": "AAECAw=="}]
    return None


def prompts():
    arguments = [{"name": "topic", "description": "What it is about", "required": True}, {"name": "style"}]
    return [
        {"name": "sum_up", "title": "Sum up", "description": "Sums up a topic", "arguments": arguments},
        {"name": "greet", "description": "Says hello"},
    ]


def filled(params):
    arguments = params.get("arguments") or {}
    if params["name"] == "greet":
        return [{"role": "user", "content": {"type": "text", "text": "Greet me like a pirate."}}]
    words = f"Sum up {arguments['topic']}" + (f" in the style of {arguments['style']}" if "style" in arguments else "")
    note = {"uri": "note://one", "mimeType": "text/plain", "text": NOTES["one"]}
    return [
        {"role": "user", "content": {"type": "text", "text": f"{words}."}},
        {"role": "user", "content": {"type": "resource", "resource": note}},
    ]


def complete(params):
    """Values for the topic of the prompt and of the template; a style depends on the topic."""
    argument, given = params["argument"], (params.get("context") or {}).get("arguments") or {}
    known = TOPICS if argument["name"] == "topic" else [f"{given.get('topic', 'any')}-plain", "rhymed"]
    return [each for each in known if each.startswith(argument["value"])]


def on_call(id, params):
    match params["name"]:
        case "everything":
            content = [
                {"type": "text", "text": "All kinds of content."},
                {"type": "image", "mimeType": "image/png", "data": PICTURE},
                {"type": "audio", "mimeType": "audio/wav", "data": "UklGRg=="},
                {"type": "resource_link", "uri": "topic://cherries", "name": "cherries", "mimeType": "text/markdown"},
                {"type": "resource", "resource": contents("note://two")[0]},
            ]
            reply(id, content=content, structuredContent={"notes": len(NOTES)})
        case "add_note":
            NOTES[f"n{len(NOTES)}"] = "A new note."
            tell("resources/list_changed", lambda f: f.get("resourcesListChanged"))
            reply(id, content=[{"type": "text", "text": "added"}])
        case "change_note":
            NOTES["one"] = "Buy oat milk."
            if MODERN or "note://one" in SUBSCRIBED:
                wanted = lambda f: "note://one" in f.get("resourceSubscriptions", [])
                tell("resources/updated", wanted, uri="note://one")
            reply(id, content=[{"type": "text", "text": "changed"}])
        case "work":
            token = (params.get("_meta") or {}).get("progressToken")
            for step in range(1, 4):
                log(["debug", "info", "warning"][step - 1], params.get("_meta") or {}, {"step": step})
                if token is not None:
                    progress = {"progressToken": token, "progress": step, "total": 3, "message": f"step {step}"}
                    send(method="notifications/progress", params=progress)
                time.sleep(float((params.get("arguments") or {}).get("pause", 0)))
            reply(id, content=[{"type": "text", "text": "worked"}])


def on_asked(id, method, params):
    """What is named "asked" is given once a person said for whom, in today's era."""
    field = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    form = {"method": "elicitation/create", "params": {"message": "For whom?", "requestedSchema": field}}
    if "inputResponses" not in params:
        reply(id, resultType="input_required", inputRequests={"k": form}, requestState="as it was")
    elif params["requestState"] != "as it was":
        send(id=id, error={"code": -32602, "message": "that is not the state I gave"})
    elif method == "resources/read":
        reply(id, contents=[{"uri": "asked", "text": json.dumps(params["inputResponses"]["k"])}])
    else:
        words = json.dumps(params["inputResponses"]["k"])
        reply(id, messages=[{"role": "user", "content": {"type": "text", "text": words}}])


def on_request(id, method, params):
    offers = {
        "tools": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
        "prompts": {"listChanged": True},
        "completions": {},
        "logging": {},
    }
    says = {"instructions": "Notes are short. Read note://one first."}
    match method:
        case "server/discover" if MODERN:
            reply(id, supportedVersions=["2026-07-28"], capabilities=offers, **says)
        case "initialize" if not MODERN:
            server = {"name": "notes", "version": "1"}
            reply(id, protocolVersion="2025-11-25", capabilities=offers, serverInfo=server, **says)
        case "tools/list":
            reply(id, tools=tools())
        case "tools/call":
            on_call(id, params)
        case "resources/list":
            start = int(params.get("cursor", 0))
            more = {"nextCursor": str(start + 3)} if len(resources()) > start + 3 else {}
            reply(id, resources=resources()[start : start + 3], **more)
        case "resources/templates/list":
            topic = {"uriTemplate": "topic://{topic}", "name": "topic", "description": "All about a topic"}
            reply(id, resourceTemplates=[topic])
        case "resources/read" | "prompts/get" if "asked" in (params.get("uri"), params.get("name")):
            on_asked(id, method, params)
        case "resources/read" if contents(params["uri"]):
            reply(id, contents=contents(params["uri"]))
        case "resources/subscribe" if not MODERN:
            SUBSCRIBED.add(params["uri"])
            reply(id)
        case "logging/setLevel" if not MODERN:
            LEVEL["now"] = params["level"]
            reply(id)
        case "prompts/list":
            reply(id, prompts=prompts())
        case "prompts/get":
            reply(id, messages=filled(params))
        case "completion/complete":
            reply(id, completion={"values": complete(params), "hasMore": False})
        case "subscriptions/listen" if MODERN:
            STREAM["id"], STREAM["filter"] = id, params["notifications"]
            meta = {"io.modelcontextprotocol/subscriptionId": id}
            told = {"_meta": meta, "notifications": params["notifications"]}
            send(method="notifications/subscriptions/acknowledged", params=told)
        case "resources/read":
            send(id=id, error={"code": -32602, "message": f"no resource {params['uri']}"})
        case _:
            send(id=id, error={"code": -32601, "message": f"no {method}"})


for line in sys.stdin.buffer:
    if "LEDGER" in os.environ:
        with Path(os.environ["LEDGER"]).open("ab") as ledger:
            ledger.write(line)
    message = json.loads(line)
    if "id" in message and "method" in message:
        if message["method"] == "tools/call" and message["params"]["name"] == "crash":
            os._exit(3)
        on_request(message["id"], message["method"], message.get("params") or {})
