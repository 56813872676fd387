"""Do a call's arguments fit the tool's schema? In bounded time, whatever the schema: patterns run on a linear-time
engine, nothing is fetched, and a schema too large, too deep or too branching is refused beforehand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from host.core.types import canonical

if TYPE_CHECKING:
    from jsonschema_rs import Validator

MAX_BYTES = 65_536
MAX_DEPTH = 50
MAX_SPREAD = 1_000
MAX_MESSAGE = 300
COSTLY = 2**25
"""Characters of a schema times characters of arguments from which a check may take long."""
DATA = ("const", "default", "enum", "example", "examples")
BESIDE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A schema made ready, or why it is not. `unenforced` are patterns that the linear-time engine cannot run."""

    validator: Validator | None
    problem: str | None = None
    unenforced: tuple[str, ...] = ()


def schema_problem(schema: Any) -> str | None:
    """Why a tool with this schema cannot be offered; None if it can."""
    return _of(schema).problem


def unenforced(schema: Any) -> tuple[str, ...]:
    """The patterns of the schema that are not checked, because no linear-time engine can run them."""
    return _of(schema).unenforced


def arguments_problem(schema: Mapping[str, Any], arguments: Any) -> str | None:
    """What is wrong with the arguments, each with its path; None if they fit."""
    compiled = _of(schema)
    if compiled.validator is None:
        return compiled.problem
    try:
        if compiled.validator.is_valid(arguments):
            return None
        found = [f"{_path(e.instance_path)}: {e.message}" for e in islice(compiled.validator.iter_errors(arguments), 3)]
    except ValueError as error:
        found = [f"cannot be checked: {error}"]
    return _short("; ".join(found))


def heavy(schema: Mapping[str, Any], arguments: Any) -> bool:
    """Whether a check may take so long that it must not be done beside other work."""
    size = len(canonical(arguments))
    return size * MAX_BYTES > COSTLY and size * len(canonical(schema)) > COSTLY


def _of(schema: Any) -> Compiled:
    try:
        text = canonical(schema)
    except (TypeError, ValueError, RecursionError) as error:
        return Compiled(None, f"its schema is not JSON: {error}")
    return _compiled(text)


@lru_cache(maxsize=512)
def _compiled(text: str) -> Compiled:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        return Compiled(None, f"its schema has {size} bytes; at most {MAX_BYTES} are taken")
    schema = json.loads(text)
    try:
        if problem := _too_much(schema):
            return Compiled(None, problem)
    except RecursionError:
        return Compiled(None, "its schema refers too deep")
    dropped: list[str] = []
    schema = _enforceable(schema, dropped)
    try:
        return Compiled(_validator(schema), None, tuple(dropped))
    except ValueError as error:
        where = _path(getattr(error, "instance_path", []))
        return Compiled(None, _short(f"its schema does not compile: {where}: {str(error).partition(chr(10))[0]}"))


def _validator(schema: Any) -> Validator:
    """Compiled for the dialect it names, else 2020-12. Raises ValueError."""
    import jsonschema_rs

    linear = jsonschema_rs.RegexOptions()
    try:
        return jsonschema_rs.validator_for(schema, pattern_options=linear, offline=True, mask="the value")
    except ValueError as error:
        if "Unknown meta-schema" not in str(error):
            raise
        schema = {key: value for key, value in schema.items() if key != "$schema"}
        return jsonschema_rs.validator_for(schema, pattern_options=linear, offline=True, mask="the value")


def _enforceable(schema: Any, dropped: list[str]) -> Any:
    """The schema without the patterns that no linear-time engine can run, which are added to `dropped`."""
    if isinstance(schema, list):
        return [_enforceable(item, dropped) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value if key in DATA else _enforceable(value, dropped) for key, value in schema.items()}
    if isinstance(pattern := kept.get("pattern"), str) and not _runs(pattern):
        dropped.append(kept.pop("pattern"))
    if isinstance(patterns := kept.get("patternProperties"), dict):
        bad = [pattern for pattern in patterns if not _runs(pattern)]
        kept["patternProperties"] = {key: value for key, value in patterns.items() if key not in bad}
        if bad:
            # What the dropped pattern would have let in must not be refused as an additional property.
            kept = {k: v for k, v in kept.items() if k not in ("additionalProperties", "unevaluatedProperties")}
        dropped += bad
    return kept


def _runs(pattern: str) -> bool:
    import jsonschema_rs

    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    except ValueError:
        return False
    return True


def _too_much(schema: Any) -> str | None:
    """Refuse what would take long to check: deep nesting, references that leave the schema, and references that
    multiply (25 definitions, each twice the one before it, are checked 33 million times)."""
    if _depth(schema) > MAX_DEPTH:
        return f"its schema is nested deeper than {MAX_DEPTH}"
    targets = {f"#{node['$anchor']}": node for node in _nodes(schema) if isinstance(node.get("$anchor"), str)}
    spread = _Spread(schema, targets)
    for node in _nodes(schema):
        if spread.of(node) > MAX_SPREAD:
            return f"its schema branches more than {MAX_SPREAD} ways at one place"
    return f"its schema refers outside itself: {_short(spread.outside[0])}" if spread.outside else None


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in DATA:
                yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


class _Spread:
    """How many schemas are applied to one and the same value, references followed."""

    def __init__(self, root: Any, anchors: Mapping[str, Any]) -> None:
        self.root, self.anchors = root, anchors
        self.outside: list[str] = []
        self._known: dict[int, int] = {}

    def of(self, node: Any) -> int:
        if not isinstance(node, dict):
            return 0
        if id(node) not in self._known:
            self._known[id(node)] = 0  # a reference back to here adds nothing: it is met again one value deeper
            self._known[id(node)] = 1 + sum(self.of(inner) for inner in self._beside(node))
        return self._known[id(node)]

    def _beside(self, node: dict[str, Any]) -> Iterator[Any]:
        for key in BESIDE:
            value = node.get(key)
            if key == "dependentSchemas" and isinstance(value, dict):
                yield from value.values()
            elif isinstance(value, list):
                yield from value
            else:
                yield value
        for key in ("$ref", "$dynamicRef"):
            if isinstance(ref := node.get(key), str):
                yield self._target(ref)

    def _target(self, ref: str) -> Any:
        if ref in self.anchors:
            return self.anchors[ref]
        if not ref.startswith("#"):
            self.outside.append(ref)
            return None
        found = self.root
        for step in filter(None, ref[1:].split("/")):
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                found = found.get(step) if isinstance(found, dict) else None
        return found


def _path(steps: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
