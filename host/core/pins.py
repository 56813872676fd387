"""Pins: the definitions of tools that were accepted, and which of the tools that a server lists now may be offered.

A tool that nobody accepted as it now is waits for a person's word; until then it is neither offered nor run.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from host.core.catalog import definition_digest
from host.core.lookalikes import alike
from host.core.policy import presumed_effect
from host.core.settings import ServerConfig, ToolSettings
from host.core.types import Effect, ToolSpec, canonical

PARTS: Mapping[str, str] = {
    "title": "title",
    "description": "description",
    "inputSchema": "arguments",
    "outputSchema": "result",
    "annotations": "hints",
}
SAID = 8_000
"""Characters of a difference that an event carries; the whole is asked for."""
_UNORDERED = ("required", "enum", "type")


@dataclass(frozen=True, slots=True)
class Pin:
    """A definition that was accepted. `effect` and `open` are what a person said of just this one, None if nothing."""

    definition: Mapping[str, Any]
    digest: str
    effect: Effect | None = None
    open: bool | None = None

    @classmethod
    def of(
        cls, name: str, definition: Mapping[str, Any], effect: Effect | None = None, open: bool | None = None
    ) -> Pin:
        return cls(definition, digest_of(name, definition), effect, open)


@dataclass(frozen=True, slots=True)
class Pins:
    """What was accepted of one server's tools: by its lock, and since then in this home. Of a server that is not
    `locked`, what is seen for the first time counts as accepted. `ahead`: the lock's tools are offered before the
    server is up."""

    lock: Mapping[str, Pin] = field(default_factory=dict)
    home: Mapping[str, Pin] = field(default_factory=dict)
    locked: bool = False
    ahead: bool = False

    def of(self, name: str) -> list[Pin]:
        """What was accepted of a tool, the latest first."""
        return [pins[name] for pins in (self.home, self.lock) if name in pins]

    def accepted(self, pins: Mapping[str, Pin]) -> Pins:
        """As well as these."""
        return replace(self, home={**self.home, **pins})


@dataclass(frozen=True, slots=True)
class Drift:
    """A tool that nobody accepted as it is `now`. `before` is what was accepted, None for a new tool."""

    server: str
    tool: str
    digest: str
    now: Mapping[str, Any]
    before: Mapping[str, Any] | None = None

    @property
    def why(self) -> str:
        if self.before is None:
            return "it is new since its server was locked"
        parts = [word for key, word in PARTS.items() if self.before.get(key) != self.now.get(key)]
        return f"its {', '.join(parts)} changed since it was accepted"

    @property
    def told(self) -> dict[str, str]:
        """What an event says of it."""
        text = "\n".join(difference(self.before, self.now))
        return {"digest": self.digest, "diff": text if len(text) <= SAID else f"{text[:SAID]}…"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A listing: `offered` with what is confirmed of each, `first` are those of them seen for the first time, `alike`
    may not be told apart from one another."""

    offered: list[ToolSpec]
    first: list[ToolSpec]
    drifts: dict[str, Drift]
    alike: dict[str, str]


def judge(config: ServerConfig, pins: Pins, listed: Iterable[ToolSpec]) -> Judged:
    """Set aside what nobody accepted as it is. The order of tools, of keys and of lists of names means nothing."""
    listed = list(listed)
    names = [spec.remote_name for spec in listed]
    judged = Judged([], [], {}, alike(names, [name for name in names if pins.of(name)]))
    for spec in listed:
        if spec.remote_name in judged.alike:
            continue
        now, known = definition(spec), pins.of(spec.remote_name)
        if pin := next((pin for pin in known if pin.digest == spec.digest or _same(pin.definition, now)), None):
            judged.offered.append(confirmed(config, spec, _said(known, pin)))
        elif known or pins.locked:
            before = known[0].definition if known else None
            judged.drifts[spec.remote_name] = Drift(config.name, spec.remote_name, spec.digest, now, before)
        else:
            judged.offered.append(spec)
            judged.first.append(spec)
    return judged


def _said(known: list[Pin], pin: Pin) -> Pin:
    """The pin of this definition that says what it does, if one does."""
    return next((other for other in known if other.digest == pin.digest and other.effect is not None), pin)


def confirmed(config: ServerConfig, spec: ToolSpec, pin: Pin) -> ToolSpec:
    """The tool with its effect: what servers.toml says of it goes before the pin, the pin before its own hints."""
    own = config.tools.get(spec.remote_name, ToolSettings())
    said = (own.effect or pin.effect, pin.open if own.open is None else own.open)
    effect, opened, sure = presumed_effect(spec.claims, said, config.trust_hints)
    return replace(spec, effect=effect, open=opened, confirmed=sure)


def ahead(config: ServerConfig, pins: Pins) -> list[ToolSpec]:
    """The tools of a lock, before their server has listed any."""
    known = {name: pins.of(name) for name in sorted({*pins.lock, *pins.home})}
    return [
        confirmed(config, spec_of(config.name, name, pin), _said(of, pin))
        for name, of in known.items()
        for pin in of[:1]
    ]


def definition(spec: ToolSpec) -> dict[str, Any]:
    """What a tool is, as it is kept and shown; absent parts are left out."""
    parts = (spec.title, spec.description, spec.input_schema, spec.output_schema, spec.claims)
    return {key: part for key, part in zip(PARTS, parts, strict=True) if part or key == "inputSchema"}


def digest_of(name: str, definition: Mapping[str, Any]) -> str:
    return definition_digest(
        name,
        definition.get("title"),
        definition.get("description", ""),
        definition["inputSchema"],
        definition.get("outputSchema"),
        definition.get("annotations", {}),
    )


def spec_of(server: str, name: str, pin: Pin) -> ToolSpec:
    """The tool of a definition; its exposed name is given where all tools are known."""
    known = pin.definition
    return ToolSpec(
        "",
        server,
        name,
        known.get("description", ""),
        known["inputSchema"],
        known.get("outputSchema"),
        known.get("title"),
        known.get("annotations", {}),
        pin.digest,
    )


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return canonical(_ordered(one)) == canonical(_ordered(other))


def _ordered(value: Any) -> Any:
    """The value with those lists sorted whose order means nothing."""
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: sorted(item, key=canonical) if key in _UNORDERED and isinstance(item, list) else _ordered(item)
        for key, item in value.items()
    }


def difference(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """How a definition came to another, as lines that begin with `-`, `+` or a blank. Made for `safe` and a screen."""
    old, new = list(lines(before)) if before is not None else [], list(lines(now))
    return [line.rstrip("\n") for line in list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]]


def lines(definition: Mapping[str, Any]) -> Iterator[str]:
    """A definition to be read by people."""
    for key, word in PARTS.items():
        part = definition.get(key)
        if isinstance(part, str):
            yield f"{word}:"
            yield from (f"  {line}" for line in part.split("\n"))
        elif part is not None:
            yield f"{word}:"
            yield from (f"  {line}" for line in json.dumps(part, indent=2, ensure_ascii=False).split("\n"))
