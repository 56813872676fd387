"""What a server says of itself: asked for whole, as a person who looks into it wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mcp_types as types

from host.core.errors import HostError
from host.servers.connection import PAGES, Connection

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
                found[name] = await whole_list(connection, key, make)
            except HostError as error:
                found["errors"][name] = str(error)
    return found


async def listed(connection: Connection, name: str) -> list[Any]:
    """One of `LISTS`, asked for once and kept until the server says that it changed. Raises HostError."""
    capability, key, make = LISTS[name]
    if getattr(connection.offers, capability) is None:
        return []
    kept = connection.kept  # another one takes its place when a list changes meanwhile
    if name not in kept:
        kept[name] = [item for item in await whole_list(connection, key, make) if isinstance(item, dict)]
    return kept[name]


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


async def whole_list(connection: Connection, key: str, make: Make) -> list[Any]:
    """All pages of a list. Raises HostError, also where the pages do not end."""
    items: list[Any] = []
    cursors: set[str | None] = {None}
    cursor: str | None = None
    for _ in range(PAGES):
        params = types.PaginatedRequestParams(cursor=cursor) if cursor is not None else None
        page = await connection.request(make(params), f"list its {key}")
        items += page.get(key) or []
        cursor = page.get("nextCursor")
        if cursor is None:
            return items
        if cursor in cursors:
            break
        cursors.add(cursor)
    raise HostError(f"its list of {key} does not end: stopped after {len(items)}")


async def get_prompt(connection: Connection, name: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """A prompt filled in, as the server wrote it. Raises HostError."""
    params = types.GetPromptRequestParams(name=name, arguments=dict(arguments) or None)
    result = await connection.request(types.GetPromptRequest(params=params), f"fill in the prompt {name}")
    if "messages" not in result:
        raise HostError(f"the prompt {name} asks for input first, which this host does not do for prompts")
    return result
