"""Texts with holes: `{order_id}`, `{result.TOOL.items.0.name}`, filled from what a conversation really holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

NO_REASON = "no reason was given"
_HOLE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


class Unfilled(LookupError):
    """A hole for which the conversation holds nothing; its text names the hole and what is missing."""


@dataclass(frozen=True, slots=True)
class Values:
    """What holes are filled from: slots of the user's words, the latest good result of each tool, the user's
    message itself, and why the step before failed."""

    slots: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""
    reason: str = ""

    def find(self, name: str) -> Any:
        """The value of a hole, its format left aside."""
        head, _, path = name.partition(".")
        if head == "result":
            return self.result(path)
        if name == "words":
            return self.words
        if name == "reason":
            return self.reason or NO_REASON
        if name not in self.slots:
            raise Unfilled(f"{{{name}}}: the conversation does not hold it")
        return self.slots[name]

    def result(self, path: str) -> Any:
        """The value at `TOOL.a.0.b`, where `*` is each element of a list."""
        tool, *steps = path.split(".")
        if tool not in self.results:
            raise Unfilled(f"{{result.{path}}}: {tool} gave no result")
        return _walk(self.results[tool], steps, path)


def _walk(value: Any, steps: list[str], path: str) -> Any:
    for place, step in enumerate(steps):
        if step == "*" and isinstance(value, list):
            return [_walk(item, steps[place + 1 :], path) for item in value]
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise Unfilled(f"{{result.{path}}}: the live result holds no {step!r} there")
    return value


def holes(template: Any) -> Iterator[str]:
    """The names in a template, or in all texts of a JSON value, formats left aside."""
    if isinstance(template, str):
        yield from (match[1].partition(":")[0] for match in _HOLE.finditer(template) if match[1])
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from holes(value)
    elif isinstance(template, list):
        for value in template:
            yield from holes(value)


def fill(template: Any, values: Values) -> Any:
    """A JSON value with its holes filled. A text that is one hole and nothing else becomes the value itself."""
    if isinstance(template, Mapping):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    if not isinstance(template, str):
        return template
    whole = _HOLE.fullmatch(template)
    if whole and whole[1] and ":" not in whole[1]:
        return values.find(whole[1])
    return text(template, values)


def text(template: str, values: Values) -> str:
    """A text with its holes filled, for people to read."""

    def filled(match: re.Match[str]) -> str:
        if not match[1]:
            return match[0][0]
        name, _, form = match[1].partition(":")
        value = values.find(name)
        if not form:
            return shown(value)
        try:
            return format(value, form)
        except (ValueError, TypeError):
            raise Unfilled(f"{{{match[1]}}}: {shown(value)} cannot be written that way") from None

    return _HOLE.sub(filled, template)


def shown(value: Any) -> str:
    """A JSON value in words."""
    match value:
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case list():
            return ", ".join(shown(item) for item in value) or "none"
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
