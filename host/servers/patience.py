"""The deadline of a call."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

CAP = 10


class Patience:
    """How long a call may be silent and how long it may last, as a cancel scope. Progress begins the silence anew;
    while a person is asked both stand still."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._moved = False
        self._last = anyio.current_time() + CAP * seconds
        self._asking = 0
        self._since = self._left = 0.0
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + seconds)

    @property
    def reason(self) -> str:
        """Why it ended, once it has."""
        if self._moved and anyio.current_time() >= self._last:
            return f"not done after {CAP * self.seconds:g} s, though it told of progress"
        return f"no answer within {self.seconds:g} s"

    def moved(self) -> None:
        self._moved = True
        if not self._asking:
            self.scope.deadline = min(anyio.current_time() + self.seconds, self._last)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        if not self._asking:
            self._since = anyio.current_time()
            self._left = self.scope.deadline - self._since
            self.scope.deadline = math.inf
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            if not self._asking:
                now = anyio.current_time()
                self._last += now - self._since
                self.scope.deadline = now + self._left
