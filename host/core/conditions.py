"""Conditions on a call's arguments, as rules and grants have them: pure, total, on a linear-time engine."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from math import isnan
from typing import Any

from host.core.types import canonical

OPERATORS = ("equals", "not_equals", "in", "min", "max", "regex", "glob", "path")
_ELSEWHERE = re.compile(r"%(?:00|2[5EF]|5C|7E)|\\|^~|^[A-Z][A-Z0-9+.-]*:|[\x00-\x1f]|\$[A-Z{(]", re.IGNORECASE)
"""An escape, a backslash, a home, an address or a drive, a control, a variable."""
_FACT = re.compile(r"\$\{fact\.([A-Za-z0-9_-]+)\}")


class Unevaluable(Exception):
    """A condition that has no truth here: its path is absent, its type is another, its fact is unset."""


def meets(
    conditions: Mapping[str, Mapping[str, Any]],
    arguments: Mapping[str, Any],
    facts: Mapping[str, Any],
    doubt: bool = False,
) -> bool:
    """Whether every condition is true of the arguments. `doubt` is what one counts as that cannot be judged; with it
    a condition on several values holds if it holds for one of them, without it for all."""
    return all(
        _holds(path, operator, operand, arguments, facts, doubt)
        for path, tests in conditions.items()
        for operator, operand in tests.items()
    )


def _holds(
    path: str, operator: str, operand: Any, arguments: Mapping[str, Any], facts: Mapping[str, Any], doubt: bool
) -> bool:
    try:
        values = lookup(arguments, path)
        wanted = _with_facts(operand, facts)
    except Unevaluable:
        return doubt
    truths: list[bool] = []
    for value in values:
        try:
            truths.append(_test(operator, value, wanted))
        except (Unevaluable, TypeError, ValueError):
            truths.append(doubt)
    return any(truths) if doubt else all(truths)


def lookup(value: Any, path: str) -> list[Any]:
    """The values at a JSON path: `name` or `$.a.b`, `$.list[0]`, `$.list[*].x`, `$['odd name']`.

    Raises Unevaluable where nothing is there.
    """
    found = [value]
    for step in _steps(path):
        found = [inner for item in found for inner in _descend(item, step)]
    if not found:
        raise Unevaluable(path)
    return found


@cache
def _steps(path: str) -> tuple[str | int, ...]:
    if not path.startswith("$"):
        return (path,)
    steps: list[str | int] = []
    rest = path[1:]
    while rest:
        found = re.match(r"\.([^.\[\]]+)|\[(\d+)\]|\[(\*)\]|\['([^']*)'\]", rest)
        if found is None:
            raise ValueError(f"not a JSON path: {path}")
        name, number, star, quoted = found.groups()
        steps.append(int(number) if number else -1 if star else name if name is not None else quoted)
        rest = rest[found.end() :]
    return tuple(steps)


def _descend(item: Any, step: str | int) -> list[Any]:
    if isinstance(step, int) and isinstance(item, list):
        return item if step < 0 else item[step : step + 1]
    if isinstance(step, str) and isinstance(item, Mapping) and step in item:
        return [item[step]]
    raise Unevaluable(step)


def _with_facts(operand: Any, facts: Mapping[str, Any]) -> Any:
    """The operand with `${fact.NAME}` replaced; a text that is only that keeps the fact's type."""
    if isinstance(operand, list):
        return [_with_facts(item, facts) for item in operand]
    if not isinstance(operand, str):
        return operand
    if whole := _FACT.fullmatch(operand):
        return _fact(whole[1], facts)
    return _FACT.sub(lambda found: str(_fact(found[1], facts)), operand)


def _fact(name: str, facts: Mapping[str, Any]) -> Any:
    if name not in facts:
        raise Unevaluable(name)
    return facts[name]


def _test(operator: str, value: Any, wanted: Any) -> bool:
    match operator:
        case "equals":
            return _same(value, wanted)
        case "not_equals":
            return not _same(value, wanted)
        case "in":
            return any(_same(value, item) for item in wanted)
        case "min":
            return _number(value) >= _number(wanted)
        case "max":
            return _number(value) <= _number(wanted)
        case "regex":
            return pattern(wanted).search(_text(value)) is not None
        case "glob":
            return fnmatchcase(_text(value), wanted)
        case "path":
            return _inside(_text(value), wanted)
    raise Unevaluable(operator)


def _same(value: Any, wanted: Any) -> bool:
    """JSON equality: true is not 1, 1 is 1.0."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or isnan(value):
        raise Unevaluable(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unevaluable(value)
    return value


def _inside(value: str, folder: str) -> bool:
    """Whether a path lies in `folder`, by its text: `..` is resolved, links are not. What a server may read as another
    path than the one that is written has no truth here."""
    if _ELSEWHERE.search(value):
        raise Unevaluable(value)
    whole = posixpath.normpath(posixpath.join(folder, value))
    base = posixpath.normpath(folder)
    return whole == base or whole.startswith(base.rstrip("/") + "/")


@cache
def pattern(text: str) -> Any:
    """A compiled pattern of the linear-time engine. Raises ValueError where it cannot be compiled."""
    import re2

    quiet = re2.Options()
    quiet.log_errors = False  # else it writes its own lines to stderr
    try:
        return re2.compile(text, quiet)
    except re2.error as error:
        raise ValueError(f"not a pattern of the RE2 engine: {error.args[0].decode('utf-8', 'replace')}") from None


def conditions_problems(args: Mapping[str, Any]) -> list[str]:
    """What is wrong with conditions: their form, their operators, patterns and paths."""
    wrong: list[str] = []
    for path, conditions in args.items():
        try:
            _steps(path)
        except ValueError as error:
            wrong.append(str(error))
        if not isinstance(conditions, Mapping) or not conditions:
            wrong.append(f"args.{path}: conditions are a table: {{ max = 50 }}")
            continue
        wrong += [problem for operator, operand in conditions.items() if (problem := _bad(path, operator, operand))]
    return wrong


def _bad(path: str, operator: str, operand: Any) -> str | None:
    if operator not in OPERATORS:
        return f"args.{path}: unknown condition {operator!r}; known: {', '.join(OPERATORS)}"
    if operator == "in" and not isinstance(operand, list):
        return f"args.{path}.in is a list"
    if operator in ("min", "max") and (isinstance(operand, bool) or not isinstance(operand, (int, float))):
        return f"args.{path}.{operator} is a number"
    if operator in ("regex", "glob", "path") and not isinstance(operand, str):
        return f"args.{path}.{operator} is a text"
    if operator == "regex" and not _FACT.search(operand):
        try:
            pattern(operand)
        except ValueError as error:
            return f"args.{path}: {error}"
    return None


def factless(conditions: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The conditions that name no fact: facts are only known in a session."""
    return {
        path: kept
        for path, tests in conditions.items()
        if (kept := {operator: v for operator, v in tests.items() if not _FACT.search(canonical(v))})
    }
