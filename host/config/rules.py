"""Rules of a file, checked against their own examples."""

from __future__ import annotations

from typing import Any

from host.config.places import Path
from host.config.problems import Problems
from host.config.sections import RuleSection
from host.core import policy


def build_rules(raw: Any, at: Path, scope: str, before: int, wrong: Problems) -> tuple[policy.Rule, ...]:
    """The sound rules of a list. One without an id is named after its scope and place: `support.3`."""
    if not isinstance(raw, list):
        return ()
    rules = [
        _rule(RuleSection.model_validate(one), f"{scope}.{before + number + 1}", wrong.place((*at, number)))
        for number, one in enumerate(raw)
        if wrong.sound((*at, number))
    ]
    numbers = [number for number in range(len(raw)) if wrong.sound((*at, number))]
    for number, rule in zip(numbers, rules, strict=True):
        for problem in policy.problems(rule):
            wrong.add((*at, number), problem)
    return tuple(rules)


def _rule(section: RuleSection, id: str, origin: str) -> policy.Rule:
    return policy.Rule(
        section.id or id,
        section.server,
        section.tool,
        policy.Verdict[section.verdict.upper()],
        {path: one.model_dump(by_alias=True, exclude_unset=True) for path, one in section.args.items()},
        tuple(section.needs),
        section.grantable,
        section.reason,
        tuple(section.match),
        tuple(section.not_match),
        origin,
    )
