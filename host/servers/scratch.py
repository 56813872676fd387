"""A folder of a server's own: its home and its temporary files, gone when it has ended."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "agent-host-scratch-"
FRESH = 60.0


class Scratch:
    """Made when the server starts. A lock on the folder, which the kernel frees, tells that its host is alive."""

    def __init__(self) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in ("home", "tmp"):
            (self.path / name).mkdir(0o700)

    def variables(self) -> dict[str, str]:
        """What leads a program there."""
        return {"HOME": f"{self.path}/home", **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), f"{self.path}/tmp")}

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep() -> None:
    """Remove what hosts that were killed left behind."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            known = left.lstat()
            if known.st_uid != os.getuid() or time.time() - known.st_mtime < FRESH:
                continue
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
