"""The shop's tickets as an MCP server without any library: JSON-RPC lines on stdin and stdout, ready in a blink.

It speaks both eras of the protocol: the `initialize` handshake up to 2025-11-25, and 2026-07-28, where every
request names its version and `server/discover` replaces the handshake.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from shop import Refused, Row, Shop, opened, options

MODERN, HANDSHAKE = "2026-07-28", ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
INFO = {"name": "ticketing", "version": "1.0"}
CAPABILITIES: Row = {"tools": {}, "resources": {}, "prompts": {}}
INSTRUCTIONS = "Read the ticket, identify its customer with the CRM, then act on the ticket with that customer_id."
CACHED = ("server/discover", "tools/list", "resources/list", "resources/templates/list", "prompts/list")

TICKET = {"type": "string", "pattern": r"^T-\d{2}$", "description": "A ticket, such as T-01"}
CUSTOMER = {"type": "string", "pattern": r"^C-\d{3}$", "description": "The identified customer, such as C-001"}
TEXT = {"type": "string", "pattern": r"\S"}
STATUS = {"type": "string", "enum": ["open", "pending", "resolved", "escalated"]}
TEAM = {"type": "string", "enum": ["supervisor", "logistics", "finance"]}
CURSOR = {"type": "string", "description": "next_cursor of the page before"}
READ = {"readOnlyHint": True, "openWorldHint": False}
ADD = {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}


class Tool(NamedTuple):
    run: Callable[[Shop, Row], Row]
    description: str
    annotations: Row
    takes: Row
    gives: Row
    optional: tuple[str, ...] = ()


class RpcError(Exception):
    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({"data": data} if data is not None else {})


def list_tickets(shop: Shop, params: Row) -> Row:
    asked = params["arguments"]
    where, values = ("WHERE status = ? ", (asked["status"],)) if "status" in asked else ("", ())
    sql = f"SELECT ticket_id, subject, status, team FROM tickets {where}ORDER BY ticket_id"
    rows, following = shop.page(sql, values, asked.get("cursor"))
    return {"tickets": rows, "next_cursor": following}


def get_ticket(shop: Shop, params: Row) -> Row:
    return ticket(shop, params["arguments"]["ticket_id"])


def ticket(shop: Shop, ticket_id: str) -> Row:
    found = shop.one(
        "SELECT ticket_id, subject, status, team, name, email FROM tickets JOIN customers USING (customer_id) "
        "WHERE ticket_id = ?",
        ticket_id,
    )
    if found is None:
        raise Refused(f"There is no ticket {ticket_id}. list_tickets shows the ones there are.")
    sql = "SELECT kind, text FROM messages WHERE ticket_id = ? ORDER BY message_id"
    return found | {"messages": shop.rows(sql, ticket_id)}


def add_note(shop: Shop, params: Row) -> Row:
    return change(shop, params, "note", "text")


def send_reply(shop: Shop, params: Row) -> Row:
    return change(shop, params, "reply", "text")


def set_status(shop: Shop, params: Row) -> Row:
    return change(shop, params)


def escalate(shop: Shop, params: Row) -> Row:
    return change(shop, params, "escalation", "reason")


def change(shop: Shop, params: Row, kind: str | None = None, text: str = "") -> Row:
    """Add a message of `kind` whose text is the argument named `text`, and set status and team as asked, once."""
    asked = params["arguments"]
    number, status = asked["ticket_id"], "escalated" if kind == "escalation" else asked.get("status")

    def effect(db: sqlite3.Connection) -> Row:
        own = "SELECT 1 FROM tickets WHERE ticket_id = ? AND customer_id = ?"
        if db.execute(own, (number, asked["customer_id"])).fetchone() is None:
            raise Refused(f"Customer {asked['customer_id']} has no ticket {number}.")
        if kind is not None:
            db.execute("INSERT INTO messages (ticket_id, kind, text) VALUES (?, ?, ?)", (number, kind, asked[text]))
        db.execute(
            "UPDATE tickets SET status = coalesce(?, status), team = coalesce(?, team) WHERE ticket_id = ?",
            (status, asked.get("team"), number),
        )
        sql = "SELECT ticket_id, status, team FROM tickets WHERE ticket_id = ?"
        row: Row = db.execute(sql, (number,)).fetchone()
        return row

    return shop.write(params, effect)


def shaped(properties: Row, optional: tuple[str, ...] = ()) -> Row:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


ROW: Row = {"ticket_id": TICKET, "status": STATUS, "team": {"type": "string"}}
HEAD: Row = {**ROW, "subject": {"type": "string"}}
MESSAGE = shaped({"kind": {"type": "string"}, "text": {"type": "string"}})
PAGE: Row = {
    "tickets": {"type": "array", "items": shaped(HEAD)},
    "next_cursor": {"type": ["string", "null"]},
}
WHOLE: Row = {
    **HEAD,
    "name": {"type": "string"},
    "email": {"type": "string"},
    "messages": {"type": "array", "items": MESSAGE},
}
OWN: Row = {"ticket_id": TICKET, "customer_id": CUSTOMER}
TOOLS = {
    "list_tickets": Tool(
        list_tickets, "The tickets, a page at a time, all or those of one status.", READ,
        {"status": STATUS, "cursor": CURSOR}, PAGE, ("status", "cursor"),
    ),
    "get_ticket": Tool(
        get_ticket, "One ticket with its messages and who wrote it.", READ, {"ticket_id": TICKET}, WHOLE
    ),
    "add_note": Tool(
        add_note, "Add a note that only colleagues see.", ADD, {**OWN, "text": TEXT}, ROW
    ),
    "set_status": Tool(
        set_status, "Set the status of a ticket.", ADD | {"idempotentHint": True},
        {**OWN, "status": {"type": "string", "enum": ["open", "pending", "resolved"]}}, ROW,
    ),
    "escalate": Tool(
        escalate, "Hand a ticket over to another team, with the reason.", ADD,
        {**OWN, "team": TEAM, "reason": TEXT}, ROW,
    ),
    "send_reply": Tool(
        send_reply, "Send a reply to the customer by e-mail. It cannot be taken back.",
        ADD | {"openWorldHint": True}, {**OWN, "text": TEXT}, ROW,
    ),
}  # fmt: skip


def broken(arguments: Row, tool: Tool) -> str | None:
    """What is wrong with the arguments, or None. Every argument of these tools is a text."""
    for name in tool.takes:
        if name not in arguments and name not in tool.optional:
            return f"{name} is missing"
    for name, value in arguments.items():
        schema = tool.takes.get(name)
        if schema is None:
            return f"there is no argument {name}; known: {', '.join(tool.takes)}"
        if not isinstance(value, str):
            return f"{name} is not a text"
        if value not in schema.get("enum", [value]):
            return f"{name} is one of {', '.join(schema['enum'])}"
        if not re.search(schema.get("pattern", ""), value):
            return f"{name} does not look like {schema.get('description', 'a text')}"
    return None


def call_tool(shop: Shop, params: Row) -> Row:
    tool = TOOLS.get(params.get("name", ""))
    if tool is None:
        raise RpcError(-32602, f"Unknown tool: {params.get('name')}")
    params = {**params, "arguments": params.get("arguments") or {}}
    try:
        if wrong := broken(params["arguments"], tool):
            raise Refused(f"{params['name']}: {wrong}")
        given = tool.run(shop, params)
    except Refused as error:
        return {"content": [{"type": "text", "text": str(error)}], "isError": True}
    text = json.dumps(given, ensure_ascii=False)
    return {"content": [{"type": "text", "text": text}], "structuredContent": given, "isError": False}


def list_tools(shop: Shop, params: Row) -> Row:
    return {
        "tools": [
            {
                "name": name,
                "description": tool.description,
                "inputSchema": shaped(tool.takes, tool.optional),
                "outputSchema": shaped(tool.gives),
                "annotations": tool.annotations,
            }
            for name, tool in TOOLS.items()
        ]
    }


def read_resource(shop: Shop, params: Row) -> Row:
    uri = str(params.get("uri"))
    try:
        if uri == "ticket://queue":
            body: Any = shop.rows("SELECT status, count(*) AS tickets FROM tickets GROUP BY status ORDER BY status")
        else:
            body = ticket(shop, uri.removeprefix("ticket://"))
    except Refused as error:
        raise RpcError(-32602, str(error), {"uri": uri}) from None
    text = json.dumps(body, ensure_ascii=False, indent=1)
    return {"contents": [{"uri": uri, "mimeType": "application/json", "text": text}]}


def get_prompt(shop: Shop, params: Row) -> Row:
    number = (params.get("arguments") or {}).get("ticket_id")
    if params.get("name") != "handle_ticket" or not number:
        raise RpcError(-32602, "The one prompt is handle_ticket(ticket_id)")
    text = f"Read ticket {number}, identify its customer, solve what they ask for, reply to them and close the ticket."
    return {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}


def discover(shop: Shop, params: Row) -> Row:
    return {"supportedVersions": [MODERN], "capabilities": CAPABILITIES, "instructions": INSTRUCTIONS}


def initialize(shop: Shop, params: Row) -> Row:
    wanted = params.get("protocolVersion")
    return {
        "protocolVersion": wanted if wanted in HANDSHAKE else HANDSHAKE[0],
        "capabilities": CAPABILITIES,
        "serverInfo": INFO,
        "instructions": INSTRUCTIONS,
    }


METHODS: dict[str, Callable[[Shop, Row], Row]] = {
    "server/discover": discover,
    "initialize": initialize,
    "ping": lambda shop, params: {},
    "tools/list": list_tools,
    "tools/call": call_tool,
    "resources/list": lambda shop, params: {
        "resources": [{"uri": "ticket://queue", "name": "queue", "description": "How many tickets of each status"}]
    },
    "resources/templates/list": lambda shop, params: {
        "resourceTemplates": [{"uriTemplate": "ticket://{ticket_id}", "name": "ticket"}]
    },
    "resources/read": read_resource,
    "prompts/list": lambda shop, params: {
        "prompts": [{"name": "handle_ticket", "arguments": [{"name": "ticket_id", "required": True}]}]
    },
    "prompts/get": get_prompt,
}


def answer(shop: Shop, method: str, params: Row) -> Row:
    """The result of one request, in the form of the era that the request names. Raises RpcError."""
    version = (params.get("_meta") or {}).get(VERSION_KEY)
    if version not in (None, MODERN):
        raise RpcError(
            -32022, "Unsupported protocol version", {"supported": [MODERN, *HANDSHAKE], "requested": version}
        )
    if method not in METHODS:
        raise RpcError(-32601, "Method not found", method)
    result = METHODS[method](shop, params)
    if version is None:
        return result
    cache = {"ttlMs": 0, "cacheScope": "private"} if method in (*CACHED, "resources/read") else {}
    return {**result, **cache, "resultType": "complete", "_meta": {"io.modelcontextprotocol/serverInfo": INFO}}


def reply(shop: Shop, line: str) -> Row | None:
    """What to write for a line that was read; None for a notification."""
    try:
        message = json.loads(line)
        number, method, params = message.get("id"), message["method"], message.get("params") or {}
    except (ValueError, AttributeError, KeyError):
        return {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Not a JSON-RPC request"}}
    if number is None:
        return None
    try:
        return {"jsonrpc": "2.0", "id": number, "result": answer(shop, method, params)}
    except RpcError as error:
        return {"jsonrpc": "2.0", "id": number, "error": error.error}


def main() -> None:
    shop = opened(options(http=False))
    for line in sys.stdin:
        if (out := reply(shop, line)) is not None:
            print(json.dumps(out), flush=True)


if __name__ == "__main__":
    main()
