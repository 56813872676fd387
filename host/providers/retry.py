"""Asking again: what a refused or failed request may be followed by, and after how long."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import TypeVar

import anyio
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from host.core.errors import ProviderError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is sent in all, and how long (seconds) the first and the longest wait may be."""

    attempts: int = 4
    first: float = 0.5
    longest: float = 30.0

    def wait(self, attempt: int, asked: float | None) -> float:
        """What the provider asked for, else twice as long each time; a little more, so that callers spread."""
        base = self.first * 2 ** (attempt - 1) if asked is None else asked
        return min(self.longest, base * random.uniform(1.0, 1.25))


USUAL = Patience()


async def with_retries(attempt: Callable[[int], Awaitable[T]], may_repeat: Callable[[], bool], patience: Patience) -> T:
    """Run `attempt` (its number is given, from 1) until it succeeds or patience ends.

    It is repeated after a retryable ProviderError while `may_repeat()`. A provider that asks to be left alone for
    longer than the longest wait is taken at its word: the error goes to the caller at once.
    """

    def again(error: BaseException) -> bool:
        if not isinstance(error, ProviderError) or not error.retryable or not may_repeat():
            return False
        return error.retry_after is None or error.retry_after <= patience.longest

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return patience.wait(state.attempt_number, error.retry_after if isinstance(error, ProviderError) else None)

    async for trial in AsyncRetrying(
        sleep=anyio.sleep,
        stop=stop_after_attempt(patience.attempts),
        wait=wait,
        retry=retry_if_exception(again),
        reraise=True,
    ):
        with trial:
            return await attempt(trial.retry_state.attempt_number)
    raise AssertionError("AsyncRetrying ends by returning or raising")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `retry-after-ms` or `Retry-After` (seconds or a date) ask for; None without a usable one."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text is not None else None
    except ValueError:
        return None
