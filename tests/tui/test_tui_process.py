"""The chat in a real process on a pseudo-terminal: how it ends."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

PLAY = """
import sys
import anyio
from tui_fake import FakeDoor, FakeHandle, opened
from host.frontends.tui.app import run_chat

class Broken(FakeHandle):
    async def feed(self, after=0):
        password = "hunter2-in-a-local"
        for item in self.stored:
            yield item
        raise RuntimeError("boom " + password)

class BrokenDoor(FakeDoor):
    async def open(self, resume=None, profile=None):
        self.handle = Broken("s1", self.items, None)
        return self.handle

async def main():
    door = BrokenDoor() if sys.argv[1] == "broken" else FakeDoor()
    try:
        if sys.argv[1] == "cancelled":
            with anyio.CancelScope() as scope:
                scope.cancel()
                return await run_chat(door)
        return await run_chat(door)
    finally:
        print("closed", door.closed)

sys.exit(anyio.run(main))
"""


def run(how: str, until: str = "", keys: bytes = b"") -> tuple[int, str]:
    """Run the chat on a terminal, press keys when some words are seen; exit code and everything written."""
    ours, theirs = pty.openpty()
    environment = os.environ | {
        "PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parent}",
        "TERM": "xterm-256color",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PLAY, how],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    written = b""
    end = time.monotonic() + 60
    try:
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    written += os.read(ours, 65536)
                except OSError:
                    break
            if keys and until.encode() in written:
                os.write(ours, keys)
                keys = b""
        return process.wait(timeout=20), written.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_leaving_closes_the_session_and_gives_the_terminal_back() -> None:
    code, written = run("whole", until="ready", keys=b"\x04")
    assert code == 0
    assert "closed ['session-1']" in written
    assert written.rindex("\x1b[?1049l") > written.rindex("\x1b[?1049h")


def test_who_is_cancelled_while_it_starts_gives_the_terminal_back_too() -> None:
    code, written = run("cancelled")
    assert code == 130
    assert written.rindex("\x1b[?1049l") > written.rindex("\x1b[?1049h")


def test_a_crash_says_so_in_a_line_without_what_was_in_memory() -> None:
    code, written = run("broken")
    assert code == 1
    assert "agent-host: the terminal chat failed (RuntimeError)." in written
    assert "hunter2" not in written
    assert "Traceback" not in written
    assert "closed ['s1']" in written
