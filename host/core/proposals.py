"""What a tool probably does, from its name, its arguments and its own hints. A proposal: a person confirms it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from host.core.types import Effect, ToolSpec

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def words(name: str) -> list[str]:
    """The words of a name, however they are joined."""
    return [word.lower() for word in _WORD.findall(name)]


READS = frozenset(
    words(
        "get list search find read fetch lookup look show describe count check query view browse inspect identify "
        "preview compare calculate compute convert validate explain status history summary summarize is has"
    )
)
WRITES = frozenset(
    words(
        "create add update set write post send put insert upsert edit rename move assign note append save store book "
        "schedule reserve reply comment tag label notify escalate publish upload import enable register"
    )
)
DESTROYS = frozenset(
    words(
        "delete remove drop destroy purge cancel refund return exchange pay charge transfer revoke kill reset wipe "
        "overwrite terminate clear erase truncate ban disable close execute exec run eval shell deploy merge"
    )
)
OUTWARD = frozenset(
    words(
        "url uri href link webhook endpoint host domain email recipient recipients to cc bcc phone channel http https "
        "web internet send post publish upload notify reply mail sms tweet fetch download browse"
    )
)
STRICTNESS: Mapping[Effect, int] = {"read": 0, "write": 1, "destructive": 2}


@dataclass(frozen=True, slots=True)
class Proposal:
    """`why` says where it comes from."""

    effect: Effect
    open: bool
    why: str


def propose(spec: ToolSpec, remote: bool = False) -> Proposal:
    """The strictest of what name and hints say; what neither speaks of is destructive and open. `remote`: its server is
    at an address."""
    named, verb = by_name(words(spec.remote_name))
    hinted = by_hints(spec)
    told = [effect for effect in (named, hinted) if effect is not None]
    effect: Effect = max(told, key=lambda each: STRICTNESS[each]) if told else "destructive"
    why = [f'its name says "{verb}"'] if named else ["its name does not tell"]
    if hinted:
        why.append(f"its own hint says {hinted}" + (", which is not believed" if hinted != effect else ""))
    opened, reason = _open(spec, named, remote)
    return Proposal(effect, opened, "; ".join([*why, reason]))


def by_name(named: list[str]) -> tuple[Effect | None, str]:
    """What the words of a name say, and which word does: one that destroys anywhere, else the first that is a verb."""
    for word in named:
        if word in DESTROYS:
            return "destructive", word
    for word in named:
        if word in READS:
            return "read", word
        if word in WRITES:
            return "write", word
    return None, ""


def by_hints(spec: ToolSpec) -> Effect | None:
    """What the server's own annotations say; None where they say nothing."""
    claims = spec.claims
    if claims.get("readOnlyHint") is True:
        return "read"
    if claims.get("destructiveHint") is False:
        return "write"
    return "destructive" if claims.get("destructiveHint") or claims.get("readOnlyHint") is False else None


def _open(spec: ToolSpec, named: Effect | None, remote: bool) -> tuple[bool, str]:
    """Whether it can carry data out, and what says so."""
    properties = spec.input_schema.get("properties")
    parameters = list(properties) if isinstance(properties, Mapping) else []
    places = [*words(spec.remote_name), *(word for name in parameters for word in words(name))]
    if outward := next((word for word in places if word in OUTWARD), None):
        return True, f'"{outward}" leads out'
    hint = spec.claims.get("openWorldHint")
    if isinstance(hint, bool) and (hint or named is not None):
        return hint, f"its own hint says {'open' if hint else 'closed'}"
    if remote or named is None:
        return True, "its server is elsewhere" if remote else "nothing says that it stays inside"
    return False, "nothing in it leads out"
