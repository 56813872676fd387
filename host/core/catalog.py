"""The names, order and identity of tools. A tool's exposed name is what the model calls it by."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from host.core.types import ToolSpec, canonical

LONGEST = 64
_OUTSIDE = re.compile(r"[^A-Za-z0-9_-]")


def exposed_name(server: str, tool: str) -> str:
    """`SERVER__TOOL` in the characters and the length that every provider takes."""
    name = _plain(server, tool)
    return name if len(name) <= LONGEST else _hashed(server, tool)


def exposed_names(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The name of each (server, tool). Where two would share one, both get a hash, so order does not matter."""
    names = {pair: exposed_name(*pair) for pair in pairs}
    count = Counter(names.values())
    return {pair: name if count[name] == 1 else _hashed(*pair) for pair, name in names.items()}


def _plain(server: str, tool: str) -> str:
    return _OUTSIDE.sub("_", f"{server}__{tool}")


def _hashed(server: str, tool: str) -> str:
    digest = hashlib.sha256(f"{server}\0{tool}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_plain(server, tool)[: LONGEST - 9]}_{digest[:8]}"


def definition_digest(
    name: str,
    title: str | None,
    description: str,
    input_schema: Mapping[str, Any],
    output_schema: Mapping[str, Any] | None,
    annotations: Mapping[str, Any],
) -> str:
    """What a tool is: any change of its definition changes this, the order of keys does not."""
    text = canonical([name, title, description, input_schema, output_schema, annotations])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def visible(specs: Iterable[ToolSpec], known: Sequence[str] = ()) -> list[ToolSpec]:
    """The tools in the order the model sees them: first those it knows, in the order it met them, then new ones
    by server. What went before stays a prefix, which keeps a provider's prompt cache warm."""
    met = {name: position for position, name in enumerate(known)}
    return sorted(specs, key=lambda spec: (0, met[spec.name], "") if spec.name in met else (1, 0, spec.server))
