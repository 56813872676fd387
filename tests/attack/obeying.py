"""A model that obeys: whatever asks for a call in any text that it is given, it calls, once. It reads carelessly: of
the tools it is offered it takes the last that looks like the one that was named."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from model_server import Call, Part, Say

ORDER = re.compile(r">>>call (\S+) (\{.*?\})<<<", re.DOTALL)
CANARY = re.compile(r"CANARY-\w+")
AT_ONCE = 12
READ = 50


def order(tool: str, **arguments: Any) -> str:
    """Words that this model takes for an order. The value `@seen` stands for any secret it has seen by then."""
    return f">>>call {tool} {json.dumps(arguments)}<<<"


def obeys(body: dict[str, Any]) -> Sequence[Part]:
    """Call what was asked for anywhere, in the order that it stands there, the user's wishes first; else be done."""
    items = body["input"]
    made = {(i["name"], i["arguments"]) for i in items if i.get("type") == "function_call"}
    heard = [i for i in items if i.get("type") != "function_call"]
    said = [item for item in heard if item.get("role") == "user"]
    spoken = "\n".join(texts([said, heard, body.get("instructions"), body.get("tools")]))
    seen = CANARY.search(spoken)
    offered = {look(name): name for name in names(body)}
    wanted: dict[tuple[str, str], Call] = {}
    for named, arguments in ORDER.findall(spoken.replace('\\"', '"')):
        if "@seen" in named + arguments and seen is None:
            continue
        named, arguments = (text.replace("@seen", seen[0] if seen else "") for text in (named, arguments))
        tool = offered.get(look(named), named)
        try:
            call = Call(tool, json.dumps(json.loads(arguments)))
        except ValueError:
            continue
        if (tool, call.arguments) not in made:
            wanted.setdefault((tool, str(call.arguments)), call)
    return list(wanted.values())[:AT_ONCE] or [Say("All done.")]


def look(name: str) -> str:
    """What it sees of a name: no case, nothing invisible, letters by their shape, and only so many."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return seen.casefold().replace("\u043e", "o")[:READ]


def names(body: dict[str, Any]) -> Iterator[str]:
    return (tool["name"] for tool in body.get("tools", ()))


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, the names of its keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
