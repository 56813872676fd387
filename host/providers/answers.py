"""What every wire's answer must hold before it counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from host.core.errors import ProviderError
from host.core.types import Part, Stop, ToolCall, Usage
from host.providers.base import Reply


@contextmanager
def shaped() -> Iterator[None]:
    """Turns the errors of reading an event that is not what it should be into one that says so."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ProviderError(f"a piece of the answer has an impossible shape ({error!r})", retryable=True) from None


def stopped_short() -> ProviderError:
    return ProviderError("the stream ended before the answer was complete", retryable=True)


def out_of_order() -> ProviderError:
    return ProviderError("the stream went on behind its own end: its pieces are out of order", retryable=True)


def call(id: Any, name: Any, text: str) -> ToolCall:
    """A finished call. Raises ProviderError for one that nobody could answer."""
    if not id or not name or not isinstance(id, str) or not isinstance(name, str):
        raise ProviderError("the model made a call without a name or an id", retryable=True)
    return ToolCall.parse(id, name, text)


def replied(parts: Sequence[Part], stop: Stop, usage: Usage) -> Reply:
    """The whole answer. A call survives only an answer that ended well; two of one id cannot be told apart."""
    ids = [part.id for part in parts if isinstance(part, ToolCall)]
    if len(set(ids)) < len(ids):
        raise ProviderError("the model gave one id to two calls", retryable=True)
    if stop != "calls":
        parts = [part for part in parts if not isinstance(part, ToolCall)]
    return Reply(tuple(parts), stop, usage)
