"""The model of a machine without a key: it plays recorded conversations (recording.py), with live tool calls, and
what fits no recording it plans by the words alone (planner.py).

It claims nothing that did not happen: a step that was denied, declined or failed is answered as such, and where the
live results leave the recording it says so and stops. Where it stands is read from the messages alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from host.core.types import Message, Part, Text, ToolCall
from host.providers.base import Reply, Request
from host.providers.planner import plan
from host.providers.recording import Condition, Outcome, Outcomes, Turn, load
from host.providers.scene import Index, Match
from host.providers.scripted import Scripted, as_reply
from host.providers.talk import SENTENCES, Step, Talk
from host.providers.template import Unfilled, Values, fill, text

ABOUT = "This is the offline demonstration model: it replays recorded conversations; the tool calls are real."
A_REAL_MODEL = (
    "To use a real model, set ANTHROPIC_API_KEY or OPENAI_API_KEY in the environment, start a model server on this "
    "machine, or write model and [providers.NAME] in servers.toml."
)
NO_TOOLS = f"This is the offline planner: it can only call tools, and there are none here. {A_REAL_MODEL}"
NO_IDEA = (
    "This is the offline planner, not a language model: it matches your words with the tools' own words, and found no "
    f"tool for these. {A_REAL_MODEL} What would you like to do with the tools there are?"
)


CLOSE, SAME = 0.78, 0.999


class Offline(Scripted):
    """Plays a recording where the words are close to it, else plans, else plays what fits best, else says what it is.
    Raises ConfigError for a file that is not a recording."""

    def __init__(self, recording: Path | None = None, pace: float = 0.0) -> None:
        super().__init__(self._answer, pace)
        self._index = Index(load(recording)) if recording is not None else None

    def _answer(self, request: Request) -> Reply:
        talk = Talk(request.messages)
        match = self._index.follow(talk.spoken, talk.known) if self._index else None
        if match is not None and match.likeness >= CLOSE:
            return self._scene(match, talk, request)
        if (planned := plan(request)) is not None:
            return planned
        if match is not None and match.likeness > 0:
            return self._scene(match, talk, request)
        return _say(self._lost(request))

    def _scene(self, match: Match, talk: Talk, request: Request) -> Reply:
        """The recorded answer. Where the words are not those of the recording, its calls are a guess."""
        reply = as_reply(Message("assistant", tuple(self._parts(match, talk, request))))
        return reply if match.likeness >= SAME else replace(reply, notes={"tentative": True})

    def _parts(self, match: Match, talk: Talk, request: Request) -> Iterator[Part]:
        if match.missing:
            missing = ", ".join(name.replace("_", " ") for name in match.missing)
            yield Text(f"I need the {missing} for that. For example: {match.scene.say[0]}")
            return
        try:
            turn = next_turn(match, talk)
            if turn is None:
                yield Text(_honest(talk))
                return
            yield from _played(turn, talk.values(match), request)
        except Unfilled as error:
            yield Text(f"The live results differ from the recording, so I stop here. {error}")

    def _lost(self, request: Request) -> str:
        if self._index is None:
            return NO_IDEA if request.tools else NO_TOOLS
        recording = self._index.recording
        examples = "\n".join(f"- {scene.say[0]}" for scene in recording.scenes if not scene.after)
        known = f"{ABOUT} The recording is of: {recording.title}. It knows requests such as:\n{examples}"
        return f"{known}\n\nOf tools I found none for these words. What would you like to do?"


def _say(words: str) -> Reply:
    return Reply((Text(words),), "done")


def next_turn(match: Match, talk: Talk) -> Turn | None:
    """The turn to play now: the recording is walked again along the answers given so far."""
    turns = match.scene.turns
    place = 0
    for done in range(len(talk.steps) + 1):
        before = talk.steps[done - 1] if done else None
        values = talk.values(match, done)
        chosen = next((n for n in range(place, len(turns)) if holds(turns[n], before, values)), None)
        if chosen is None:
            return None
        if done < len(talk.steps) and [c.tool for c in turns[chosen].calls] != [c.name for c in talk.steps[done].calls]:
            raise Unfilled("The conversation holds answers that are not of this recording.")
        place = chosen + 1
    return turns[place - 1]


def holds(turn: Turn, before: Step | None, values: Values) -> bool:
    """Does a turn's `when` hold after this step?"""
    all_ends = [end.outcome for end in before.ends] if before else []
    ends = {call.name: end.outcome for call, end in zip(before.calls, before.ends, strict=False)} if before else {}
    words = [test for test in turn.when if isinstance(test, str)]
    single = [test for test in turn.when if isinstance(test, Outcomes)]
    if not words and not single:
        words = ["ok"]
    if words and not any(_is(word, all_ends) for word in words):
        return False
    if not all(test.tool in ends and _is(test.outcome, [ends[test.tool]]) for test in single):
        return False
    return all(_true(test, values) for test in turn.when if isinstance(test, Condition))


def _is(word: str, ends: Sequence[Outcome]) -> bool:
    match word:
        case "any":
            return True
        case "ok":
            return all(end == "ok" for end in ends)
        case "failed":
            return any(end != "ok" for end in ends)
        case _:
            return word in ends


def _true(condition: Condition, values: Values) -> bool:
    """A value that is not there, or not comparable, satisfies nothing but `exists = false` and `not_equals`."""
    tests: dict[str, Any] = fill(condition.tests, values)
    try:
        value = values.result(condition.path)
    except Unfilled:
        return all(name == "not_equals" or (name == "exists" and not wanted) for name, wanted in tests.items())
    return all(_test(name, value, wanted) for name, wanted in tests.items())


def _test(name: str, value: Any, wanted: Any) -> bool:
    try:
        match name:
            case "equals":
                return bool(value == wanted)
            case "not_equals":
                return bool(value != wanted)
            case "within":
                return value in wanted
            case "min":
                return bool(value >= wanted)
            case "max":
                return bool(value <= wanted)
            case _:
                return bool(wanted)
    except TypeError:
        return False


def _played(turn: Turn, values: Values, request: Request) -> Iterator[Part]:
    """The parts of a turn. Everything is filled before anything is said."""
    offered = {spec.name for spec in request.tools}
    for call in turn.calls:
        if call.tool not in offered:
            raise Unfilled(f"The recording uses the tool {call.tool}, which is not offered here.")
    said = text(turn.text, values) if turn.text is not None else ""
    place = request.messages[-1].seq or len(request.messages)
    calls = [
        ToolCall(f"call_{place}_{number}", call.tool, fill(call.arguments, values))
        for number, call in enumerate(turn.calls)
    ]
    if said:
        yield Text(said)
    yield from calls


def _honest(talk: Talk) -> str:
    """What is said when the recording has no turn for how the step ended."""
    failures = talk.steps[-1].failures if talk.steps else []
    if not failures:
        return "The recording has no answer for these results, so I stop here."
    lines = [SENTENCES[end.outcome].format(tool=call.name, reason=end.reason) for call, end in failures]
    return "\n".join([*lines, "Nothing further was done."])
