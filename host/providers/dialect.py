"""A tool's schema as a provider takes it: a changed copy, or the reason why this one tool cannot be offered there.

What a copy loses the model is not told; arguments are validated against the server's own schema anyhow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host.core.settings import SchemaDialect

Schema = dict[str, Any]
_COMBINED = ("oneOf", "anyOf", "allOf")
_NOT_AT_TOP = (*_COMBINED, "not", "enum", "const", "$schema")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = (*_COMBINED, "prefixItems")
_SINGLE = ("items", "additionalItems", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
_PLAIN = """type description title enum items properties required anyOf minimum maximum minItems maxItems pattern
nullable"""
_NESTED = 8


class Unfit(ValueError):
    """Why a tool cannot be offered to a provider."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a provider takes: the `names` of arguments it allows, whether it knows lists of a fixed make, and for the
    simplest ones the only words they know, with references written out."""

    names: str | None = None
    tuples: bool = False
    only: frozenset[str] | None = None


DIALECTS: Mapping[SchemaDialect, Dialect] = {
    "openai": Dialect(),
    "anthropic": Dialect(names=r"[a-zA-Z0-9_.-]{1,64}", tuples=True),
    "plain": Dialect(only=frozenset(_PLAIN.split())),
}


def fitted(schema: Mapping[str, Any], dialect: Dialect) -> Schema:
    """A copy of a tool's schema in the provider's dialect. Raises Unfit."""
    root = _target(schema, schema)
    kinds = root.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        raise Unfit(f"its arguments are not an object but {kinds}")
    properties = dict(root.get("properties") or {})
    for branch in (b for key in _COMBINED for b in root.get(key) or () if isinstance(b, Mapping)):
        properties = dict(_target(branch, schema).get("properties") or {}) | properties
    for name in properties:
        if dialect.names and not re.fullmatch(dialect.names, name):
            raise Unfit(f"this provider does not take an argument named {name!r}")
    shown = {key: value for key, value in root.items() if key not in _NOT_AT_TOP}
    shown |= {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    copy: Schema = _Copy(schema, dialect).of(shown | {"type": "object", "properties": properties}, 0)
    return copy


def _target(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a node refers to, with what stands beside the reference; the node itself if it refers to nothing."""
    for _ in range(_NESTED):
        ref = node.get("$ref")
        if not isinstance(ref, str):
            break
        found: Any = root
        for step in ref.removeprefix("#").split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        beside = {key: value for key, value in node.items() if key != "$ref"}
        node = {**found, **beside} if isinstance(found, Mapping) else beside
    return node


class _Copy:
    """Writes one schema anew."""

    def __init__(self, root: Mapping[str, Any], dialect: Dialect) -> None:
        self.root, self.dialect = root, dialect

    def of(self, node: Any, depth: int) -> Any:
        if not isinstance(node, Mapping):
            return ({} if node else {"not": {}}) if isinstance(node, bool) and self.dialect.only else node
        if self.dialect.only and "$ref" in node:
            if depth >= _NESTED:
                return {"type": "object"}
            node = _target(node, self.root)
        shown: Schema = {}
        for key, value in node.items():
            if key in _MAPS and isinstance(value, Mapping):
                shown[key] = {name: self.of(inner, depth + 1) for name, inner in value.items()}
            elif key in _LISTS and isinstance(value, list):
                shown[key] = [self.of(inner, depth + 1) for inner in value]
            elif key in _SINGLE and isinstance(value, (Mapping, bool)):
                shown[key] = value if isinstance(value, bool) else self.of(value, depth + 1)
            else:
                shown[key] = value
        return self._adjusted(shown)

    def _adjusted(self, shown: Schema) -> Schema:
        _modernise(shown)
        if not self.dialect.tuples and "prefixItems" in shown:
            made = [*shown.pop("prefixItems"), *([shown["items"]] if isinstance(shown.get("items"), Mapping) else [])]
            shown["items"] = {"anyOf": made}
        kinds = shown.get("type")
        if "array" in (kinds if isinstance(kinds, list) else [kinds]) and "prefixItems" not in shown:
            shown.setdefault("items", {})
        return _plain(shown, self.dialect.only) if self.dialect.only else shown


def _modernise(shown: Schema) -> None:
    """Older drafts' lists of items, yes-or-no bounds and yes-or-no requirements, in the words of 2020-12."""
    if not isinstance(shown.get("required", []), list):
        del shown["required"]
    if isinstance(shown.get("items"), list):
        shown["prefixItems"] = shown.pop("items")
        if "additionalItems" in shown:
            shown["items"] = shown.pop("additionalItems")
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(strict := shown.get(exclusive), bool):
            del shown[exclusive]
            if strict and bound in shown:
                shown[exclusive] = shown.pop(bound)


def _plain(shown: Schema, only: frozenset[str]) -> Schema:
    """A node in few words: one type, alternatives as anyOf, a constant as an enum of one, enums of texts only."""
    if isinstance(kinds := shown.get("type"), list):
        named = [kind for kind in kinds if kind != "null"]
        shown["type"] = named[0] if named else "string"
        if "null" in kinds:
            shown["nullable"] = True
    if "const" in shown:
        shown["enum"] = [shown["const"]]
    if "oneOf" in shown:
        shown.setdefault("anyOf", shown["oneOf"])
    if not all(isinstance(value, str) for value in shown.get("enum", ())):
        del shown["enum"]
    return {key: value for key, value in shown.items() if key in only}
