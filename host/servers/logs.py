"""What a server said beside its answers, kept short: for a person who asks why it failed."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio

from host.core.types import canonical

LINES = 200
NOISE = 20
WIDTH = 2_000

Tap = Callable[[str, bytes], None]
"""Hears each message as it passes: "in" or "out", and its line."""


def hush() -> None:
    """The SDK tells its troubles to a logger as well, which without a handler prints them over the screen."""
    logger = logging.getLogger("mcp")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


class ServerLog:
    """The last lines of stderr and messages of the log, and the lines on stdout that were not messages; `odd`
    counts what was set right in its messages. Outlives restarts."""

    def __init__(self) -> None:
        self.stderr: deque[str] = deque(maxlen=LINES)
        self.noise: deque[str] = deque(maxlen=NOISE)
        self.odd: Counter[str] = Counter()
        self.noisy = self.dropped = 0
        self._journal: deque[str] = deque(maxlen=LINES)

    def heard(self, line: bytes) -> None:
        """One line of stderr."""
        text = line[:WIDTH].decode("utf-8", "replace").rstrip()
        self.stderr.append(text)
        self._keep("stderr", text)

    def said(self, level: str, logger: str | None, data: Any) -> None:
        """One message of the server's own log."""
        text = data if isinstance(data, str) else canonical(data)
        self._keep(level, f"{logger}: {text}" if logger else text)

    def noted(self, words: str) -> None:
        """A remark of our own, among its lines."""
        self.stderr.append(f"[{words}]")

    def ignored(self, line: bytes) -> None:
        """One line of stdout that was not a message."""
        self.noisy += 1
        self.noise.append(line[:200].decode("utf-8", "replace").rstrip())

    def last(self) -> str:
        """The last thing it said on stderr; empty if nothing."""
        return next((line.strip() for line in reversed(self.stderr) if line.strip()), "")

    def lines(self) -> list[str]:
        """Everything kept, for reading."""
        return [*self.stderr, *self._strange()]

    def journal(self) -> list[str]:
        """As `lines`, with the messages of its log in between, each with its time (UTC) and where it came from."""
        return [*self._journal, *self._strange()]

    def _keep(self, source: str, text: str) -> None:
        self._journal.append(f"{datetime.now(UTC):%H:%M:%S} {source:<8} {text[:WIDTH]}")

    def _strange(self) -> list[str]:
        lines = [f"[{self.dropped} notifications were dropped: they came too fast]"] if self.dropped else []
        if self.noisy:
            lines += [f"[{self.noisy} lines on stdout were not messages; the last of them:]", *self.noise]
        return lines


class Wants:
    """What a session wants to be told of by a server, whatever lives that has: resources, and a level of its log."""

    def __init__(self, level: str | None = None) -> None:
        self.uris: dict[str, None] = {}
        self.level = level
        self.changed = anyio.Event()

    def watch(self, uri: str) -> None:
        """Be told when this resource changes."""
        if uri not in self.uris:
            self.uris[uri] = None
            self._wake()

    def listen(self, level: str) -> None:
        """Be told what the server logs, from this level on."""
        self.level = level
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()
