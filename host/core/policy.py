"""May this call run? A pure, total function of rules, grants, the tool's confirmed effect and the call.

Several rules: the strictest wins, and their order means nothing, so files merge by concatenation and none can
loosen another. A condition that cannot be evaluated is false in an allow rule and true in an ask or deny rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Any

from host.core.conditions import conditions_problems, factless, meets
from host.core.types import Effect, Grant, Scope, ToolSpec, canonical

GRANTED: Mapping[Scope, str] = {
    "run": "granted for this run",
    "session": "granted for this session",
    "project": "granted for this project",
    "me": "granted by you, wherever you work",
}


class Verdict(IntEnum):
    """Ordered by strictness: the maximum of several is the decision."""

    ALLOW = 0
    ASK = 1
    DENY = 2


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
    outcome is unknown. `tentative`: who proposes it only guesses. `repeated`: it came to the same end
    again and again."""

    mode: str = "ask"
    facts: Mapping[str, Any] = field(default_factory=dict)
    unsettled: bool = False
    bypass: bool = False
    tentative: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its evidence. `grant` names the answer given ahead that let it through."""

    verdict: Verdict
    rules: tuple[str, ...] = ()
    reason: str = ""
    grantable: bool = False
    grant: str | None = None


def decide(
    rules: Iterable[Rule], grants: Iterable[Grant], spec: ToolSpec, arguments: Mapping[str, Any], context: Context
) -> Decision:
    """The decision for one call. Never raises."""
    found = [d for rule in rules if (d := judge(rule, spec, arguments, context.facts)) is not None]
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
    if context.repeated and decision.verdict is Verdict.ALLOW:
        decision = Decision(Verdict.ASK, decision.rules, "the same call came to the same end again and again", False)
    if decision.verdict is not Verdict.ASK:
        return _unsettled(decision, context)
    if context.bypass:
        return _unsettled(Decision(Verdict.ALLOW, decision.rules, "approvals are bypassed"), context)
    if decision.grantable and (grant := _granted(grants, spec, arguments, context.facts)):
        granted = Decision(Verdict.ALLOW, decision.rules, GRANTED[grant.scope], grant=grant.id)
        return _unsettled(granted, context)
    return _unsettled(decision, context)


def _unsettled(decision: Decision, context: Context) -> Decision:
    """The same call ended in the unknown before: it always asks, whatever rules and grants say."""
    if not context.unsettled or decision.verdict is Verdict.DENY:
        return decision
    return Decision(Verdict.ASK, decision.rules, "the same call was sent before and its outcome is unknown", False)


def judge(rule: Rule, spec: ToolSpec, arguments: Mapping[str, Any], facts: Mapping[str, Any]) -> Decision | None:
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


def _granted(
    grants: Iterable[Grant], spec: ToolSpec, arguments: Mapping[str, Any], facts: Mapping[str, Any]
) -> Grant | None:
    """The first grant that covers the call. What may destroy is covered by name for this run, or by its exact
    arguments for this session, and by nothing else, whatever a file of grants says."""
    text, destroys = canonical(dict(arguments)), spec.effect == "destructive"
    for grant in grants:
        if grant.scope == "run":
            named = fnmatchcase(spec.server, grant.server) and fnmatchcase(spec.remote_name, grant.tool)
            if named and (not destroys or (grant.server, grant.tool) == (spec.server, spec.remote_name)):
                return grant
        elif (grant.server, grant.tool, grant.digest) != (spec.server, spec.remote_name, spec.digest):
            continue
        elif isinstance(grant.arguments, Mapping):
            if not destroys and grant.arguments and meets(grant.arguments, arguments, facts):
                return grant
        elif grant.arguments == text and (grant.scope == "session" or not destroys):
            return grant
    return None


def grant_problem(
    remember: Any, effect: Effect | None, arguments: Mapping[str, Any], facts: Mapping[str, Any]
) -> str | None:
    """Why an answer cannot be remembered like this; None if it can."""
    if not isinstance(remember, Mapping) or remember.keys() != {"for", "arguments"}:
        return 'remember is {"for": "session"|"project"|"me", "arguments": "exact"|{condition}}'
    if remember["for"] not in ("session", "project", "me"):
        return f"remember.for is session, project or me, not {remember['for']!r}"
    if effect in (None, "destructive") and remember != {"for": "session", "arguments": "exact"}:
        return "a tool that may destroy is granted for exactly these arguments and for the session only"
    conditions = remember["arguments"]
    if conditions == "exact":
        return None
    if not isinstance(conditions, Mapping) or not conditions:
        return 'remember.arguments is "exact" or conditions: {"amount": {"max": 50}}'
    if wrong := conditions_problems(conditions):
        return "remember." + wrong[0]
    if not meets(conditions, arguments, facts):
        return "remember: the condition is not true of the arguments that are approved"
    return None


def problems(rule: Rule) -> list[str]:
    """What is wrong with a rule: unknown operators, bad patterns and paths, examples that disagree.

    Conditions on facts are left out of the examples, for facts are only known in a session.
    """
    return conditions_problems(rule.args) or _disagreeing(rule)


def holds(rule: Rule, arguments: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether every condition of the rule is true of the arguments."""
    return meets(rule.args, arguments, facts, doubt=rule.verdict is not Verdict.ALLOW)


def _disagreeing(rule: Rule) -> list[str]:
    plain = Rule(rule.id, rule.server, rule.tool, rule.verdict, factless(rule.args))
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
