"""May this call run? A pure, total function of rules, grants, the tool's confirmed effect and the call.

Several rules: the strictest wins, and their order means nothing, so files merge by concatenation and none can
loosen another. A condition that cannot be evaluated is false in an allow rule and true in an ask or deny rule.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import cache
from math import isnan
from typing import Any

from host.core.types import Effect, Grant, ToolSpec, canonical

OPERATORS = ("equals", "not_equals", "in", "min", "max", "regex", "glob", "path")
_FACT = re.compile(r"\$\{fact\.([A-Za-z0-9_-]+)\}")


class Verdict(IntEnum):
    """Ordered by strictness: the maximum of several is the decision."""

    ALLOW = 0
    ASK = 1
    DENY = 2


class Unevaluable(Exception):
    """A condition that has no truth here: its path is absent, its type is another, its fact is unset."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A standing decision about calls. `server` and `tool` are exact globs; `args` maps a JSON path to
    conditions, all of which must hold; `needs` names facts without which the call is denied.
    `origin` says where it stands (file:line), `id` names it in decisions."""

    id: str
    server: str
    tool: str
    verdict: Verdict
    args: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    grantable: bool = True
    reason: str = ""
    match: tuple[Mapping[str, Any], ...] = ()
    not_match: tuple[Mapping[str, Any], ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may depend on besides rules and call. `unsettled`: the same call was sent before and its
    outcome is unknown. `tentative`: who proposes it only guesses."""

    mode: str = "ask"
    facts: Mapping[str, Any] = field(default_factory=dict)
    unsettled: bool = False
    bypass: bool = False
    tentative: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its evidence."""

    verdict: Verdict
    rules: tuple[str, ...] = ()
    reason: str = ""
    grantable: bool = False


def decide(
    rules: Iterable[Rule], grants: Iterable[Grant], spec: ToolSpec, arguments: Mapping[str, Any], context: Context
) -> Decision:
    """The decision for one call. Never raises."""
    found = [d for rule in rules if (d := _judge(rule, spec, arguments, context.facts)) is not None]
    found.append(_by_mode(spec, context, bool(found)))
    strictest = max(d.verdict for d in found)
    told = [d for d in found if d.verdict == strictest and d.reason] or found[-1:]
    decision = Decision(
        strictest,
        tuple(sorted({id for d in found if d.verdict == strictest for id in d.rules})),
        "; ".join(dict.fromkeys(d.reason for d in told)),
        all(d.grantable for d in found if d.verdict == strictest),
    )
    if context.tentative and decision.verdict is Verdict.ALLOW and not (spec.confirmed and spec.effect == "read"):
        decision = Decision(Verdict.ASK, decision.rules, "a guess of the model, which only proposes", True)
    if decision.verdict is not Verdict.ASK:
        return _unsettled(decision, context)
    if context.bypass:
        return _unsettled(Decision(Verdict.ALLOW, decision.rules, "approvals are bypassed"), context)
    if decision.grantable and (grant := _granted(grants, spec, arguments)):
        return _unsettled(Decision(Verdict.ALLOW, decision.rules, f"granted for this {grant.scope}"), context)
    return _unsettled(decision, context)


def _unsettled(decision: Decision, context: Context) -> Decision:
    """The same call ended in the unknown before: it always asks, whatever rules and grants say."""
    if not context.unsettled or decision.verdict is Verdict.DENY:
        return decision
    return Decision(Verdict.ASK, decision.rules, "the same call was sent before and its outcome is unknown", False)


def _judge(rule: Rule, spec: ToolSpec, arguments: Mapping[str, Any], facts: Mapping[str, Any]) -> Decision | None:
    """What one rule says of the call; None if it does not speak of it."""
    if not (fnmatchcase(spec.server, rule.server) and fnmatchcase(spec.remote_name, rule.tool)):
        return None
    if missing := [name for name in rule.needs if name not in facts]:
        return Decision(Verdict.DENY, (rule.id,), f"needs the fact {', '.join(missing)}, which is not set yet")
    if not holds(rule, arguments, facts):
        return None
    return Decision(rule.verdict, (rule.id,), rule.reason or f"rule {rule.id}", rule.grantable)


def _by_mode(spec: ToolSpec, context: Context, ruled: bool) -> Decision:
    """What the tool's confirmed effect and the mode say, before any rule. A rule that spoke replaces the default
    ask or allow, but never the denial of read-only mode."""
    reads = spec.confirmed and spec.effect == "read"
    if context.mode == "read-only" and not reads:
        return Decision(Verdict.DENY, (), "read-only mode: this tool may write")
    if ruled:
        return Decision(Verdict.ALLOW, (), "", True)
    if reads and not spec.open:
        return Decision(Verdict.ALLOW, (), "reads only")
    if context.mode == "auto" and spec.confirmed and spec.effect == "write" and not spec.open:
        return Decision(Verdict.ALLOW, (), "auto mode: writes, not destructive, not open")
    why = f"{spec.effect}{', open' if spec.open else ''}" if spec.confirmed else "its effect is not confirmed"
    return Decision(Verdict.ASK, (), f"no rule matches; {why}", True)


def _granted(grants: Iterable[Grant], spec: ToolSpec, arguments: Mapping[str, Any]) -> Grant | None:
    text = canonical(dict(arguments))
    for grant in grants:
        if grant.arguments is None:
            if not (fnmatchcase(spec.server, grant.server) and fnmatchcase(spec.remote_name, grant.tool)):
                continue
            exact = grant.server == spec.server and grant.tool == spec.remote_name
            if exact or spec.effect != "destructive":
                return grant
        elif (grant.server, grant.tool, grant.digest, grant.arguments) == (
            spec.server, spec.remote_name, spec.digest, text,
        ):  # fmt: skip
            return grant
    return None


def holds(rule: Rule, arguments: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether every condition of the rule is true of the arguments."""
    return all(
        _holds(rule.verdict, path, operator, operand, arguments, facts)
        for path, conditions in rule.args.items()
        for operator, operand in conditions.items()
    )


def _holds(
    verdict: Verdict, path: str, operator: str, operand: Any, arguments: Mapping[str, Any], facts: Mapping[str, Any]
) -> bool:
    allows = verdict is Verdict.ALLOW
    try:
        values = lookup(arguments, path)
        wanted = _with_facts(operand, facts)
    except Unevaluable:
        return not allows
    truths: list[bool] = []
    for value in values:
        try:
            truths.append(_test(operator, value, wanted))
        except (Unevaluable, TypeError, ValueError):
            truths.append(not allows)
    return all(truths) if allows else any(truths)


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
    """Whether a path lies in `folder`, by its text: `..` is resolved, links are not."""
    whole = posixpath.normpath(posixpath.join(folder, value))
    base = posixpath.normpath(folder)
    return whole == base or whole.startswith(base.rstrip("/") + "/")


@cache
def pattern(text: str) -> Any:
    """A compiled pattern of the linear-time engine. Raises ValueError where it cannot be compiled."""
    import re2

    try:
        return re2.compile(text)
    except re2.error as error:
        raise ValueError(f"not a pattern of the RE2 engine: {error}") from None


def problems(rule: Rule) -> list[str]:
    """What is wrong with a rule: unknown operators, bad patterns and paths, examples that disagree.

    Conditions on facts are left out of the examples, for facts are only known in a session.
    """
    wrong: list[str] = []
    for path, conditions in rule.args.items():
        try:
            _steps(path)
        except ValueError as error:
            wrong.append(str(error))
        for operator, operand in conditions.items():
            if operator not in OPERATORS:
                wrong.append(f"args.{path}: unknown condition {operator!r}; known: {', '.join(OPERATORS)}")
            elif operator == "in" and not isinstance(operand, list):
                wrong.append(f"args.{path}.in is a list")
            elif operator in ("min", "max") and (isinstance(operand, bool) or not isinstance(operand, (int, float))):
                wrong.append(f"args.{path}.{operator} is a number")
            elif operator in ("regex", "glob", "path") and not isinstance(operand, str):
                wrong.append(f"args.{path}.{operator} is a text")
            elif operator == "regex" and not _FACT.search(operand):
                try:
                    pattern(operand)
                except ValueError as error:
                    wrong.append(f"args.{path}: {error}")
    return wrong or _disagreeing(rule)


def _disagreeing(rule: Rule) -> list[str]:
    factless = {
        path: kept
        for path, conditions in rule.args.items()
        if (kept := {op: v for op, v in conditions.items() if not _FACT.search(canonical(v))})
    }
    plain = Rule(rule.id, rule.server, rule.tool, rule.verdict, factless)
    wrong = [f"match example {canonical(dict(e))} does not match" for e in rule.match if not holds(plain, e, {})]
    return wrong + [f"not_match example {canonical(dict(e))} matches" for e in rule.not_match if holds(plain, e, {})]


def presumed_effect(claims: Mapping[str, Any], settings: Sequence[Any], trust_hints: bool) -> tuple[Effect, bool, bool]:
    """(effect, open, confirmed) of a tool: what people said first, then, for a server whose hints are trusted, its
    own annotations; else destructive and open, unconfirmed. `settings` is (effect or None, open or None)."""
    effect, opened = settings
    if trust_hints:
        hinted: Effect = (
            "read"
            if claims.get("readOnlyHint")
            else "write"
            if claims.get("destructiveHint") is False
            else "destructive"
        )
        return effect or hinted, claims.get("openWorldHint", True) if opened is None else opened, True
    if effect is None:
        return "destructive", True, False
    return effect, True if opened is None else opened, True
