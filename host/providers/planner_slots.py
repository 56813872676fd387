"""The parameters of a tool: names, kinds, and the form that tells their values from other texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from host.core.conditions import pattern
from host.providers.planner_words import name_tokens

IDS = ("id", "key", "uri", "url", "uuid", "sku", "handle", "ref")
_EXAMPLE = re.compile(r"(?:such as|e\.g\.|for example|like)\s+[`'\"]?([A-Za-z]+[-_]?\d+)")
_PARTS = re.compile(r"[_\-. ]|(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter of a tool: its name, its schema made plain, and whether it must be given."""

    name: str
    schema: Mapping[str, Any]
    required: bool

    @property
    def type(self) -> str:
        kind = self.schema.get("type", "string")
        return next((k for k in kind if k != "null"), "string") if isinstance(kind, list) else str(kind)

    @property
    def choices(self) -> list[Any]:
        if "const" in self.schema:
            return [self.schema["const"]]
        found = self.schema.get("enum")
        return [one for one in found if one is not None] if isinstance(found, list) else []

    @property
    def about(self) -> str:
        """Its description, on one line."""
        return " ".join(str(self.schema.get("description") or "").split())

    @property
    def words(self) -> Sequence[str]:
        return name_tokens(self.name)

    @property
    def last(self) -> str:
        """The last word of its name, as it stands there: what kind of value it is."""
        return _PARTS.split(self.name)[-1].casefold()

    @property
    def items(self) -> Slot:
        """The slot of one element of a list."""
        inner = self.schema.get("items")
        name = self.name.removesuffix("s") if not self.name.endswith("ss") else self.name
        return Slot(name, plain(inner, self.schema) if isinstance(inner, Mapping) else {}, True)

    @property
    def shaped(self) -> bool:
        """Whether its form tells it from other texts: it names a thing."""
        return shape(self) is not None or self.mail

    @property
    def mail(self) -> bool:
        return self.schema.get("format") == "email" or self.last in ("email", "mail")

    @property
    def names_a_thing(self) -> bool:
        """Whether its value may be taken from a result: an id, an address of mail, never an amount or words."""
        if self.type == "array":
            return self.items.names_a_thing
        return self.type in ("string", "integer") and not self.choices and (self.shaped or self.last in IDS)


def slots(schema: Mapping[str, Any]) -> list[Slot]:
    """The parameters of an input schema, in its order."""
    properties = schema.get("properties")
    required = schema.get("required") or ()
    if not isinstance(properties, Mapping):
        return []
    return [Slot(name, plain(one, schema), name in required) for name, one in properties.items()]


def plain(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """A schema with its reference followed, and without the null of an optional one."""
    if not isinstance(schema, Mapping) or depth > 5:
        return {}
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref.startswith("#/"):
        found: Any = root
        for step in ref[2:].split("/"):
            found = found.get(step) if isinstance(found, Mapping) else None
        return {**plain(found, root, depth + 1), **{k: v for k, v in schema.items() if k != "$ref"}}
    for key in ("anyOf", "oneOf"):
        kinds = schema.get(key)
        if isinstance(kinds, list):
            kept = [one for one in kinds if isinstance(one, Mapping) and one.get("type") != "null"]
            if kept and all("const" in one for one in kept):
                return {**schema, "enum": [one["const"] for one in kept]}
            if len(kept) == 1:
                return {**plain(kept[0], root, depth + 1), **{k: v for k, v in schema.items() if k != key}}
    return schema


def shape(slot: Slot) -> Any:
    """A pattern that only values of this slot have, from its schema or from the example in its description."""
    given = slot.schema.get("pattern")
    if isinstance(given, str):
        try:
            found = pattern(given)
        except ValueError:
            return None
        return None if any(found.search(word) for word in ("word", "two words", "x")) else found
    example = _EXAMPLE.search(slot.about)
    if example is None:
        return None
    letters = re.match(r"[A-Za-z]+[-_]?", example[1])
    return pattern(f"(?i)^{re.escape(letters[0])}\\d+$") if letters else None
