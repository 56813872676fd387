"""The conversation as a recording needs to see it: what was said, which results stand, how calls ended."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from host.core.frame import unframed
from host.core.told import ENDINGS
from host.core.types import Message, Text, ToolCall, ToolResult
from host.providers.recording import Outcome
from host.providers.scene import Match
from host.providers.template import NO_REASON, Values

_OUTCOMES: Mapping[str, Outcome] = {
    "denied": "denied",
    "nobody": "denied",
    "declined": "declined",
    "declined_input": "declined",
    "unknown": "unknown",
}
SENTENCES: Mapping[Outcome, str] = {
    "denied": "{tool} was not run, because it was not allowed: {reason}",
    "declined": "{tool} was not carried out, because it was declined: {reason}",
    "unknown": "It is not known whether {tool} took effect: {reason}",
    "error": "{tool} reported an error: {reason}",
}


@dataclass(frozen=True)
class Ended:
    """How a call ended, and the server's or the host's reason for it."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Step:
    """One answer of the model with how its calls ended, and the place after its results in the conversation."""

    calls: tuple[ToolCall, ...]
    ends: tuple[Ended, ...]
    until: int

    @property
    def failures(self) -> list[tuple[ToolCall, Ended]]:
        return [(call, end) for call, end in zip(self.calls, self.ends, strict=False) if end.outcome != "ok"]

    @property
    def reason(self) -> str:
        return self.failures[0][1].reason if self.failures else ""


class Talk:
    """The conversation as the recording sees it."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        users = [place for place, message in enumerate(messages) if message.role == "user"]
        self._prompt = users[-1] if users else -1
        self.spoken = [messages[place].text for place in users]
        self.known = [results(messages[:place]) for place in users]

    @cached_property
    def steps(self) -> list[Step]:
        """The model's answers since the user's last words."""
        found: list[Step] = []
        for place, message in enumerate(self.messages[self._prompt + 1 :], self._prompt + 1):
            if message.role == "assistant":
                found.append(Step(message.calls, (), place + 1))
            elif found:
                ends = {part.call_id: ended(part) for part in message.parts if isinstance(part, ToolResult)}
                calls = found[-1].calls
                known = tuple(ends.get(call.id, Ended("unknown", "there is no result")) for call in calls)
                found[-1] = Step(calls, known, place + 1)
        return found

    def values(self, match: Match, steps: int | None = None) -> Values:
        """What holes are filled from, now or after so many steps of this turn."""
        past = self.steps if steps is None else self.steps[:steps]
        until, reason = (past[-1].until, past[-1].reason) if past else (self._prompt + 1, "")
        return Values(match.slots, results(self.messages[:until]), self.spoken[-1], reason)


def results(messages: Sequence[Message]) -> dict[str, Any]:
    """The latest good result of each tool, by its name."""
    names: dict[str, str] = {}
    found: dict[str, Any] = {}
    for message in messages:
        names |= {call.id: call.name for call in message.calls}
        for part in message.parts:
            if isinstance(part, ToolResult) and not part.is_error and part.call_id in names:
                found[names[part.call_id]] = value_of(part)
    return found


def value_of(result: ToolResult) -> Any:
    """The last text that is a JSON object or list (structured content stands last), else the text itself."""
    texts = words(result)
    for candidate in reversed(texts):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, (dict, list)):
            return value
    return "\n".join(texts)


def ended(result: ToolResult) -> Ended:
    """How a call ended, told from the words the model is given for it."""
    if not result.is_error:
        return Ended("ok", "")
    own = [part.text for part in result.content if isinstance(part, Text) and unframed(part.text) is None]
    for cause, template in ENDINGS.items():
        for sentence in own:
            if match := re.fullmatch(_pattern(template), sentence, re.DOTALL):
                groups = match.groupdict(default="")
                reason = groups.get("reason") or groups.get("said", "").removeprefix(" They said: ")
                return Ended(_OUTCOMES[cause], reason or NO_REASON) if cause in _OUTCOMES else Ended("error", sentence)
    return Ended("error", " ".join(words(result)) or NO_REASON)


def words(result: ToolResult) -> list[str]:
    """The texts of a result without their frames."""
    texts = [part.text for part in result.content if isinstance(part, Text)]
    return [text if (inside := unframed(text)) is None else inside for text in texts]


def _pattern(template: str) -> str:
    """A regular expression for the sentences that a template makes."""
    return re.sub(r"\\\{(reason|said|server)\\\}", r"(?P<\1>.*?)", re.escape(template))
