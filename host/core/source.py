"""Where tools come from: the one interface of MCP connections, the host's own tools and later API sources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from host.core.types import CallResult, InputRequired, ToolSpec

What = Literal["tools", "resources", "prompts", "resource"]
Era = Literal["modern", "handshake"]
ELICITATION, SAMPLING, ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"
ROUNDS = 10
"""A server that still asks for input after so many rounds is given up."""
Progress = Callable[[float, float | None, str | None], None]
Ask = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Round:
    """One sending of a call. From round 2 on, `responses` answer the server's requests by its own keys and
    `state` goes back to it byte for byte. `key` is the idempotency key, the same in all rounds, `limit` how many
    characters of the result will be shown: of a large one no more need be taken out. `trace` is the W3C traceparent of
    the call, where it is traced."""

    number: int
    key: str
    responses: Mapping[str, Any] | None = None
    state: str | None = None
    limit: int = 32_000
    trace: str | None = None


class ToolSource(Protocol):
    """A server as the engine sees it. A server that needs input ends the round; `ask` serves those of the
    handshake era, which ask in the middle of a call: it takes {"method", "params"} of the server's request and
    returns the result object to send back, empty if there is none. A request that the source itself can answer
    (`roots/list`) comes with its `answer`."""

    @property
    def parallel(self) -> bool: ...

    async def call(
        self, spec: ToolSpec, arguments: Mapping[str, Any], round: Round, progress: Progress, ask: Ask
    ) -> CallResult | InputRequired:
        """Run one round. Never raises for a server's failure: that is a CallResult with a `cause`."""
        ...


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where somebody is led to sign in at `server`: an address that was judged, the host it is on (in ASCII), what for.
    `visited` returns the address on this machine that their browser came back to."""

    server: str
    url: str
    host: str
    scopes: str
    visited: Callable[[], Awaitable[str]]


class Guest(Protocol):
    """Somebody who may sign in."""

    def here(self, server: str, scopes: str) -> bool:
        """Whether they can be asked."""
        ...

    def knows(self, server: str, token: str) -> None:
        """What they were given for a server, which nobody else may see."""
        ...

    async def lead(self, where: SignIn) -> str:
        """Lead them there; returns the address that they were sent to in the end. Raises HostError if they decline."""
        ...


class Person(Guest, Protocol):
    """Somebody who may also answer what a server asks outside of a call."""

    async def answers(self, server: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What they answer to a server's {"method", "params"}: the result object to send back."""
        ...


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """Where a server stands. Live only, on the host's own feed. `detail` says why, for a person to read; `about` is
    what the server says it is for, `instructions` what it says to models, `sandbox` the limits in force for its
    process, in words, `offers` names what it has besides tools."""

    server: str
    state: Literal["waiting", "starting", "ready", "failed", "restarting", "disabled", "closed"]
    detail: str = ""
    tools: int = 0
    protocol: str | None = None
    quarantined: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    instructions: str = ""
    sandbox: str = ""
    offers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a server spoke when it was last seen: `says` is its own name and version, `probe` how it took being asked
    for its era (answered, refused, silent, died)."""

    era: Era
    says: str
    probe: str


class Eras(Protocol):
    """Remembers between runs how each server speaks, so that it is not asked each time. May block; raises
    StoreError."""

    def spoken(self, server: str) -> Spoken | None: ...

    def remember(self, server: str, spoken: Spoken) -> None: ...

    def unlearn(self, server: str) -> None: ...
