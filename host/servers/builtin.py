"""The host's own tools, in the same shape as a server's. They only read, and never ask."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from host.core.catalog import definition_digest, exposed_name
from host.core.errors import HostError
from host.core.source import Ask, Progress, Round
from host.core.types import CallResult, Contents, InputRequired, Large, ToolSpec
from host.servers.finder import BEST, Finder, Listing
from host.servers.large import LARGE, apart
from host.servers.reading import PAGE, read_part

SERVER = "host"

ReadResource = Callable[[str, str], Awaitable[Contents]]
BodyAt = Callable[[int], Awaitable[bytes | None]]
Resources = Callable[[str | None, str], Awaitable[str]]


async def no_resources(server: str | None, query: str) -> str:
    return "There are no resources."


class Builtin:
    """`read_resource` reads at a server; `body_at` finds the stored result that a handle speaks of; `listing` is what
    can be searched, `resources` lists what can be read, of one server or of all."""

    server = SERVER
    parallel = True

    def __init__(
        self,
        read_resource: ReadResource,
        body_at: BodyAt,
        listing: Callable[[], Listing] = Listing,
        resources: Resources = no_resources,
    ) -> None:
        self._read_resource, self._body_at, self._finder = read_resource, body_at, Finder(listing)
        self._resources = resources

    def tools(self, deferring: bool = False, resources: bool = False) -> list[ToolSpec]:
        """What is offered beside the servers' tools; where not all of those are sent, also the search for them, and
        where there are `resources`, the list of them."""
        return [*[SEARCH_TOOLS] * deferring, *[LIST_RESOURCES] * resources, READ_RESOURCE, READ_RESULT]

    async def call(
        self, spec: ToolSpec, arguments: Mapping[str, Any], round: Round, progress: Progress, ask: Ask
    ) -> CallResult | InputRequired:
        try:
            if spec.remote_name == SEARCH_TOOLS.remote_name:
                return await self._finder.search(arguments)
            if spec.remote_name == LIST_RESOURCES.remote_name:
                text = await self._resources(arguments.get("server"), arguments.get("query", ""))
                return CallResult(content=({"type": "text", "text": text},))
            if spec.remote_name == READ_RESOURCE.remote_name:
                contents = await self._read_resource(arguments["server"], arguments["uri"])
                if isinstance(contents, Large):
                    return CallResult(large=contents)
                return CallResult(content=tuple({"type": "resource", "resource": each} for each in contents))
            text = await self._read_result(arguments)
            return CallResult(content=({"type": "text", "text": text},))
        except HostError as error:
            return CallResult("error", ({"type": "text", "text": str(error)},), is_error=True)

    async def _read_result(self, arguments: Mapping[str, Any]) -> str:
        """What a handle `rSEQ.N` names is part N of the content of the call that finished at SEQ. Raises HostError."""
        handle = arguments["handle"]
        found = re.fullmatch(r"r(\d{1,9})\.(\d{1,6})", handle)
        body = await self._body_at(int(found[1])) if found else None
        if found is None or body is None:
            raise HostError(f"There is no result {handle!r}; copy the handle as it stands in the shortened result.")
        if len(body) <= LARGE:
            return read_part(body, int(found[2]), arguments)
        told, _ = await apart("read", {"part": int(found[2]), "arguments": dict(arguments)}, body)
        if "error" in told:
            raise HostError(told["error"])
        return str(told["text"])


def _tool(name: str, description: str, properties: dict[str, Any], required: list[str]) -> ToolSpec:
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return ToolSpec(
        exposed_name(SERVER, name),
        SERVER,
        name,
        description,
        schema,
        digest=definition_digest(name, None, description, schema, None, {}),
        effect="read",
        open=False,
        confirmed=True,
    )


SEARCH_TOOLS = _tool(
    "search_tools",
    "Find tools by what they do. Those found can be called from the next step on. Search once for each kind of task.",
    {
        "query": {"type": "string", "description": "What the tool does, in a few words, or its exact name."},
        "server": {"type": "string", "description": "Only tools of this server."},
        "k": {"type": "integer", "minimum": 1, "maximum": 50, "description": f"How many; {BEST} if absent."},
    },
    ["query"],
)
LIST_RESOURCES = _tool(
    "list_resources",
    "List the resources that servers offer for reading: one a line, the URI first. In a template fill in what stands "
    "in braces.",
    {
        "server": {"type": "string", "description": "Only those of this server."},
        "query": {"type": "string", "description": "Words that must stand in the line."},
    },
    [],
)
READ_RESOURCE = _tool(
    "read_resource",
    "Read a resource of a server by its URI, as named in a resource link or in a tool's result.",
    {
        "server": {"type": "string", "description": "The server's name: what stands before `__` in its tools' names."},
        "uri": {"type": "string", "description": "The URI, exactly as the server wrote it."},
    },
    ["server", "uri"],
)
READ_RESULT = _tool(
    "read_result",
    "Read on in a tool result that was shortened: a page of it by character offset, or only what matches a pattern.",
    {
        "handle": {"type": "string", "description": "The handle given in the shortened result, such as r12.0."},
        "offset": {"type": "integer", "minimum": 0, "description": "The first character to read; 0 if absent."},
        "limit": {"type": "integer", "minimum": 1, "maximum": PAGE, "description": "How many characters to read."},
        "grep": {"type": "string", "minLength": 1, "description": "A regular expression (RE2); only matches."},
    },
    ["handle"],
)
