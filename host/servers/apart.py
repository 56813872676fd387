"""Work on what is too large to be parsed beside other work: it runs in a process apart, which this module is.

A job is a line of JSON and the bytes it is about, on stdin; its end is a line of JSON and bytes, on stdout.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import from_json

from host.core.errors import HostError
from host.core.events import dumps
from host.core.outline import outlined, plain
from host.core.schema import arguments_problem, schema_problem
from host.core.told import content_parts
from host.core.types import Blob
from host.servers.reading import read_part

CHECK = 0.25
Done = tuple[dict[str, Any], bytes]


def reply(about: Mapping[str, Any], line: bytes) -> Done:
    """A server's reply to tools/call or resources/read: its id, its result as JSON text, and the outline of that.

    `other` is what must be parsed beside the work after all: another message, an unfinished call, a picture.
    """
    try:
        message = from_json(line, allow_inf_nan=False)
        result = message.get("result") if isinstance(message, dict) and "method" not in message else None
        if not isinstance(result, dict) or result.get("resultType", "complete") != "complete":
            return {"kind": "other"}, b""
        id, content, structured = message.get("id"), blocks(result), result.get("structuredContent")
        if content is None or isinstance(id, bool) or not isinstance(id, (int, str)):
            return {"kind": "other"}, b""
        parts = content_parts(tuple(content), structured)
        if any(isinstance(part, Blob) for part in parts):
            return {"kind": "other"}, b""
        schema = about["schemas"].get(json.dumps(id))
        told = {
            "kind": "large",
            "id": id,
            "method": "resources/read" if "contents" in result else "tools/call",
            "is_error": bool(result.get("isError")),
            "problem": None if schema is None else broken_promise(schema, result),
            "outline": plain(outlined(parts, about["limit"])),
        }
        body = {"content": content} | ({} if structured is None else {"structured": structured})
        return told, dumps(body)
    except ValueError as error:
        return {"kind": "unreadable", "why": str(error)[:300]}, b""


def blocks(result: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The content of a result, or what was read of a resource; None where it is neither."""
    if isinstance(contents := result.get("contents"), list):
        return [{"type": "resource", "resource": each} for each in contents if isinstance(each, dict)]
    content = result.get("content", [] if "structuredContent" in result else None)
    if not isinstance(content, list):
        return None
    return [block if isinstance(block, dict) else {"type": type(block).__name__} for block in content]


def outline(about: Mapping[str, Any], body: bytes) -> Done:
    """The outline of a stored body."""
    stored = json.loads(body)
    parts = content_parts(tuple(stored.get("content") or ()), stored.get("structured"))
    return {"outline": plain(outlined(parts, about["limit"]))}, b""


def read(about: Mapping[str, Any], body: bytes) -> Done:
    """A page of a stored body, or what matches in it."""
    try:
        return {"text": read_part(body, about["part"], about["arguments"])}, b""
    except HostError as error:
        return {"error": str(error)}, b""


def broken_promise(schema: Any, result: Mapping[str, Any]) -> str | None:
    """How a result breaks the output schema of its tool; an error is promised nothing."""
    if result.get("isError"):
        return None
    if "structuredContent" not in result:
        return "the structured content that its schema promises is missing"
    return arguments_problem(schema, result["structuredContent"])


def check(about: Mapping[str, Any], body: bytes) -> Done:
    """What is wrong with arguments. A check of longer than CHECK seconds of the processor ends this process."""
    arguments = json.loads(body)
    if problem := schema_problem(about["schema"]):
        return {"problem": problem}, b""
    signal.setitimer(signal.ITIMER_VIRTUAL, CHECK)
    return {"problem": arguments_problem(about["schema"], arguments)}, b""


JOBS: Mapping[str, Callable[[Mapping[str, Any], bytes], Done]] = {
    "reply": reply,
    "outline": outline,
    "read": read,
    "check": check,
}


def main() -> None:
    gc.disable()  # it would look through millions of values again and again, and this process ends anyway
    about = json.loads(sys.stdin.buffer.readline())
    told, rest = JOBS[about["job"]](about, sys.stdin.buffer.read())
    sys.stdout.buffer.write(dumps(told) + b"\n")
    sys.stdout.buffer.write(rest)
    sys.stdout.buffer.flush()
    os._exit(0)
