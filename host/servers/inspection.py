"""What a server says of itself: asked for whole, as a person who looks into it wants it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import mcp_types as types

from host.core.errors import HostError
from host.servers.connection import PAGES, Connection

SHORTEST = 1.0

Make = Callable[[types.PaginatedRequestParams | None], types.Request[Any, Any]]
LISTS: Mapping[str, tuple[str, str, Make]] = {
    "tools": ("tools", "tools", lambda params: types.ListToolsRequest(params=params)),
    "resources": ("resources", "resources", lambda params: types.ListResourcesRequest(params=params)),
    "resource_templates": (
        "resources",
        "resourceTemplates",
        lambda params: types.ListResourceTemplatesRequest(params=params),
    ),
    "prompts": ("prompts", "prompts", lambda params: types.ListPromptsRequest(params=params)),
}


async def inspect(connection: Connection) -> dict[str, Any]:
    """All lists of a server, each whole or empty with why in `errors`."""
    client = connection.client
    info, offers = client.server_info, connection.offers
    found: dict[str, Any] = {
        "protocol": connection.protocol,
        "server": {"name": info.name, "version": info.version} if info else {"name": None, "version": None},
        "instructions": client.instructions,
        "capabilities": offers.model_dump(by_alias=True, exclude_none=True, mode="json"),
        "errors": {},
    }
    for name, (capability, key, make) in LISTS.items():
        found[name] = []
        if getattr(offers, capability) is not None:
            try:
                found[name], _ = await whole_list(connection, key, make)
            except HostError as error:
                found["errors"][name] = str(error)
    return found


async def listed(connection: Connection, name: str) -> list[Any]:
    """One of `LISTS`, asked for and kept for as long as the server lets us. Raises HostError."""
    capability, key, make = LISTS[name]
    if getattr(connection.offers, capability) is None:
        return []
    kept = connection.kept  # another one takes its place when a list changes meanwhile
    until, items = kept.get(name, (0.0, []))
    if anyio.current_time() >= until:
        found, ttl = await whole_list(connection, key, make)
        items = [item for item in found if isinstance(item, dict)]
        kept[name] = (anyio.current_time() + lifetime(connection, capability, ttl), items)
    return items


def lifetime(connection: Connection, capability: str, ttl: float) -> float:
    """Seconds that a list may be kept: until it changes, where the server tells of that, and in the handshake's era,
    which has no other word for it; else what it says, and a moment at least, for a menu asks at each key."""
    tells = getattr(getattr(connection.offers, capability), "list_changed", None)
    return math.inf if tells or connection.era == "handshake" else max(ttl / 1000, SHORTEST)


async def complete(
    connection: Connection, ref: Mapping[str, str], name: str, value: str, given: Mapping[str, str]
) -> tuple[list[str], bool]:
    """Values that an argument of a prompt or a template may have, and whether there are more. Raises HostError."""
    if connection.offers.completions is None:
        return [], False
    params = {"ref": dict(ref), "argument": {"name": name, "value": value}, "context": {"arguments": dict(given)}}
    request = types.CompleteRequest(params=types.CompleteRequestParams.model_validate(params, by_name=False))
    found = (await connection.request(request, f"complete {name}")).get("completion") or {}
    return [text for text in found.get("values") or [] if isinstance(text, str)], bool(found.get("hasMore"))


async def whole_list(connection: Connection, key: str, make: Make) -> tuple[list[Any], float]:
    """All pages of a list, and for how many milliseconds they are good. Raises HostError, also where the pages do not
    end."""
    items: list[Any] = []
    ttl = math.inf
    cursors: set[str | None] = {None}
    cursor: str | None = None
    for _ in range(PAGES):
        params = types.PaginatedRequestParams(cursor=cursor) if cursor is not None else None
        page = await connection.request(make(params), f"list its {key}")
        items += page.get(key) or []
        said = page.get("ttlMs")
        ttl = min(ttl, said if isinstance(said, int | float) else 0)
        cursor = page.get("nextCursor")
        if cursor is None:
            return items, ttl
        if cursor in cursors:
            break
        cursors.add(cursor)
    raise HostError(f"its list of {key} does not end: stopped after {len(items)}")


async def get_prompt(connection: Connection, name: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """A prompt filled in, as the server wrote it. Raises HostError."""
    params = types.GetPromptRequestParams(name=name, arguments=dict(arguments) or None)
    result = await connection.given(types.GetPromptRequest(params=params), f"fill in the prompt {name}")
    if "messages" not in result:
        raise HostError(f"the prompt {name} came without messages")
    return result
