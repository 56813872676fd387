"""A pseudo-terminal with the program in it: every byte that it writes, and keys at the right moment."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SEQUENCE = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[P_^X][^\x1b]*\x1b\\|[ -/]*[0-~])")
PLACED = re.compile(rb"\x1b\[\d+;\d+H")


class Terminal:
    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path, rows: int = 50) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 120, 0, 0))
        self.process = subprocess.Popen(
            command, cwd=folder, env={**env, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.written = b""

    @property
    def words(self) -> str:
        """What was written so far without the sequences that steer; a line wherever the cursor was put elsewhere."""
        return SEQUENCE.sub(b"", PLACED.sub(b"\n", self.written)).decode(errors="replace")

    def read(self, seconds: float = 0.1) -> bool:
        """Take what comes; whether the program still writes."""
        if select.select([self._ours], [], [], seconds)[0]:
            try:
                data = os.read(self._ours, 65_536)
            except OSError:
                return False
            self.written += data
            return bool(data)
        return self.process.poll() is None

    def until(self, text: str, since: int = 0, seconds: float = 30) -> bool:
        """Wait until it has written these words after so many characters of words."""
        end = time.monotonic() + seconds
        while text not in self.words[since:]:
            if time.monotonic() > end or not self.read():
                return text in self.words[since:]
        return True

    def keys(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def rest(self, seconds: float = 30) -> bytes:
        """All that it writes until it ends, or time is up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.read():
            continue
        return self.written

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._ours)
