"""What a model provider is: a request in, deltas while it streams, a reply at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from host.core.events import Delta
from host.core.types import Message, Part, Stop, ToolSpec, Usage

OnDelta = Callable[[Delta], None]


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model. `model` is the provider's own name of it; `session` keys its prompt cache. `deferred`
    are tools that the model may search for and call, but that are not sent in full."""

    model: str
    system: str
    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    session: str = ""
    max_output: int | None = None
    json_schema: Mapping[str, Any] | None = None
    deferred: Sequence[ToolSpec] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `attempts` counts the requests it took; a `stop` of calls has at least one ToolCall. `model` is
    the `provider/model` that answered if not the one that was asked, `notes` what the log should hold besides."""

    parts: tuple[Part, ...]
    stop: Stop
    usage: Usage = Usage()
    attempts: int = 1
    model: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


class Provider(Protocol):
    """A client of one provider. One per process; safe to use from many sessions at once."""

    async def ask(self, request: Request, on_delta: OnDelta) -> Reply:
        """Ask and stream. Raises ProviderError. A half-streamed tool call is never part of a reply; a request is
        repeated only before its first delta."""
        ...

    async def aclose(self) -> None: ...
