"""What the conversation's results hold that a call may need: ids and the things they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from host.core.types import Message, ToolCall, ToolResult, canonical
from host.providers.planner_slots import Slot, shape
from host.providers.planner_words import likeness, tokens
from host.providers.talk import Ended, ended, value_of

DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Done:
    """A call of the conversation, how it ended, and its value if it ended well. `place` counts messages."""

    call: ToolCall
    end: Ended
    value: Any
    place: int

    @property
    def key(self) -> str:
        return key_of(self.call.name, self.call.arguments)


def key_of(tool: str, arguments: Mapping[str, Any]) -> str:
    return f"{tool} {canonical(dict(arguments))}"


def calls_done(messages: Sequence[Message]) -> list[Done]:
    """All calls with a result, the latest last."""
    asked: dict[str, ToolCall] = {}
    found: list[Done] = []
    for place, message in enumerate(messages):
        asked |= {call.id: call for call in message.calls}
        for part in message.parts:
            if isinstance(part, ToolResult) and part.call_id in asked:
                end = ended(part)
                found.append(Done(asked[part.call_id], end, value_of(part) if end.outcome == "ok" else None, place))
    return found


@dataclass(frozen=True, slots=True)
class Named:
    """A value found in a result, and the object it stands in."""

    value: Any
    thing: Mapping[str, Any]


def named(slot: Slot, value: Any) -> list[Named]:
    """The values in a result that this slot could take, each with the thing it names."""
    one = slot.items if slot.type == "array" else slot
    form = shape(one)
    found: dict[Any, Named] = {}
    for thing in objects(value):
        for key, inner in thing.items():
            if not isinstance(inner, (str, int)) or isinstance(inner, bool) or not _same_name(one, key, thing):
                continue
            if form is not None and not (isinstance(inner, str) and form.search(inner)):
                continue
            found.setdefault(inner, Named(inner, thing))
    return list(found.values())


def _same_name(slot: Slot, key: str, thing: Mapping[str, Any]) -> bool:
    """`order_id` is order_id; a bare `id` is the id of whatever the slot speaks of."""
    if key == slot.name:
        return True
    if slot.mail and key.casefold().endswith("mail"):
        return True
    return key == "id" and slot.last == "id" and slot.name not in thing


def objects(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """All objects in a JSON value, outer ones first."""
    if depth > DEEPEST:
        return
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from objects(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner, depth + 1)


def pick(found: Sequence[Named], said: Sequence[str]) -> list[Named]:
    """Those whose thing is described best by the words; all of them if the words describe none."""
    scores = [_described(one.thing, said) for one in found]
    best = max(scores, default=0.0)
    return [one for one, score in zip(found, scores, strict=True) if score == best]


def described(found: Named, said: Sequence[str]) -> bool:
    return _described(found.thing, said) > 0


def _described(thing: Mapping[str, Any], said: Sequence[str]) -> float:
    """How many of the words said stand in the thing's own texts. Kinds of words beat a mere likeness."""
    own = {token for value in thing.values() if isinstance(value, str) for token in tokens(value)}
    return sum(1.0 if word in own else 0.5 * (max((likeness(word, o) for o in own), default=0) >= 0.8) for word in said)
