"""What a server said outside the protocol, kept short: for a person who asks why it failed."""

from __future__ import annotations

import logging
from collections import deque

LINES = 200
NOISE = 20
WIDTH = 2_000


def hush() -> None:
    """The SDK tells its troubles to a logger as well, which without a handler prints them over the screen."""
    logger = logging.getLogger("mcp")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


class ServerLog:
    """The last lines of stderr, and those on stdout that were not messages. Outlives restarts."""

    def __init__(self) -> None:
        self.stderr: deque[str] = deque(maxlen=LINES)
        self.noise: deque[str] = deque(maxlen=NOISE)
        self.noisy = self.dropped = 0

    def heard(self, line: bytes) -> None:
        """One line of stderr."""
        self.stderr.append(line[:WIDTH].decode("utf-8", "replace").rstrip())

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
        lines = list(self.stderr)
        if self.dropped:
            lines.append(f"[{self.dropped} notifications were dropped: they came too fast]")
        if self.noisy:
            lines += [f"[{self.noisy} lines on stdout were not messages; the last of them:]", *self.noise]
        return lines
