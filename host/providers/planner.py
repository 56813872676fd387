"""A planner without a language model: it matches a person's words with the tools' own words.

It claims little: values stand in the conversation or they are asked for; what is for looking is called, what may change
something is proposed and marked as a guess, so that the host asks a person whatever its rules say. Below a margin it
offers the likeliest tools in words. It is a function of messages and tools: a resumed session goes on as it would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from host.core.types import Text, ToolCall
from host.providers.base import Reply, Request
from host.providers.planner_plan import Lacks, Need, Planner, Ready
from host.providers.planner_results import Done, calls_done
from host.providers.planner_show import listed, shown
from host.providers.planner_slots import Slot
from host.providers.planner_talk import NEEDS, OFFERS, Thread, thread_of
from host.providers.planner_tools import (
    ENOUGH,
    MARGIN,
    SURE,
    Ranked,
    Shelf,
    Tool,
    best_search,
    described,
    filled,
)  # fmt: skip
from host.providers.planner_values import fill
from host.providers.planner_words import changing, reading, telling
from host.providers.talk import SENTENCES

LABEL = (
    "I am the offline planner: not a language model, only a match of your words with the tools' own words. "
    "I may be wrong, so whatever may change something is a proposal for you to confirm."
)
SEARCH_TOOLS = "host__search_tools"
OFFERED = 3
MOST_STEPS = 8
QUERY = 200


def plan(request: Request) -> Reply | None:
    """The next step of the conversation; None where no tool has anything to do with what was said."""
    talk = _Conversation(request)
    parts = talk.answer()
    if parts is None:
        return None
    text, call = parts
    if not talk.labelled:
        text = f"{LABEL}\n\n{text}".strip()
    said = (Text(text),) if text else ()
    if call is None:
        return Reply(said, "done")
    return Reply((*said, call), "calls", notes={"tentative": True})


class _Conversation:
    """One request of a user, as far as it has come."""

    def __init__(self, request: Request) -> None:
        self.messages = request.messages
        self.offered = {spec.name for spec in request.tools}
        self.shelf = Shelf(request.tools)
        self.thread: Thread = thread_of(self.messages, self.shelf)
        self.done = calls_done(self.messages)
        self.since = max((place for place, m in enumerate(self.messages) if m.role == "user"), default=0)
        self.steps = [done for done in self.done if done.place > self.since]

    @property
    def labelled(self) -> bool:
        return any(LABEL in message.text for message in self.messages if message.role == "assistant")

    def answer(self) -> tuple[str, ToolCall | None] | None:
        if self.thread.dropped:
            return "All right, nothing was done. What would you like instead?", None
        last = self.steps[-1] if self.steps else None
        chosen = self._chosen()
        if chosen is None or isinstance(chosen, list):
            if (call := self._search_tools()) is not None:
                return "I look for a tool.", call
            return (self._offer(chosen), None) if chosen else None
        if last is not None and last.call.name == chosen.spec.name:
            return self._ended(last, chosen), None
        if last is not None and last.end.outcome in ("denied", "declined", "unknown"):
            return self._failed(last), None
        if len(self.steps) >= MOST_STEPS:
            return (
                f"I have made {len(self.steps)} calls and am no further, so I stop. Could you say it another way?",
                None,
            )
        return self._go(chosen, last)

    # --- which tool

    def _chosen(self) -> Tool | list[Ranked] | None:
        """The tool for the request, or those it might be, or nothing."""
        thread = self.thread
        if thread.pinned and (tool := self.shelf.named(thread.pinned)):
            return tool
        ranked = self.shelf.rank(thread.words)
        likely = [one for one in ranked if one.about and one.score >= (ENOUGH / 2 if one.acts else ENOUGH)]
        best = next(iter(ranked), None)
        if best is not None and best.tool.looks and best.score >= ENOUGH and not self._changes_only():
            search = best_search(self.shelf.tools)
            return best.tool if best.score >= SURE or search is None or not self._open_question() else search
        if best is not None and best.acts and best.score >= SURE and self._clear(best, ranked):
            return best.tool
        if self._open_question() and (search := best_search(self.shelf.tools)):
            return search
        return likely[:OFFERED] or None

    def _clear(self, best: Ranked, ranked: Sequence[Ranked]) -> bool:
        """Whether nothing else comes near it. Of what changes something, only what was asked for is a rival."""
        rivals = [one for one in ranked if one is not best and (one.tool.looks or one.acts)]
        return not rivals or best.score - rivals[0].score >= MARGIN

    def _changes_only(self) -> bool:
        """Whether the request begins with a word for changing something: then looking at it is no answer."""
        words = self.thread.words
        return not words.looks and changing(words.wanted[:1]) and not reading(words.wanted[:1])

    def _open_question(self) -> bool:
        """A question that names nothing in particular: for a search, if there is one."""
        words = self.thread.words
        return (
            words.looks
            and bool(telling(words.text))
            and not any(fill([slot for slot in tool.slots if slot.names_a_thing], words) for tool in self.shelf.tools)
        )

    def _search_tools(self) -> ToolCall | None:
        """With a catalog that is not offered whole, the host's own search comes first."""
        words = " ".join(self.thread.words.unquoted.split())[:QUERY] if self.thread.words.meant else ""
        if SEARCH_TOOLS not in self.offered or not words or any(s.call.name == SEARCH_TOOLS for s in self.steps):
            return None
        return self._call(SEARCH_TOOLS, {"query": words})

    # --- what to do with it

    def _go(self, tool: Tool, last: Done | None) -> tuple[str, ToolCall | None]:
        match Planner(self.shelf.tools, self.thread.words, self.done, self.thread.begin).plan(tool):
            case Need(other, arguments):
                return "", self._call(other.spec.name, arguments)
            case Ready(arguments, stands):
                return self._proposal(tool, stands), self._call(tool.spec.name, arguments)
            case Lacks() as lacks:
                return self._ask(tool, lacks, last), None

    def _call(self, name: str, arguments: Mapping[str, Any]) -> ToolCall:
        place = self.messages[-1].seq or len(self.messages)
        return ToolCall(f"call_{place}_0", name, dict(arguments))

    def _proposal(self, tool: Tool, stands: Mapping[str, Mapping[str, Any]]) -> str:
        if tool.reads:
            return ""
        lines = [f"I propose `{tool.spec.name}`: {described(tool)}."]
        for name, thing in stands.items():
            lines.append(f"- {name}: {listed(thing)}")
        return "\n".join(lines)

    def _ask(self, tool: Tool, lacks: Lacks, last: Done | None) -> str:
        lines = [self._failed(last)] if last is not None and last.end.outcome != "ok" else []
        lines.append(f"For `{tool.spec.name}` {NEEDS}:")
        lines += [_wanted(slot) for slot in lacks.missing]
        for name, found in lacks.choices.items():
            if len(found) > 1:
                things = shown([dict(one.thing) for one in found])
                lines.append(f"\nThese could be meant by {name}:\n\n{things}\n")
        if lacks.known:
            lines.append("Known so far: " + ", ".join(f"{name} = {value}" for name, value in lacks.known.items()) + ".")
        lines.append("What should I take?")
        return "\n".join(lines)

    def _offer(self, likely: Sequence[Ranked]) -> str:
        lines = ["I am not sure what you want. Nothing was done yet.", ""]
        for number, one in enumerate(likely, 1):
            values = fill(one.tool.slots, self.thread.words)
            takes = f" ({filled(one.tool, values)})" if one.tool.required else ""
            lines.append(f"{number}. `{one.tool.spec.name}`{takes}: {described(one.tool)}")
        return "\n".join([*lines, "", f"{OFFERS} Answer with a number, or say it another way."])

    def _ended(self, last: Done, tool: Tool) -> str:
        if last.end.outcome != "ok":
            return self._failed(last)
        head = f"`{tool.spec.name}` answers:" if tool.looks else f"Done: `{tool.spec.name}`."
        if _empty(last.value):
            return f"{head} nothing was found. Could you say it in other words?"
        return "\n\n".join([head, shown(last.value), *self._left(tool)])

    def _left(self, done: Tool) -> list[str]:
        """What else the words asked for: one request is one call here, and the rest must not go unnoticed."""
        others = [
            f"`{one.tool.spec.name}`"
            for one in self.shelf.rank(self.thread.words)
            if one.tool is not done and not one.tool.looks and one.acts and one.score >= SURE
        ]
        if not others:
            return []
        return [f"I do one thing at a time. Not done, if you meant it too: {', '.join(others[:OFFERED])}."]

    def _failed(self, last: Done) -> str:
        said = SENTENCES[last.end.outcome].format(tool=f"`{last.call.name}`", reason=last.end.reason)
        return f"{said}\nNothing further was done."


def _wanted(slot: Slot) -> str:
    """A parameter as it is asked for."""
    kinds = f"one of {', '.join(map(str, slot.choices))}" if slot.choices else slot.about
    return f"- **{slot.name}**" + (f": {kinds}" if kinds else "")


def _empty(value: Any) -> bool:
    """A result whose lists hold nothing, and nothing else either."""
    if isinstance(value, Mapping):
        return all(one in ([], {}, None, "") for one in value.values())
    return value in ([], "", None)
