"""What the model is told of a call's end: the server's words in their frame, where there are some, else one of these
sentences, which stand outside of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from host.core import events as ev
from host.core.frame import framed
from host.core.loops import TOLD
from host.core.outline import Outline, Rest, Shown, outlined, read
from host.core.types import Blob, Text, ToolCall, ToolResult, canonical

CHARS_PER_TOKEN = 4

ENDINGS: Mapping[str, str] = {
    "denied": "Not run: {reason}. Do not try this call again; find another way or tell the user.",
    "declined": "Not run: the user declined this call.{said} Do not repeat it unchanged.",
    "declined_input": "The user declined to give the input that {server} asked for, so the call did not complete.",
    "nobody": "Not run: this call needs approval and nobody is here to give it ({reason}). Go on without it.",
    "interrupted": "Not run to its end: the user interrupted the turn.",
    "unknown": "The outcome is unknown: the call was sent and no answer arrived ({reason}). It may or may not have "
    "taken effect. Do not repeat it; check with a reading tool or ask the user.",
    "unknown_tool": "There is no tool named {reason}. Use one of the tools offered.",
    "invalid_arguments": "Not run: the arguments do not fit the tool's schema: {reason}. Correct them and call again.",
    "malformed": "Not run: the arguments are not a JSON object: {reason}. Write valid JSON.",
    "server_down": "Not run: the server {server} is not available ({reason}).",
    "server_lost": "The server stopped during the call ({reason}). It was restarted; what it kept in memory is lost.",
    "timeout": "The call did not answer in time ({reason}) and was cancelled.",
    "definition_changed": "Not run: the definition of this tool changed since it was offered. It was set aside.",
    "quarantined": "Not run: this tool was set aside: {reason}. Only the user can review it; go on without it.",
    "limit": "Not run: {reason}.",
    "bad_result": "The server's result could not be used ({reason}). Its effect, if any, took place.",
}
EDITED = "The user edited the arguments before it ran. It ran with: {arguments}"
REPEATED = (
    "This call, with these arguments, has now come to the same end {times} times in a row. Once more will change "
    "nothing: do something else, or tell the user."
)
NO_OUTPUT = "The tool ran and returned no output."


def told(
    finished: ev.CallFinished,
    call: ToolCall,
    edited: Mapping[str, Any] | None,
    limit: int,
    handle: str,
    times: int = 1,
) -> ToolResult:
    """The result as the model gets it: at most `limit` tokens of text, the rest behind `handle`. `times` in a row the
    same call has come to this end."""
    parts: list[Text | Blob] = []
    if edited is not None and finished.outcome in ("ok", "error") and finished.cause is None:
        parts.append(Text(EDITED.format(arguments=canonical(dict(edited)))))
    sentence = ending(finished, call)
    if sentence:
        parts.append(Text(sentence))
    parts += capped(parts_of(finished), limit * CHARS_PER_TOKEN, handle, call)
    if not parts:
        parts.append(Text(NO_OUTPUT))
    if times >= TOLD:
        parts.append(Text(REPEATED.format(times=times)))
    return ToolResult(call.id, tuple(parts), finished.is_error, handle, finished.found or ())


def ending(finished: ev.CallFinished, call: ToolCall) -> str | None:
    """The sentence for an end that is not the server's own word; None for one that is."""
    key = finished.cause or (finished.outcome if finished.outcome not in ("ok", "error") else None)
    if key is None:
        return None
    reason = finished.reason or ""
    template = ENDINGS.get(key, ENDINGS["unknown"])
    server = call.name.partition("__")[0]
    return template.format(
        reason=reason or "no reason given", said=f" They said: {reason}" if reason else "", server=server
    )


def parts_of(finished: ev.CallFinished) -> Sequence[Shown]:
    """The parts of a result: its own, or the abridged ones of a large result, whose own are only in the log."""
    if finished.outline is not None:
        return read(finished.outline)
    return content_parts(finished.content, finished.structured)


def content_parts(content: tuple[ev.Json, ...], structured: Any) -> list[Text | Blob]:
    """MCP content blocks as parts; structured content follows unless the texts say the same."""
    parts: list[Text | Blob] = [part for block in content if (part := _block(block)) is not None]
    texts = [part.text for part in parts if isinstance(part, Text)]
    if structured is not None and not _says(texts, structured):
        parts.append(Text(json.dumps(structured, ensure_ascii=False)))
    return parts


def _block(block: ev.Json) -> Text | Blob | None:
    match block.get("type"):
        case "text":
            return Text(str(block.get("text", "")))
        case "image" | "audio":
            return Blob(str(block.get("mimeType", "application/octet-stream")), str(block.get("data", "")))
        case "resource_link":
            label = block.get("title") or block.get("name") or ""
            about = f": {block['description']}" if block.get("description") else ""
            return Text(f"[resource {block.get('uri')} {label}{about}]")
        case "resource":
            inner = block.get("resource") or {}
            if "text" in inner:
                return Text(f"[resource {inner.get('uri')}]\n{inner['text']}")
            kind = str(inner.get("mimeType", "binary"))
            if kind.partition("/")[0] in ("image", "audio") and "blob" in inner:
                return Blob(kind, str(inner["blob"]))
            return Text(f"[resource {inner.get('uri')}: {kind}, not shown]")
        case other:
            return Text(f"[content of type {other!r}, not shown]")


def _says(texts: Sequence[str], structured: Any) -> bool:
    """Whether the texts say all of it already. SDKs put what is no object into `{"result": …}`, and write a list as a
    text for each item."""
    bare = structured["result"] if isinstance(structured, Mapping) and set(structured) == {"result"} else structured
    if any(_reads(text, value) for text in texts for value in (structured, bare)):
        return True
    items = bare if texts and isinstance(bare, list) and len(bare) == len(texts) else None
    return items is not None and all(map(_reads, texts, items))


def _reads(text: str, value: Any) -> bool:
    if isinstance(value, str) and text == value:
        return True
    try:
        return bool(json.loads(text) == value)
    except (ValueError, RecursionError):
        return False


def capped(parts: Sequence[Shown], limit: int, handle: str, call: ToolCall) -> list[Text | Blob]:
    """Keep `limit` characters of text in all; a text that does not fit keeps its head and tail, its shape, and a
    handle, which names it by its place among the parts of the content."""
    kept: list[Text | Blob] = []
    for number, part in enumerate(outlined(parts, limit)):
        match part:
            case Text():
                kept.append(Text(in_frame(part.text, call)))
                limit -= len(part.text)
            case Blob():
                kept.append(part)
            case Outline():
                kept.append(Text(in_frame(part.shown(limit, f"{handle}.{number}"), call)))
            case Rest():
                kept.append(Text(part.shown(handle)))
    return kept


def in_frame(text: str, call: ToolCall) -> str:
    """The words of a result in the frame that names where they come from; a search's are the host's own."""
    match call.name:
        case "host__search_tools":
            return text
        case "host__read_resource":
            return framed(text, str(call.arguments.get("server")), f"resource {call.arguments.get('uri')}")
        case name:
            return framed(text, name.partition("__")[0], f"tool {name}")
