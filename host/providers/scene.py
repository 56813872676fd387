"""Which scene of a recording the user's words belong to: token overlap, the same every time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import Any

from host.providers.recording import Recording, Scene, Slot
from host.providers.template import Unfilled, Values

_TOKEN = re.compile(r"[^\W_]+|<\w+>")
_NOT = re.compile(r"\b(?:not|never|no|don['’]?t|won['’]?t)\b", re.IGNORECASE)
_COMMON = re.compile(
    "an?|the|my|me|i|is|am|are|was|be|its?|of|for|to|on|in|at|by|with|and|or|do|does|did|can|could|would|will|your?"
    "|please|this|that|so|just|want|need|like|tell|us|we|have|has"
)


@dataclass(frozen=True)
class Match:
    """A scene, the values of its slots, and the slots for which there is none. `likeness` says how near the words are
    to one of its phrases, 1 being that phrase itself with values of its own."""

    scene: Scene
    slots: Mapping[str, Any]
    missing: tuple[str, ...]
    likeness: float = 1.0


@dataclass(frozen=True)
class Index:
    """The scenes of a recording with the weight of each word: a word of few scenes says more."""

    recording: Recording

    @cached_property
    def weights(self) -> Mapping[str, float]:
        scenes = self.recording.scenes
        vocabularies = [{t for phrase in scene.say for t in tokens(phrase, scene)} for scene in scenes]
        return {
            token: log(1 + len(scenes) / sum(token in vocabulary for vocabulary in vocabularies))
            for token in set().union(*vocabularies)
        }

    def best(self, words: str, before: Scene | None) -> Scene | None:
        """The scene that fits best and well enough; of equals the first."""
        possible = [s for s in self.recording.scenes if not s.after or (before is not None and before.name in s.after)]
        scores = [
            max(self._score(tokens(words, scene), tokens(phrase, scene)) for phrase in scene.say) for scene in possible
        ]
        if not scores or max(scores) < self.recording.threshold:
            return None
        return possible[scores.index(max(scores))]

    def likeness(self, words: str, scene: Scene) -> float:
        """How near the words are to a phrase of the scene. A value that is not said is no difference: it may come from
        elsewhere. What was said beyond the phrase counts twice: it may ask for something else. Words that negate are
        never near to a phrase that does not."""
        said = tokens(words, scene)
        near = 0.0
        for phrase in scene.say:
            spoken = tokens(phrase, scene)
            unsaid = {token for token in spoken - said if token.startswith("<")}
            if bool(_NOT.search(words)) == bool(_NOT.search(phrase)):
                near = max(near, self._score(spoken - unsaid, said))
        return near

    def _score(self, said: frozenset[str], phrase: frozenset[str]) -> float:
        """How much of the phrase was said counts twice as much as how much of what was said is in the phrase."""
        common = self._weight(said & phrase)
        return 0.0 if not common else (2 * common / self._weight(phrase) + common / self._weight(said)) / 3

    def _weight(self, words: Iterable[str]) -> float:
        unknown = log(1 + len(self.recording.scenes))
        return sum(self.weights.get(word, unknown) for word in sorted(words))

    def follow(self, spoken: Sequence[str], results: Sequence[Mapping[str, Any]]) -> Match | None:
        """Go through all that the user said, with the results known at each time; the scene they have arrived at.

        A message that fits no scene may give the value that the scene before it lacked.
        """
        match: Match | None = None
        begin = 0
        for number, (words, known) in enumerate(zip(spoken, results, strict=True)):
            found = self.best(words, match.scene if match else None)
            if found is None and match and match.missing:
                again = slots(match.scene, spoken[begin : number + 1], spoken[:begin], known)
                better = len(again.missing) < len(match.missing)
                match = replace(again, likeness=match.likeness) if better else None
            elif found is None:
                match = None
            else:
                begin = number
                near = self.likeness(words, found)
                match = replace(slots(found, [words], spoken[:number], known), likeness=near)
        return match


def tokens(words: str, scene: Scene) -> frozenset[str]:
    """The telling words of a text, stemmed, with the values of the scene's slots replaced by their names."""
    for name, slot in scene.slots.items():
        words = _without(slot, words, f" <{name}> ")
    found = _TOKEN.findall(words.casefold())
    telling = [token for token in found if not _COMMON.fullmatch(token)]
    return frozenset(stem(token) for token in telling or found)


def stem(word: str) -> str:
    """Cut what inflects: cancelled, cancelling and cancels are cancel, deliveries are deliveri as delivery is."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    word = word.removesuffix("e") if len(word) > 3 else word
    word = word[:-1] + "i" if word.endswith("y") else word
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def slots(scene: Scene, words: Sequence[str], earlier: Sequence[str], results: Mapping[str, Any]) -> Match:
    """The values of a scene's slots. `words` are the messages of this request, `earlier` those before it."""
    values: dict[str, Any] = {}
    own, before = list(words[::-1]), list(earlier[::-1])
    for name, slot in scene.slots.items():
        found = _value(slot, own, before, results)
        if found is not None:
            values[name] = found
        own, before = ([_without(slot, text, " ") for text in texts] for texts in (own, before))
    return Match(scene, values, tuple(name for name in scene.slots if name not in values))


def _value(slot: Slot, own: Sequence[str], before: Sequence[str], results: Mapping[str, Any]) -> Any:
    if (said := _first(slot, own)) is not None:
        return said
    if slot.source is not None:
        try:
            return Values(results=results).result(slot.source)
        except Unfilled:
            pass
    said = _first(slot, before) if slot.earlier else None
    return slot.default if said is None else said


def _first(slot: Slot, texts: Sequence[str]) -> Any:
    return next((said for text in texts if (said := _said(slot, text)) is not None), None)


def _said(slot: Slot, words: str) -> Any:
    match = _find(slot, words)
    if match is None:
        return None
    text = words[slice(*_span(match))]
    text = text.upper() if slot.case == "upper" else text.lower() if slot.case == "lower" else text
    if slot.type == "text":
        return text
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return None
    return int(number) if slot.type == "integer" or number.is_integer() else number


def _without(slot: Slot, words: str, put: str) -> str:
    match = _find(slot, words)
    if match is None:
        return words
    start, end = _span(match)
    return words[:start] + put + words[end:]


def _find(slot: Slot, words: str) -> re.Match[str] | None:
    match = re.search(slot.pattern, words, re.IGNORECASE)
    return match if match and _span(match)[0] >= 0 else None


def _span(match: re.Match[str]) -> tuple[int, int]:
    return match.span(1) if match.re.groups else match.span()
