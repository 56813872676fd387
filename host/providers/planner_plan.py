"""From a tool to a call: what it needs, taken from the words, from results, or from another tool asked before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from host.providers.planner_results import Done, Named, described, key_of, named, pick
from host.providers.planner_slots import Slot
from host.providers.planner_tools import Tool
from host.providers.planner_values import fill
from host.providers.planner_words import Words, name_tokens, reading

DEEPEST = 3
LISTS = frozenset({"list", "all", "search", "find", "show", "brows"})


@dataclass(frozen=True, slots=True)
class Need:
    """A call to make: the request's own, or one that finds out what it needs."""

    tool: Tool
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lacks:
    """What is missing, and for what there are several things to choose from. `stands` tells what an id stands for."""

    missing: list[Slot]
    choices: Mapping[str, list[Named]]
    known: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ready:
    """The request's own call, whole. `stands` are the things that ids taken from results name."""

    arguments: Mapping[str, Any]
    stands: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A value, and the thing that it names where it was taken from a result."""

    value: Any
    thing: Mapping[str, Any] | None = None


class Planner:
    """Plans one request. `done` are the calls of the conversation, `since` the place where this request began."""

    def __init__(self, tools: Sequence[Tool], words: Words, done: Sequence[Done], since: int) -> None:
        self._tools, self._words, self._done, self._since = tools, words, done, since
        self._choices: dict[str, list[Named]] = {}

    def plan(self, tool: Tool) -> Ready | Need | Lacks:
        values = fill(tool.slots, self._words)
        stands: dict[str, Mapping[str, Any]] = {}
        missing: list[Slot] = []
        for slot in tool.required:
            if slot.name in values:
                continue
            match self._resolved(slot, tool, {slot.name}, 0):
                case Need() as need:
                    return need
                case Found(value, thing):
                    values[slot.name] = value
                    if thing is not None:
                        stands[slot.name] = thing
                case None:
                    missing.append(slot)
        if missing:
            return Lacks(missing, self._choices, values)
        return Ready(values, stands)

    # --- one value

    def _resolved(self, slot: Slot, goal: Tool, asked: set[str], depth: int) -> Found | Need | None:
        """A value for the slot, or the call that may find it."""
        if not slot.names_a_thing or depth > DEEPEST:
            return None
        for tool in self._sources(slot, goal, asked):
            if (arguments := self._said(tool)) is not None:
                done = self._made(tool, arguments)
                if done is None:
                    return Need(tool, arguments)
                if done.end.outcome == "ok" and (found := self._chosen(slot, [done], depth)):
                    return found
        if found := self._chosen(slot, self._context(), depth):
            return found
        for tool in self._sources(slot, goal, asked):
            match self._arguments(tool, slot, asked, depth):
                case Need() as need:
                    return need
                case dict() as arguments if self._made(tool, arguments) is None:
                    return Need(tool, arguments)
        return None

    def _context(self) -> list[Done]:
        return [done for done in reversed(self._done) if done.end.outcome == "ok"]

    def _chosen(self, slot: Slot, done: Sequence[Done], depth: int) -> Found | None:
        """The value that the results hold: the only one, or the one whose thing the words describe.

        Words choose only for the request's own call: further back, a chance word would choose whom it is about.
        """
        for one in done:
            found = named(slot, one.value)
            if not found:
                continue
            everything = [each for each in found if described(each, self._words.meant)] or found
            best = found if depth else everything if slot.type == "array" else pick(found, self._words.meant)
            if len(best) == 1 and (len(found) == 1 or described(best[0], self._words.meant)):
                value = best[0].value
                return Found([value] if slot.type == "array" else value, best[0].thing)
            self._choices.setdefault(slot.name, best)
            return None
        return None

    # --- other tools

    def _sources(self, slot: Slot, goal: Tool, asked: set[str]) -> list[Tool]:
        """Looking tools whose results hold such a value; those that need it themselves are of no use."""
        found = [
            tool
            for tool in self._tools
            if tool.looks
            and tool is not goal
            and not any(other.name in asked for other in tool.required)
            and _gives(tool, slot)
        ]
        return sorted(found, key=lambda tool: (tool.spec.server != goal.spec.server, len(tool.required)))

    def _said(self, tool: Tool) -> dict[str, Any] | None:
        """The arguments of a look-up that the words hold, if they name a thing."""
        values = fill(tool.slots, self._words)
        if any(slot.name not in values for slot in tool.required) or not any(
            slot.name in values and (slot.names_a_thing or slot.last == "name") for slot in tool.slots
        ):
            return None
        return values

    def _arguments(self, tool: Tool, slot: Slot, asked: set[str], depth: int) -> dict[str, Any] | Need | None:
        """The arguments of a tool that may know the slot's value, from results or from yet another tool."""
        values = fill([s for s in tool.slots if s.choices or s.names_a_thing], self._words)
        wanted = tool.required or [s for s in tool.slots if s.names_a_thing and s.shaped][:1]
        for needed in wanted:
            if needed.name in values:
                continue
            match self._resolved(needed, tool, {*asked, needed.name}, depth + 1):
                case Need() as need:
                    return need
                case Found(value, _):
                    values[needed.name] = value
                case None if needed.required:
                    return None
        if tool.required or any(s.name in values for s in wanted):
            return values
        return values if depth == 0 and not wanted and _lists(tool) else None

    def _made(self, tool: Tool, arguments: Mapping[str, Any]) -> Done | None:
        """The latest such call: an older one that failed may be tried again for a new request."""
        key = key_of(tool.spec.name, arguments)
        found = [done for done in self._done if done.key == key]
        if not found or (found[-1].end.outcome != "ok" and found[-1].place < self._since):
            return None
        return found[-1]


def _gives(tool: Tool, slot: Slot) -> bool:
    """Whether a tool's results hold a slot's value: its output schema says so, else it is named after the thing."""
    name = slot.items.name if slot.type == "array" else slot.name
    if tool.spec.output_schema is not None:
        return name in _keys(tool.spec.output_schema)
    things = [word for word in name_tokens(name) if word not in ("id", "nam", "key", "number")]
    return bool(things) and all(word in tool.name for word in things)


def _keys(schema: Any, depth: int = 0) -> set[str]:
    """All names of properties in a schema."""
    if depth > 12:
        return set()
    if isinstance(schema, list):
        return {key for inner in schema for key in _keys(inner, depth + 1)}
    if not isinstance(schema, Mapping):
        return set()
    own = schema.get("properties")
    found = set(own) if isinstance(own, Mapping) else set()
    return found | {key for inner in schema.values() for key in _keys(inner, depth + 1)}


def _lists(tool: Tool) -> bool:
    return any(word in LISTS for word in tool.name) and reading(tool.name)
