"""The host's own tools, in the same shape as a server's. They only read, and never ask."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from host.core.catalog import definition_digest, exposed_name
from host.core.errors import HostError
from host.core.events import CallFinished
from host.core.source import Ask, Progress, Round
from host.core.told import content_parts
from host.core.types import CallResult, InputRequired, Text, ToolSpec

SERVER = "host"
ANSWER = 8_000
WINDOW = 80
LONG_LINE = 400

ReadResource = Callable[[str, str], Awaitable[list[dict[str, Any]]]]
EventAt = Callable[[int], CallFinished | None]


class Builtin:
    """`read_resource` reads at a server; `event_at` finds the result that a handle speaks of."""

    server = SERVER
    parallel = True

    def __init__(self, read_resource: ReadResource, event_at: EventAt) -> None:
        self._read_resource, self._event_at = read_resource, event_at

    def tools(self) -> list[ToolSpec]:
        """What is offered beside the servers' tools."""
        return [READ_RESOURCE, READ_RESULT]

    async def call(
        self, spec: ToolSpec, arguments: Mapping[str, Any], round: Round, progress: Progress, ask: Ask
    ) -> CallResult | InputRequired:
        try:
            if spec.remote_name == READ_RESOURCE.remote_name:
                contents = await self._read_resource(arguments["server"], arguments["uri"])
                return CallResult(content=tuple({"type": "resource", "resource": each} for each in contents))
            return answer(self._part(arguments["handle"]), arguments)
        except HostError as error:
            return CallResult("error", ({"type": "text", "text": str(error)},), is_error=True)

    def _part(self, handle: str) -> str:
        """The text that a handle `rSEQ.N` names: part N of the content of the call that finished at SEQ."""
        found = re.fullmatch(r"r(\d{1,9})\.(\d{1,4})", handle)
        finished = self._event_at(int(found[1])) if found else None
        if found is None or finished is None:
            raise HostError(f"There is no result {handle!r}; copy the handle as it stands in the shortened result.")
        parts = content_parts(finished.content, finished.structured)
        part = parts[int(found[2])] if int(found[2]) < len(parts) else None
        if not isinstance(part, Text):
            raise HostError(f"Part {found[2]} of that result is not text.")
        return part.text


def answer(text: str, arguments: Mapping[str, Any]) -> CallResult:
    """A page of the text, or the lines of it that match."""
    if pattern := arguments.get("grep"):
        found = "\n".join(matching(text, pattern)) or f"Nothing in these {len(text)} characters matches."
        return said(capped(found))
    offset = arguments.get("offset", 0)
    page = text[offset : offset + min(arguments.get("limit", ANSWER), ANSWER)]
    end = offset + len(page)
    more = f"; {len(text) - end} follow, read on with offset={end}" if end < len(text) else "; this is the end"
    return said(f"{page}\n[characters {offset} to {end} of {len(text)}{more}]")


def said(text: str) -> CallResult:
    return CallResult(content=({"type": "text", "text": text},))


def capped(text: str) -> str:
    return text if len(text) <= ANSWER else f"{text[:ANSWER]}\n[more matches follow; use a narrower pattern]"


def matching(text: str, pattern: str) -> Iterator[str]:
    """Each matching line with its offset; of a long line only the neighbourhood of each match. Raises HostError."""
    import re2

    try:
        wanted = re2.compile(pattern)
    except re2.error as error:
        raise HostError(f"Not a pattern of the RE2 engine: {error}") from None
    size, offset = 0, 0
    for line in text.splitlines(keepends=True):
        if len(line) <= LONG_LINE:
            found = iter([line.rstrip("\r\n")] if wanted.search(line) else [])
        else:
            found = (line[max(0, m.start() - WINDOW) : m.end() + WINDOW].strip() for m in wanted.finditer(line))
        for each in found:
            yield f"{offset}: {each}"
            size += len(each)
            if size > ANSWER:
                return
        offset += len(line)


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
        "limit": {"type": "integer", "minimum": 1, "maximum": ANSWER, "description": "How many characters to read."},
        "grep": {"type": "string", "minLength": 1, "description": "A regular expression (RE2); only matches."},
    },
    ["handle"],
)
