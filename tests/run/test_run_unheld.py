"""On a machine where no sandbox works: nothing starts before a person's word, which is asked for once and can be given
ahead."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playing import PATIENCE, READS, SERVER, Home

from host.servers.probe import machine

HIDING = str(Path(__file__).parent / "nothing_holds.py")
pytestmark = pytest.mark.skipif(not machine().confines, reason="a sandbox that is there is hidden here")


@pytest.fixture
def home(tmp_path):
    """A home whose servers want to be held, on a machine that holds none. Its model is the offline one."""
    home = Home(tmp_path / "here")
    (tmp_path / "path").mkdir()
    home.env |= {"PATH": str(tmp_path / "path")}
    home.config.write_text(
        f'model = "offline/planner"\n[mcp_servers.s]\ncommand = "python"\nargs = ["{SERVER}"]\n'
        f'env = {{ NOTES = "{home.notes_file}" }}\n{READS}'
    )
    return home


def command(*arguments):
    return [sys.executable, HIDING, sys.executable, "-m", "host", *arguments]


def ran(home, *arguments):
    return subprocess.run(
        command(*arguments), cwd=home.folder, env=home.env, stdin=subprocess.DEVNULL, text=True,
        capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def in_terminal(home, answer):
    """A prompt on a terminal, with this answer to the question; what the terminal showed, and the events."""
    mine, theirs = pty.openpty()
    run = command("run", "hello", "--config", home.config, "--output-format", "stream-json")
    process = subprocess.Popen(run, cwd=home.folder, env=home.env, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    seen, asked, until = b"", 0, time.monotonic() + PATIENCE
    while time.monotonic() < until and select.select([mine], [], [], PATIENCE)[0]:
        try:
            seen += os.read(mine, 4096)
        except OSError:  # the other end is closed
            break
        if seen.count(b"Type yes") > asked and seen.endswith(b": "):
            assert not home.notes()
            os.write(mine, answer)
            asked += 1
    os.close(mine)
    events = [json.loads(line) for line in process.communicate(timeout=PATIENCE)[0].splitlines()]
    assert process.returncode == 0, seen.decode()
    return seen.decode(), asked, events


def test_without_a_terminal_it_is_an_error_that_names_the_line_to_write(home):
    run = ("run", "hello", "--config", home.config)
    done = ran(home, *run)
    assert (done.returncode, done.stdout, home.notes()) == (3, "", [])
    for words in (
        str(home.config),
        "bubblewrap is not installed; this kernel has no Landlock",
        'sandbox = "off" under [mcp_servers.s]',
        "--trust",
    ):
        assert words in done.stderr
    assert "no sandbox works" in ran(home, "doctor", "--config", home.config).stdout
    assert "s: outside any sandbox" in ran(home, "doctor", "--config", home.config, "--trust").stdout
    home.notes_file.unlink()
    trusted = ran(home, *run, "--trust")
    assert trusted.returncode == 0 and home.notes()
    assert "s: outside any sandbox, with your rights (bubblewrap is not installed" in trusted.stderr
    home.notes_file.unlink()
    home.config.write_text(home.config.read_text().replace("[mcp_servers.s]", '[mcp_servers.s]\nsandbox = "off"'))
    assert ran(home, *run).returncode == 0 and home.notes()


def test_one_word_is_enough_and_a_no_starts_nothing(home):
    seen, asked, _ = in_terminal(home, b"\n")
    assert (asked, home.notes()) == (1, [])
    assert "WITH YOUR RIGHTS" in seen and str(SERVER) in seen
    _, asked, events = in_terminal(home, b"yes\n")
    assert (asked, events[0]["sandbox"]) == (1, {"s": "off"})
    assert home.notes()
    _, asked, events = in_terminal(home, b"")
    assert (asked, events[0]["sandbox"]) == (0, {"s": "off"})
    home.config.write_text(home.config.read_text().replace(f'"{SERVER}"', f'"{SERVER}", "other"'))
    home.notes_file.unlink()
    assert in_terminal(home, b"\n")[1] == 1, "the word was for another command"
    assert home.notes() == []


def test_the_demo_runs_all_the_same(home):
    done = ran(home, "demo", "customer-support", "--headless", "Show me ticket T-01")
    assert done.returncode == 0 and "outside any sandbox" in done.stderr, done.stderr
    assert "Mara Lindqvist" in done.stdout
