"""The nouns: immutable values that every room passes around."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from math import isinf
from typing import Any, Literal

Effect = Literal["read", "write", "destructive"]
Stop = Literal["done", "calls", "length", "refusal", "failed", "interrupted"]
Scope = Literal["run", "session", "project", "me"]
Outcome = Literal["ok", "error", "denied", "declined", "interrupted", "unknown"]


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces. Equal values have equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Text:
    """Words, of a person, a model or a tool."""

    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class Opaque:
    """What only its maker understands; goes back to it byte for byte, in its place, and to nobody else."""

    maker: str
    type: str
    body: Any
    kind: Literal["opaque"] = "opaque"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to run a tool. `raw` is its text where `arguments` would not print to the same bytes."""

    id: str
    name: str
    arguments: dict[str, Any]
    raw: str | None = None
    malformed: bool = False
    kind: Literal["tool_call"] = "tool_call"

    @classmethod
    def parse(cls, id: str, name: str, text: str) -> ToolCall:
        """Read the model's argument text; text that is not a JSON object makes a `malformed` call."""
        try:
            arguments = json.loads(text or "{}", parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError):
            return cls(id, name, {}, raw=text, malformed=True)
        if not isinstance(arguments, dict):
            return cls(id, name, {}, raw=text, malformed=True)
        call = cls(id, name, arguments)
        return call if call.text == text else cls(id, name, arguments, raw=text)

    @property
    def text(self) -> str:
        """The argument text as the model wrote it."""
        return self.raw if self.raw is not None else json.dumps(self.arguments, ensure_ascii=False)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """Python reads 1e999 as infinity, which no JSON can say again."""
    value = float(text)
    if isinf(value):
        raise ValueError(f"{text} is too large a number")
    return value


@dataclass(frozen=True, slots=True)
class Blob:
    """An image or a sound: base64 `data` of `media_type`."""

    media_type: str
    data: str
    kind: Literal["blob"] = "blob"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is given for one call. `handle` is where the log has the whole of it; `found` names the tools that
    it brings."""

    call_id: str
    content: tuple[Text | Blob, ...]
    is_error: bool = False
    handle: str = ""
    found: tuple[str, ...] = ()
    kind: Literal["tool_result"] = "tool_result"


@dataclass(frozen=True, slots=True)
class Attached:
    """What a person put beside their words: a resource (`name` is its URI) or a filled-in prompt of a server, or a file
    (its path). `parts` is how many parts of the message it is, `arguments` what the prompt was filled in with."""

    kind: Literal["resource", "prompt", "file"]
    name: str
    server: str = ""
    parts: int = 1
    arguments: Mapping[str, str] | None = None


Part = Text | Opaque | ToolCall | ToolResult | Blob


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the conversation. `seq` is the event that brought it."""

    role: Literal["user", "assistant", "tool"]
    parts: tuple[Part, ...]
    seq: int = 0

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money. `input` counts all input tokens, cached ones among them."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    usd: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.usd + other.usd,
        )

    @property
    def tokens(self) -> int:
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a server defines it, and what people said of it.

    `claims` are the server's own annotations: its word, untrusted. `effect` and `open` (can carry data
    out) are facts only when `confirmed`; unconfirmed means destructive and open.
    """

    name: str
    server: str
    remote_name: str
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})
    output_schema: Mapping[str, Any] | None = None
    title: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    effect: Effect = "destructive"
    open: bool = True
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a session. `turns` (model requests), `calls` and `seconds` (without waiting for people)
    count anew for each prompt; `tokens` and `usd` are for the whole session. None is no bound. A call that came to the
    same end `repeats` times in a turn asks; twice as often ends it."""

    turns: int | None = 100
    calls: int | None = None
    seconds: float | None = None
    tokens: int | None = None
    usd: float | None = None
    result_tokens: int = 8000
    repeats: int | None = 10


@dataclass(frozen=True, slots=True)
class Grant:
    """An answer given ahead: it may satisfy an ask, never a deny.

    Bound to server, tool, definition and arguments: `arguments` is the canonical text of exactly these, or conditions
    as a rule has them, or None for a grant of this run (`--allow`), whose names may be globs. One that outlives its
    session is also bound to what the server is (`identity`), and one for a project to its folder.
    """

    server: str
    tool: str
    digest: str | None = None
    arguments: str | Mapping[str, Mapping[str, Any]] | None = None
    scope: Scope = "session"
    identity: str = ""
    project: str = ""
    at: str = ""

    @property
    def id(self) -> str:
        """A short name that follows from what is granted: the same grant has the same one everywhere."""
        what = [getattr(self, each.name) for each in fields(self) if each.name != "at"]
        return "g" + sha256(canonical(what).encode("utf-8", "surrogatepass")).hexdigest()[:8]

    def holds_for(self, identity: str, project: str) -> bool:
        """Whether one that outlives its session is about this very server, in this folder."""
        return self.identity == identity and (self.scope == "me" or self.project == project)


@dataclass(frozen=True, slots=True)
class InputRequired:
    """A server ended the round because it needs input: its requests by its own keys, and its opaque state."""

    requests: Mapping[str, Mapping[str, Any]]
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Large:
    """A result too large to be parsed beside other work: `json` is the text of an object with its content and
    structured content, `outline` its parts abridged (core/outline.py)."""

    json: bytes
    outline: tuple[Mapping[str, Any], ...]


Contents = list[dict[str, Any]] | Large
"""What was read of a resource."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """How one round at a server ended. `outcome` is ok, error or unknown; `cause` names a failure that is
    not the server's own word (core/told.py has the sentences); `content` and `structured` are the server's, or
    stand in `large`; `found` names the tools that a search found; `checked`: it fits the tool's own schema."""

    outcome: Outcome = "ok"
    content: tuple[Mapping[str, Any], ...] = ()
    structured: Any = None
    is_error: bool = False
    cause: str | None = None
    reason: str | None = None
    large: Large | None = None
    found: tuple[str, ...] = ()
    checked: bool | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A line of the session list. `at`: time of the last event. `state`: idle, working, waiting, damaged, or
    interrupted where the process that worked or waited is gone."""

    id: str
    title: str
    profile: str
    model: str
    at: str
    turns: int
    usd: float
    state: str
