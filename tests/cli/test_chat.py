"""The chat on a terminal of its own: it comes up, it is left, and the terminal is given back."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60
OWN_SCREEN, BACK = b"\x1b[?1049h", b"\x1b[?1049l"


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda process, keys: os.write(keys, b"\x04"), 0),
        (lambda process, keys: process.send_signal(signal.SIGTERM), 130),
    ],
    ids=["ctrl-d", "sigterm"],
)
def test_the_chat_comes_up_and_gives_the_terminal_back(tmp_path, leave, code):
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    before = termios.tcgetattr(theirs)
    env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    env |= {"AGENT_HOST_HOME": str(tmp_path / "home"), "AGENT_HOST_MODEL": "offline/planner"}
    with subprocess.Popen(
        [sys.executable, "-m", "host"], cwd=tmp_path, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        seen = read_until(mine, b"ready")
        assert OWN_SCREEN in seen
        leave(process, mine)
        seen += read_until(mine, BACK)
        assert process.wait(SECONDS) == code
    assert termios.tcgetattr(theirs)[3] == before[3]
    os.close(theirs)
    os.close(mine)


def read_until(terminal, text):
    """What the program draws, up to a text of it."""
    seen, until = b"", time.monotonic() + SECONDS
    while text not in seen:
        assert time.monotonic() < until, seen
        assert select.select([terminal], [], [], SECONDS)[0], seen
        seen += os.read(terminal, 65536)
    return seen
