"""The vocabulary of a session: what happened (events), what streams by (deltas), what is asked for (commands).

One JSON envelope serves the row of the log, the line that headless prints and the frame of a server. The
vocabulary only grows: an unknown kind is kept and passed over, old shapes go through `upcast`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, ClassVar, Literal, get_args

from host.core.errors import HostError
from host.core.types import Attached, Blob, Effect, Outcome, Part, Stop, Text, Usage

VERSION = 1
About = Literal["approval", "form", "url", "sampling", "sign_in"]
Action = Literal["accept", "decline", "cancel"]
Json = Mapping[str, Any]
LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


@dataclass(frozen=True, slots=True)
class SessionOpened:
    kind: ClassVar[str] = "session_opened"
    profile: str
    model: str
    servers: tuple[str, ...]
    mode: str = "ask"
    limits: Json = field(default_factory=dict)
    facts: Json = field(default_factory=dict)
    host: str = ""
    sandbox: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserSaid:
    """The user's own words are the first part; the content of what they `attached` follows, whole."""

    kind: ClassVar[str] = "user_said"
    parts: tuple[Part, ...]
    attached: tuple[Attached, ...] | None = None


@dataclass(frozen=True, slots=True)
class ModelSaid:
    """One answer of the model. `request` tells what was asked: digests of system prompt and tool list,
    attempts, milliseconds, and `through`, the seq of the last event the model saw."""

    kind: ClassVar[str] = "model_said"
    parts: tuple[Part, ...]
    model: str
    stop: Stop
    usage: Usage = Usage()
    request: Json = field(default_factory=dict)
    error: str | None = None
    code: Literal["auth", "model", "server"] | None = None


@dataclass(frozen=True, slots=True)
class CallDecided:
    kind: ClassVar[str] = "call_decided"
    call_id: str
    tool: str
    server: str
    remote_name: str
    arguments: Json
    verdict: Literal["allow", "ask", "deny"]
    rules: tuple[str, ...] = ()
    reason: str = ""
    effect: Effect = "destructive"
    open: bool = True
    digest: str = ""
    grantable: bool = False
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to a person. For an approval `arguments` are exactly what would be sent. For a sampling they are
    the server's request, then, asked anew with the model's answer and its `usage`, what the server would get. `runs` is
    the server's command and arguments, or its address, `sandbox` the limits in force for it; `says` its own
    description, cut short; `flows` which data of other servers could leave with the call (core/provenance.py);
    `unchecked` patterns of its schema that are not enforced."""

    kind: ClassVar[str] = "asked"
    request_id: str
    about: About
    server: str
    call_id: str | None = None
    step: int = 0
    tool: str | None = None
    remote_name: str | None = None
    arguments: Json | None = None
    effect: Effect | None = None
    open: bool | None = None
    rules: tuple[str, ...] | None = None
    reason: str | None = None
    grantable: bool | None = None
    message: str | None = None
    schema: Json | None = None
    url: str | None = None
    usage: Usage | None = None
    runs: tuple[str, ...] | None = None
    sandbox: str | None = None
    says: str | None = None
    flows: tuple[Json, ...] | None = None
    unchecked: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """`by` is user, or host where nobody can answer or the turn was stopped."""

    kind: ClassVar[str] = "answered"
    request_id: str
    action: Action
    content: Json | None = None
    by: str = "user"
    remember: Json | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The intent, durable before anything is sent. `arguments` are exactly what is sent."""

    kind: ClassVar[str] = "call_started"
    call_id: str
    round: int
    server: str
    remote_name: str
    arguments: Json
    key: str


@dataclass(frozen=True, slots=True)
class CallPaused:
    """The server needs input: its requests by its own keys, each with the `request_id` it is asked under."""

    kind: ClassVar[str] = "call_paused"
    call_id: str
    round: int
    requests: Json
    state: str | None = None


@dataclass(frozen=True, slots=True)
class CallFinished:
    """`content` and `structured` are the server's own; `cause` and `reason` say why there are none. Of a large result
    they are in the log only, and `outline` holds its parts abridged (core/outline.py). `found` names tools that the
    model is offered from here on; `checked`: `structured` was compared with the tool's own schema, and fits."""

    kind: ClassVar[str] = "call_finished"
    call_id: str
    outcome: Outcome
    is_error: bool
    content: tuple[Json, ...] = ()
    structured: Any = None
    milliseconds: int = 0
    cause: str | None = None
    reason: str | None = None
    outline: tuple[Json, ...] | None = None
    found: tuple[str, ...] | None = None
    checked: bool | None = None


@dataclass(frozen=True, slots=True)
class CatalogChanged:
    """Exposed tool names that a server gained, lost or redefined; `quarantined` are set aside, each with why. `drifts`:
    of those that a person may accept as they are now, the `digest` to accept and the `diff` to read before."""

    kind: ClassVar[str] = "catalog_changed"
    server: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    quarantined: Mapping[str, str] = field(default_factory=dict)
    drifts: Mapping[str, Mapping[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Compacted:
    """Messages up to `through_seq` are replaced by a summary; grants, facts and limits stay."""

    kind: ClassVar[str] = "compacted"
    through_seq: int
    summary: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """`changes` may hold model, mode, facts, limits, revoked (a grant by its id); `by` is user, host, or the id of the
    call that set a fact."""

    kind: ClassVar[str] = "settings_changed"
    changes: Json
    by: str = "user"


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """`error` says why a turn failed or which limit it met; `code` whose failure it was."""

    kind: ClassVar[str] = "turn_ended"
    reason: Literal["done", "interrupted", "failed", "limit"]
    usage: Usage = Usage()
    error: str | None = None
    code: Literal["auth", "model", "server"] | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """The body of event `target` was erased; the chain still verifies, the fold has a gap."""

    kind: ClassVar[str] = "erased"
    target: int
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event of a later version: kept, shown raw, passed over by the fold."""

    kind: str
    body: Json


Event = (
    SessionOpened
    | UserSaid
    | ModelSaid
    | CallDecided
    | Asked
    | Answered
    | CallStarted
    | CallPaused
    | CallFinished
    | CatalogChanged
    | Compacted
    | SettingsChanged
    | TurnEnded
    | Erased
    | Unknown
)
EVENTS: dict[str, type[Any]] = {cls.kind: cls for cls in get_args(Event) if cls is not Unknown}


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in its place: session id, number (from 1), time (RFC 3339, milliseconds, UTC)."""

    session: str
    seq: int
    at: str
    event: Event


@dataclass(frozen=True, slots=True)
class Delta:
    """Live only: text of the model, of a call's arguments, or a call's progress. A lost one is repaired by
    the event that follows. `part` counts the parts of the message, `offset` the characters before `value`."""

    kind: ClassVar[str] = "delta"
    part: int
    offset: int
    of: Literal["text", "args", "progress"]
    value: str
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A command that was not taken, and why."""

    kind: ClassVar[str] = "rejected"
    command: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServerNews:
    """Live only: a server said that its lists of `what` changed, or its resource with this `uri`."""

    kind: ClassVar[str] = "server_news"
    server: str
    what: Literal["tools", "resources", "prompts", "resource"]
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """Words, and what stands beside them: `attached` tells what the `parts` are. `attach` only names it: whoever takes
    the command from outside asks for it first (the query `attach`)."""

    kind: ClassVar[str] = "say"
    text: str
    parts: tuple[Text | Blob, ...] = ()
    attached: tuple[Attached, ...] = ()
    attach: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers one question or several. For an approval, `content` may hold edited arguments."""

    kind: ClassVar[str] = "answer"
    action: Action
    request_id: str | None = None
    request_ids: tuple[str, ...] = ()
    content: dict[str, Any] | None = None
    remember: dict[str, Any] | None = None
    reason: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        return self.request_ids or ((self.request_id,) if self.request_id else ())


@dataclass(frozen=True, slots=True)
class Interrupt:
    kind: ClassVar[str] = "interrupt"


@dataclass(frozen=True, slots=True)
class Change:
    kind: ClassVar[str] = "change"
    model: str | None = None
    mode: Literal["read-only", "ask", "auto"] | None = None
    facts: dict[str, Any] | None = None
    revoke: str | None = None


@dataclass(frozen=True, slots=True)
class Accept:
    """A tool that was set aside is accepted as it is now: `digest` says which definition was read."""

    kind: ClassVar[str] = "accept"
    server: str
    tool: str
    digest: str


@dataclass(frozen=True, slots=True)
class Close:
    kind: ClassVar[str] = "close"


@dataclass(frozen=True, slots=True)
class Compact:
    """Have the model sum up the conversation so far; between turns only."""

    kind: ClassVar[str] = "compact"


@dataclass(frozen=True, slots=True)
class Restart:
    """Start a server anew. It is no event of the session: servers have states of their own."""

    kind: ClassVar[str] = "restart"
    server: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Have a server log from this level on, as long as the session is open."""

    kind: ClassVar[str] = "listen"
    server: str
    level: LogLevel


Command = Say | Answer | Interrupt | Change | Accept | Compact | Restart | Listen | Close
COMMANDS: dict[str, type[Any]] = {cls.kind: cls for cls in get_args(Command)}


class BadMessage(HostError):
    """A line or a row that is not a message of this protocol."""


def plain(value: Any) -> Any:
    """A value as JSON types: dataclasses become objects without their None fields."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(v) for f in fields(value) if (v := getattr(value, f.name)) is not None}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def dumps(value: Any) -> bytes:
    """Compact JSON bytes. A lone surrogate, which UTF-8 cannot carry, is written as an escape."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def encode(event: Event) -> bytes:
    """The body of an event as it is stored: a JSON object without kind, seq and time."""
    return dumps(dict(event.body) if isinstance(event, Unknown) else plain(event))


def decode(kind: str, body: bytes) -> Event:
    """Read a stored body back. Raises BadMessage where a known kind has an impossible shape."""
    if kind not in EVENTS:
        return Unknown(kind, json.loads(body))
    event: Event = _read(EVENTS[kind], upcast(kind, json.loads(body)), kind)
    return event


def upcast(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Bring a body written by an older version to today's shape. Version 1 is the first."""
    return body


def envelope(recorded: Recorded, stored: bytes | None = None) -> bytes:
    """The line that is printed for an event: what only its maker understands is left out. Of an event that is only an
    outline, `stored` is the body that the log has."""
    event = recorded.event
    if stored is not None:
        return dumps(_head(recorded))[:-1] + b"," + stored[1:]
    body = dict(event.body) if isinstance(event, Unknown) else plain(event)
    if isinstance(event, ModelSaid):
        body["parts"] = [p | {"body": None} if p["kind"] == "opaque" else p for p in body["parts"]]
    elif isinstance(event, CallPaused):
        body.pop("state", None)
    return dumps(_head(recorded) | body)


def _head(recorded: Recorded) -> dict[str, Any]:
    session, seq, at, kind = recorded.session, recorded.seq, recorded.at, recorded.event.kind
    return {"v": VERSION, "session": session, "seq": seq, "at": at, "kind": kind}


def live(session: str, item: Delta | Rejected | ServerNews) -> bytes:
    """The line of something that has no place in the log."""
    return dumps({"v": VERSION, "session": session, "kind": item.kind} | plain(item))


def command(line: bytes | str) -> Command:
    """Read one command. Raises BadMessage with what is wrong."""
    try:
        body = json.loads(line)
        dumps(body)  # what reads as infinity, such as 1e999, could not be written again
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadMessage("a command is a JSON object with a kind")
    if body.pop("v", VERSION) != VERSION:
        raise BadMessage(f"this host speaks version {VERSION}")
    kind = body.pop("kind", None)
    if not isinstance(kind, str) or kind not in COMMANDS:
        raise BadMessage(f"unknown command {kind!r}; known: {', '.join(COMMANDS)}")
    if extra := body.keys() - {f.name for f in fields(COMMANDS[kind])}:
        raise BadMessage(f"{kind} has no field {', '.join(sorted(extra))}")
    value: Command = _read(COMMANDS[kind], body, kind)
    if isinstance(value, Answer) and not value.ids:
        raise BadMessage("an answer names request_id or request_ids")
    return value


def _read(cls: Any, body: Any, kind: str) -> Any:
    from pydantic import ValidationError

    try:
        return adapter(cls).validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(p) for p in first["loc"])
        raise BadMessage(f"{kind}: {where}: {first['msg']}") from None


@cache
def adapter(cls: Any) -> Any:
    """The pydantic reader of one class, built when it is first needed."""
    from pydantic import TypeAdapter

    return TypeAdapter(cls)
