"""Recorded conversations as a TOML file: what the model said, to be played back with live tool calls.

    title = "Library desk"                 # of what these conversations are
    threshold = 0.5                        # how well the user's words must fit a scene, 0 to 1

    [[scenes]]
    name = "loan status"
    say = ["Where is my book B-1001?"]     # phrasings; the first is offered as the example
    after = ["greeting"]                   # optional: only right after one of these scenes

    [scenes.slots]                         # values taken out of the user's words, in this order: what one took,
    book_id = { pattern = '\\b(B-\\d+)\\b', default = "B-1001" }            # the next does not see
    days = { pattern = '(\\d+) days', type = "number", from = "loans__get_loan.days" }

    [[scenes.turns]]                       # one answer of the model each
    text = "Let me look."                  # optional beside calls; alone it ends the answer
    calls = [{ tool = "loans__get_loan", arguments = { book_id = "{book_id}" } }]

    [[scenes.turns]]
    when = { path = "loans__get_loan.status", equals = "due" }
    text = "Book {book_id} is due, {result.loans__get_loan.books.*.title}."

A slot is searched in the user's message (regex, ignoring case; group 1 if there is one) and in the messages that this
one completes, then `from` (a path into the latest good result of a tool), then, with `earlier = true`, in all that the
user said before, then `default`. What belongs to one request alone, such as an amount, has no `earlier`: else a second
request would silently take the first one's. `type`: text, integer, number; `case`: upper, lower.

Next is the first later turn whose `when` holds: a word, a table, or a list of them. Words speak of the calls of the
step before, any of them: ok (all went well; the default), denied (by policy, or nobody could approve), declined (by
the person), unknown, error (any other failure), failed (anything but ok), any. Tables must all hold: { path, equals |
not_equals | in | min | max | exists } over results, or { tool, outcome } for one call among several.

Holes: {slot}, {result.TOOL.path}, {words} (the user's message), {reason} (why the step before failed), each with an
optional Python format ({result.T.total:.2f}); {{ and }} are braces. A value that is one hole keeps its JSON type.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from host.core.errors import ConfigError
from host.providers.template import holes

Outcome = Literal["ok", "denied", "declined", "unknown", "error"]
Word = Literal["ok", "denied", "declined", "unknown", "error", "failed", "any"]
_SLOT = re.compile(r"[a-z_][a-z0-9_]*")
_FIXED = ("words", "reason")


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return pattern


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Slot(_Table):
    pattern: Annotated[str, AfterValidator(_compiles)]
    type: Literal["text", "integer", "number"] = "text"
    case: Literal["upper", "lower"] | None = None
    source: str | None = Field(None, alias="from")
    earlier: bool = False
    default: Any = None


class Outcomes(_Table):
    """How one call of the step before ended."""

    tool: str
    outcome: Word


class Condition(_Table):
    """What stands at a path of the results."""

    path: str
    equals: Any = None
    not_equals: Any = None
    within: list[Any] | None = Field(None, alias="in")
    min: Any = None
    max: Any = None
    exists: bool | None = None

    @property
    def tests(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set - {"path"}}

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if not self.tests:
            raise ValueError("needs one of equals, not_equals, in, min, max, exists")
        return self


class Call(_Table):
    tool: str
    arguments: dict[str, Any] = {}


def _kind(test: Any) -> str:
    if not isinstance(test, dict):
        return "word"
    return "outcomes" if "tool" in test or "outcome" in test else "condition"


Test = Annotated[
    Annotated[Word, Tag("word")] | Annotated[Outcomes, Tag("outcomes")] | Annotated[Condition, Tag("condition")],
    Discriminator(_kind),
]


class Turn(_Table):
    text: str | None = None
    calls: list[Call] = []
    when: Annotated[list[Test], BeforeValidator(lambda value: value if isinstance(value, list) else [value])] = []

    @model_validator(mode="after")
    def _says_something(self) -> Turn:
        if self.text is None and not self.calls:
            raise ValueError("needs text or calls")
        return self


class Scene(_Table):
    name: str
    say: list[str] = Field(min_length=1)
    after: list[str] = []
    slots: dict[str, Slot] = {}
    turns: list[Turn] = Field(min_length=1)

    @model_validator(mode="after")
    def _holes_have_names(self) -> Scene:
        for name in self.slots:
            if not _SLOT.fullmatch(name) or name in (*_FIXED, "result"):
                raise ValueError(f"slot {name!r} should be a word of a-z, 0-9 and _, other than words, reason, result")
        for number, turn in enumerate(self.turns, 1):
            for hole in _all_holes(turn):
                if hole not in self.slots and hole not in _FIXED and not hole.startswith("result."):
                    raise ValueError(f"turn {number}: {{{hole}}} is no slot of this scene")
        return self


def _all_holes(turn: Turn) -> Iterator[str]:
    yield from holes(turn.text)
    for call in turn.calls:
        yield from holes(call.arguments)
    for condition in turn.when:
        if isinstance(condition, Condition):
            yield from holes(list(condition.tests.values()))


class Recording(_Table):
    title: str
    threshold: float = 0.5
    scenes: list[Scene] = Field(min_length=1)

    @model_validator(mode="after")
    def _scenes_are_known(self) -> Recording:
        names = [scene.name for scene in self.scenes]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two scenes are called {', '.join(sorted(repeated))}")
        for scene in self.scenes:
            if missing := set(scene.after) - set(names):
                raise ValueError(f"scene {scene.name!r} comes after {', '.join(sorted(missing))}, which is no scene")
        return self


def load(file: Path) -> Recording:
    """Read a recording. Raises ConfigError that names the file, the place and what is wrong."""
    try:
        return Recording.model_validate(tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise ConfigError(f"{file}: the recording cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the recording is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step + 1) if isinstance(step, int) else step for step in first["loc"])
        raise ConfigError(f"{file}: {where or 'recording'}: {first['msg'].removeprefix('Value error, ')}") from None
