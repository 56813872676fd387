"""What a server said outside the protocol, kept short: for a person who asks why it failed."""

from __future__ import annotations

from collections import deque

LINES = 200
NOISE = 20
WIDTH = 2_000


class ServerLog:
    """The last lines of stderr, and those on stdout that were not messages. Outlives restarts."""

    def __init__(self) -> None:
        self.stderr: deque[str] = deque(maxlen=LINES)
        self.noise: deque[str] = deque(maxlen=NOISE)
        self.noisy = 0

    def heard(self, line: bytes) -> None:
        """One line of stderr."""
        self.stderr.append(line[:WIDTH].decode("utf-8", "replace").rstrip())

    def ignored(self, line: bytes, why: str) -> None:
        """One line of stdout that was not a message, or one that was not taken."""
        self.noisy += 1
        self.noise.append(f"{why}: {line[:200].decode('utf-8', 'replace').rstrip()}")

    def last(self) -> str:
        """The last thing it said on stderr; empty if nothing."""
        return next((line.strip() for line in reversed(self.stderr) if line.strip()), "")

    def lines(self) -> list[str]:
        """Everything kept, for reading."""
        count = [f"[{self.noisy} lines on stdout were not taken; the last of them:]"] if self.noisy else []
        return [*self.stderr, *count, *self.noise]
