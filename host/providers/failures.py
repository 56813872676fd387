"""The failures of both SDKs and of what lies below them, in our terms: may it be asked again, was the key refused,
is another model to be asked, and what can be done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from host.core.errors import ProviderError
from host.providers.retry import retry_after

_PASSING = (
    "server_error",
    "rate_limit_exceeded",
    "vector_store_timeout",
    "overloaded",
    "server_is_overloaded",
    "overloaded_error",
    "api_error",
    "rate_limit_error",
    "timeout_error",
)
_LOCKED = ("authentication_error", "permission_error", "invalid_api_key")
_SPENT = ("insufficient_quota", "billing_error")
_PLACE = re.compile(r"(?<![\w.\]])tools?(?:\.|\[)(\d+)")


class Refused(ProviderError):
    """The request itself was found wrong; `words` are the server's own."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message)
        self.words = words


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request went, for people to read: a provider's name, an address without secrets, whether a key was
    sent, and the key, so that a server that repeats it does not betray it."""

    provider: str
    address: str
    key: str | None

    def error(self, what: str, **about: Any) -> ProviderError:
        return ProviderError(self.text(what), **about)

    def text(self, what: str) -> str:
        if self.key:
            what = what.replace(self.key, "…")
        return f"provider {self.provider} at {self.address}: {what}"

    def by_status(self, error: Any) -> ProviderError:
        """For an answer with a status that tells of a failure, or for one inside a stream that began well."""
        status, words, codes = error.status_code, said(error), _codes(error)
        told = f"HTTP {status}: {words}"
        if status == 200:
            return self.in_stream(error)
        if status in (401, 403):
            key = "was refused" if self.key else "is missing"
            remedy = f"set api_key in [providers.{self.provider}] or the provider's environment variable"
            return self.error(f"the key {key} ({told}); {remedy}", auth=True)
        if status == 404:
            return self.error(f"not found ({told}); check the model's name and base_url", unavailable=True)
        if status in (400, 422):
            return Refused(self.text(told), f"{words} {getattr(error, 'param', None) or ''}")
        if status == 402 or any(code in _SPENT for code in codes):
            return self.error(f"{told}; the account has no credit left", unavailable=True)
        if status in (408, 409, 429) or status >= 500:
            wait = retry_after(error.response.headers)
            return self.error(f"{told}; try again later", retryable=True, retry_after=wait)
        return self.error(told)

    def in_stream(self, error: Any) -> ProviderError:
        """For an error that the stream itself reports."""
        codes = _codes(error)
        locked = any(code in _LOCKED for code in codes)
        return self.error(f"the stream reported an error: {said(error)}", retryable=passing(*codes), auth=locked)

    def broken(self, error: BaseException) -> ProviderError:
        """For a connection that could not be made, or was lost."""
        cause = error.__cause__ or error
        remedy = "check the network, base_url, and that the server runs"
        return self.error(f"no connection or a broken one ({type(cause).__name__}: {cause}); {remedy}", retryable=True)


def _codes(error: Any) -> tuple[Any, ...]:
    return getattr(error, "code", None), getattr(error, "type", None)


def said(error: Any) -> str:
    """The server's own words, on one line and not too many."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    words = inner.get("message") if isinstance(inner, dict) else None
    return " ".join(str(words or error).split())[:300]


def failed(error: Any) -> ProviderError:
    """For an answer that says in its own body that it failed."""
    error = error if isinstance(error, dict) else {"message": error}
    code = error.get("code") or error.get("type")
    told = f"{error.get('message') or 'no reason given'}" + (f" ({code})" if code else "")
    return ProviderError(f"the model's answer failed: {told}", retryable=passing(code))


def passing(*codes: Any) -> bool:
    """One of these error codes names a trouble that may be over soon."""
    return any(code in _PASSING or code in (408, 429) or (isinstance(code, int) and code >= 500) for code in codes)


def blamed(words: str, tools: Sequence[str]) -> str | None:
    """The one of these tools, in the order they were sent, whose definition a server complains of, by its name or its
    place; None if it is not told."""
    named = [name for name in tools if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words)]
    if len(named) == 1:
        return named[0]
    place = _PLACE.search(words)
    return tools[int(place[1])] if place and int(place[1]) < len(tools) else None
