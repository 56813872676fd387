"""Reading in a stored result: the parts of its content, a page of one, the lines of it that match. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from host.core.errors import HostError
from host.core.told import content_parts
from host.core.types import Blob, Text

PAGE = 8_000
WINDOW = 80
LONG_LINE = 400


def read_part(body: bytes, number: int, arguments: Mapping[str, Any]) -> str:
    """What `host__read_result` answers about part `number` of a finished call's stored body. Raises HostError."""
    stored = json.loads(body)
    if "parts" in stored:  # what the user said, and what was attached to it
        parts = [Text(part["text"]) if part["kind"] == "text" else Blob("", "") for part in stored["parts"]]
    else:
        parts = content_parts(tuple(stored.get("content") or ()), stored.get("structured"))
    part = parts[number] if number < len(parts) else None
    if not isinstance(part, Text):
        raise HostError(f"Part {number} of that result is not text.")
    if pattern := arguments.get("grep"):
        found = "\n".join(matching(part.text, pattern)) or f"Nothing in these {len(part.text)} characters matches."
        return found if len(found) <= PAGE else f"{found[:PAGE]}\n[more matches follow; use a narrower pattern]"
    return page(part.text, arguments.get("offset", 0), min(arguments.get("limit", PAGE), PAGE))


def page(text: str, offset: int, limit: int) -> str:
    """A page of the text, and where the next one begins."""
    shown = text[offset : offset + limit]
    end = offset + len(shown)
    more = f"; {len(text) - end} follow, read on with offset={end}" if end < len(text) else "; this is the end"
    return f"{shown}\n[characters {offset} to {end} of {len(text)}{more}]"


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
            found = iter([(offset, line.rstrip("\r\n"))] if wanted.search(line) else [])
        else:
            found = (_around(line, offset, m.start(), m.end()) for m in wanted.finditer(line))
        for at, each in found:
            yield f"{at}: {each}"
            size += len(each)
            if size > PAGE:
                return
        offset += len(line)


def _around(line: str, offset: int, start: int, end: int) -> tuple[int, str]:
    begin = max(0, start - WINDOW)
    return offset + begin, line[begin : end + WINDOW].rstrip("\r\n")
