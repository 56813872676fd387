"""A small MCP server of the handshake era with a prompt, a picture, and a tool that asks; without an SDK."""

import json
import sys


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def answer(id, method, params):
    match method:
        case "initialize":
            offers = {"tools": {}, "prompts": {}, "resources": {}}
            info = {"name": "prompting", "version": "2"}
            send(id=id, result={"protocolVersion": "2025-11-25", "capabilities": offers, "serverInfo": info})
        case "tools/list":
            send(id=id, result={"tools": [{"name": "greet", "inputSchema": {"type": "object"}}]})
        case "tools/call":
            field = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
            asked = {"message": "Who are you?", "requestedSchema": field}
            send(id="ask", method="elicitation/create", params=asked)
            said = json.loads(sys.stdin.readline())["result"]
            text = f"hello {said['content']['name']}" if said["action"] == "accept" else said["action"]
            send(id=id, result={"content": [{"type": "text", "text": text}]})
        case "prompts/list":
            send(id=id, result={"prompts": [{"name": "sum_up", "arguments": [{"name": "topic"}]}]})
        case "prompts/get":
            text = {"type": "text", "text": f"Sum up {params['arguments']['topic']}."}
            send(id=id, result={"messages": [{"role": "user", "content": text}]})
        case "resources/read":
            send(id=id, result={"contents": [{"uri": params["uri"], "mimeType": "image/png", "blob": "AAH/"}]})
        case _:
            send(id=id, error={"code": -32601, "message": f"no {method}"})


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        answer(message["id"], message["method"], message.get("params") or {})
