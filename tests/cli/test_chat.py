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


def leave_by_key(process, keys):
    """Ctrl+D, once the chat is there."""
    seen = read_until(keys, b"ready")
    os.write(keys, b"\x04")
    return seen + read_until(keys, BACK)


def end_by_signals(process, keys):
    """SIGTERM as soon as the screen is taken, and again at all that is drawn from then on; the last one may meet a
    program that is done with the terminal."""
    return read_until(keys, OWN_SCREEN) + read_until(keys, BACK, process.terminate)


@pytest.mark.parametrize(("leave", "codes"), [(leave_by_key, (0,)), (end_by_signals, (130, -signal.SIGTERM))])
def test_the_chat_comes_up_and_gives_the_terminal_back(tmp_path, leave, codes):
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    before = termios.tcgetattr(theirs)
    env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    env |= {"AGENT_HOST_HOME": str(tmp_path / "home"), "AGENT_HOST_MODEL": "offline/planner"}
    with subprocess.Popen(
        [sys.executable, "-m", "host"], cwd=tmp_path, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        assert OWN_SCREEN in leave(process, mine)
        assert process.wait(SECONDS) in codes
    assert termios.tcgetattr(theirs)[3] == before[3]
    os.close(theirs)
    os.close(mine)


def read_until(terminal, text, meanwhile=lambda: None):
    """What the program draws, up to a text of it."""
    seen, until = b"", time.monotonic() + SECONDS
    while text not in seen:
        meanwhile()
        assert time.monotonic() < until, seen
        assert select.select([terminal], [], [], SECONDS)[0], seen
        seen += os.read(terminal, 65536)
    return seen
