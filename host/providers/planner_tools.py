"""Which of the offered tools a request speaks of: overlap of words, by field, with a tool's rarer words saying more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

from host.core.types import ToolSpec
from host.providers.planner_slots import Slot, slots
from host.providers.planner_values import QUERY, choice, fill, ids, matching
from host.providers.planner_words import Words, changing, name_tokens, nearest, reading, telling

HOST = "host"
NAME, TITLE, ABOUT, PARAMETER, CHOICE = 2.0, 1.0, 1.0, 0.4, 1.0
KNOWN_ID, STRANGE_ID, LOOKS = 1.2, 0.8, 0.8
ENOUGH, SURE, MARGIN = 0.9, 1.6, 0.25
SEARCHES = frozenset(telling("search find query ask lookup"))


@dataclass(frozen=True)
class Tool:
    """A tool with its words."""

    spec: ToolSpec

    @property
    def reads(self) -> bool:
        """Whether people confirmed that it only reads."""
        return self.spec.confirmed and self.spec.effect == "read"

    @property
    def looks(self) -> bool:
        """Whether it is for looking: confirmed, or nobody said yet and its name says so. What is not confirmed is
        asked for by the host all the same."""
        return self.reads or (not self.spec.confirmed and reading(self.name[:1]) and not changing(self.name[:1]))

    @cached_property
    def name(self) -> Sequence[str]:
        return name_tokens(self.spec.remote_name)

    @cached_property
    def verbs(self) -> Sequence[str]:
        """The words of its name that say what it does: those that mean an act, else the first."""
        acts = [word for word in self.name if changing([word]) or reading([word])]
        return acts[:1] if acts and acts[0] == self.name[0] else acts or self.name[:1]

    @property
    def things(self) -> Sequence[str]:
        """The other words of its name: what it does it to."""
        return [word for word in self.name if word not in self.verbs]

    @cached_property
    def slots(self) -> list[Slot]:
        return slots(self.spec.input_schema)

    @property
    def required(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.required]

    @cached_property
    def fields(self) -> list[tuple[float, Sequence[str]]]:
        """Its words, with what a word of each field is worth."""
        parameters = [word for slot in self.slots for word in (*slot.words, *telling(slot.about))]
        return [
            (TITLE, telling(self.spec.title or "")),
            (ABOUT, telling(self.spec.description.partition("\n\n")[0][:400])),
            (PARAMETER, parameters),
            (PARAMETER, name_tokens(self.spec.server)),
        ]

    @cached_property
    def question(self) -> Slot | None:
        """The slot that takes words as they are, of a tool that only needs those."""
        if not (self.looks and len(self.required) == 1):
            return None
        slot = self.required[0]
        return slot if slot.type == "string" and slot.last in QUERY else None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A tool and how well it fits. `acts` is whether its own act was asked for, and not only its thing spoken of;
    `about` whether its thing was spoken of at all."""

    tool: Tool
    score: float
    acts: bool
    about: bool = False


class Shelf:
    """The tools on offer, with the weight of each word of their names."""

    def __init__(self, specs: Iterable[ToolSpec]) -> None:
        self.tools = [Tool(spec) for spec in specs if spec.server != HOST]
        names = Counter(word for tool in self.tools for word in set(tool.name))
        self._weights = {word: log(1 + len(self.tools) / count) for word, count in names.items()}
        self._full = log(1 + max(1, len(self.tools)))

    def named(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.spec.name == name), None)

    def rank(self, words: Words) -> list[Ranked]:
        """All tools, the best first; of equals the first offered."""
        found = [self._judged(tool, words) for tool in self.tools]
        return sorted(found, key=lambda ranked: -ranked.score)

    def _judged(self, tool: Tool, words: Words) -> Ranked:
        asked = words.meant if tool.looks else words.wanted
        acts = self._acts(tool, words, asked)
        if any(nearest(words.negated, verb) >= 0.8 for verb in tool.verbs) and not tool.looks:
            return Ranked(tool, 0.0, False)
        score = NAME * self._name(tool, words.meant)
        score += self._texts(tool, words.meant)
        score += self._values(tool, words)
        if (tool.looks and words.looks) or (not tool.looks and acts):
            score += LOOKS
        elif not tool.looks and words.looks:
            score *= 0.5
        return Ranked(tool, score, acts, acts or any(nearest(words.meant, word) >= 0.7 for word in tool.things))

    def _acts(self, tool: Tool, words: Words, asked: Sequence[str]) -> bool:
        """Whether its act was asked for: its verb was said, with its thing or a value that it takes; or the first word
        said stands in its texts, and all that it needs is there."""
        values = fill(tool.required, words)
        if any(nearest(asked, verb) >= 0.7 for verb in tool.verbs):
            things = tool.things
            return tool.looks or not things or bool(values) or any(nearest(words.meant, word) >= 0.7 for word in things)
        own = [*tool.name, *telling(tool.spec.description)]
        whole = bool(tool.required) and len(values) == len(tool.required)
        return whole and not tool.looks and bool(asked) and nearest(own, asked[0]) >= 0.7

    def _name(self, tool: Tool, said: Sequence[str]) -> float:
        """How much of the tool's name was said, its rarer words counting more."""
        weights = {word: self._weights[word] for word in tool.name}
        matched = sum(weight * nearest(said, word) for word, weight in weights.items())
        return matched / max(sum(weights.values()), self._full)

    def _texts(self, tool: Tool, said: Sequence[str]) -> float:
        """How much of what was said stands in the tool's texts."""
        if not said:
            return 0.0
        best = {word: max((w * nearest(own, word) for w, own in tool.fields), default=0.0) for word in said}
        return sum(best.values()) / max(3, len(said)) * 1.5

    def _values(self, tool: Tool, words: Words) -> float:
        """Values in the words that the tool takes, and ids that it has no use for."""
        score = 0.0
        used: set[str] = set()
        for slot in tool.slots:
            one = slot.items if slot.type == "array" else slot
            if one.choices:
                score += CHOICE * (choice(one, words) is not None)
            elif one.shaped and not one.mail:
                used |= set(matching(one, words.text))
        strange = [found for found in ids(words.text) if found.upper() not in {one.upper() for one in used}]
        units = fill([slot for slot in tool.required if slot.type in ("number", "integer")], words)
        mails = [slot for slot in tool.slots if slot.mail and matching(slot, words.text)]
        score += 0.5 * len(units) + 0.5 * len(mails)
        return score + KNOWN_ID * min(2, len(used)) - STRANGE_ID * len(strange)


def best_search(tools: Iterable[Tool]) -> Tool | None:
    """The one tool that answers questions in plain words, if exactly one does."""
    found = [tool for tool in tools if tool.question is not None and any(v in SEARCHES for v in tool.name)]
    return found[0] if len(found) == 1 else None


def described(tool: Tool) -> str:
    """What a tool is for, in its own first sentence."""
    text = " ".join((tool.spec.description or tool.spec.title or "").split())
    return text.partition(". ")[0].rstrip(".")[:120]


def filled(tool: Tool, values: Mapping[str, object]) -> str:
    """Its parameters with what is known of them."""
    parts = [
        f"{slot.name} = {values[slot.name]}" if slot.name in values else f"{slot.name} = ?" for slot in tool.required
    ]
    return ", ".join(parts)
