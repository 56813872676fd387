"""How long a server is waited for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio

from host.core.source import Person, SignIn

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

    def stop(self) -> None:
        if not self._asking:
            self._since = anyio.current_time()
            self._left = self.scope.deadline - self._since
            self.scope.deadline = math.inf
        self._asking += 1

    def go_on(self) -> None:
        self._asking -= 1
        if not self._asking:
            now = anyio.current_time()
            self._last += now - self._since
            self.scope.deadline = now + self._left

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.go_on()


class Deadlines:
    """All that one server is waited for. While somebody signs in there all of them stand still."""

    def __init__(self) -> None:
        self._running: set[Patience] = set()
        self._asking = False

    @contextmanager
    def of(self, patience: Patience) -> Iterator[None]:
        """While something is waited for."""
        self._running.add(patience)
        if self._asking:
            patience.stop()
        try:
            yield
        finally:
            self._running.discard(patience)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self._asking = True
        for patience in self._running:
            patience.stop()
        try:
            yield
        finally:
            self._asking = False
            for patience in self._running:
                patience.go_on()


class Unhurried:
    """A person who takes the time they need."""

    def __init__(self, person: Person, deadlines: Deadlines) -> None:
        self._person, self._deadlines = person, deadlines

    def here(self, server: str, scopes: str) -> bool:
        return self._person.here(server, scopes)

    def knows(self, server: str, token: str) -> None:
        self._person.knows(server, token)

    async def lead(self, where: SignIn) -> str:
        with self._deadlines.stopped():
            return await self._person.lead(where)

    async def answers(self, server: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._deadlines.stopped():
            return await self._person.answers(server, request)
