"""Nothing of a project starts before a yes, and a yes is for exactly what was shown."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host.config import environment, read_files
from host.consent import describe, settle, starts
from host.core.errors import ConfigError

SERVER = '[mcp_servers.crm]\ncommand = "python"\nargs = ["serve.py"]\nenv = { DB = "${DB:-a}" }\n'
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_HOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def project(tmp_path, text=SERVER):
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    (folder / "servers.toml").write_text(text)
    (file,) = read_files(environment(), folder, admin=tmp_path / "none")
    return file


def settled(home, file, answer):
    """(whether it may be used, whether it was asked)"""
    asked = []

    def ask(text):
        asked.append(text)
        return answer

    return settle(file, home, False, ask), bool(asked)


def test_a_yes_holds_until_something_changes(tmp_path, home, monkeypatch):
    assert settled(home, project(tmp_path), False) == (False, True)
    assert settled(home, project(tmp_path), True) == (True, True)
    assert settled(home, project(tmp_path), False) == (True, False)
    for changed in (
        SERVER.replace("serve.py", "other.py"),
        SERVER.replace("DB =", "PYTHONPATH ="),
        SERVER + 'cwd = "/"',
        SERVER + 'disabled_tools = ["a"]',
        SERVER + '[[rules]]\nserver = "*"\ntool = "*"\nverdict = "allow"\n',
    ):
        assert settled(home, project(tmp_path, changed), False) == (False, True)
    assert settled(home, project(tmp_path), False) == (True, False)


def test_a_yes_is_for_the_values_that_variables_had_and_the_program_that_was_found(tmp_path, home, monkeypatch):
    text = '[mcp_servers.crm]\ncommand = "serve-it"\nargs = ["${WHERE:-here}"]\n'
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "serve-it").write_text("#!/bin/sh\n")
        (folder / "serve-it").chmod(0o755)
    monkeypatch.setenv("PATH", str(one))
    assert settled(home, project(tmp_path, text), True) == (True, True)
    assert settled(home, project(tmp_path, text), False) == (True, False)
    monkeypatch.setenv("WHERE", "elsewhere")
    assert settled(home, project(tmp_path, text), False) == (False, True)
    monkeypatch.delenv("WHERE")
    monkeypatch.setenv("PATH", f"{two}{os.pathsep}{one}")
    assert settled(home, project(tmp_path, text), False) == (False, True)


def test_a_yes_is_for_the_prompts_as_they_were(tmp_path, home):
    (tmp_path / "project").mkdir()
    prompt = tmp_path / "project" / "p.md"
    prompt.write_text("Be kind.")
    text = '[profiles.p]\nprompt = "p.md"\n'
    assert settled(home, project(tmp_path, text), True) == (True, True)
    assert settled(home, project(tmp_path, text), False) == (True, False)
    prompt.write_text("Be cruel.")
    assert settled(home, project(tmp_path, text), False) == (False, True)


def test_trust_is_for_this_run_only(tmp_path, home):
    assert settle(project(tmp_path), home, True, None)
    assert settled(home, project(tmp_path), False) == (False, True)


def test_without_anybody_to_ask_the_error_names_trust(tmp_path, home):
    with pytest.raises(ConfigError, match="--trust"):
        settle(project(tmp_path), home, False, None)


def test_what_is_shown_is_whole_and_cannot_steer_a_terminal(tmp_path, home):
    file = project(
        tmp_path,
        '[mcp_servers.crm]\ncommand = "sh"\nargs = ["-c", "\\u001b[2K\\rls \\u202e \\u007f а ' + "x" * 5000 + '"]\n'
        'env = { "A\\u001b[2J" = "" }\n[[rules]]\nserver = "crm"\ntool = "\\u001b[1A"\nverdict = "allow"\n',
    )
    text = "\n".join(describe(file, starts(file)))
    assert all(line.isascii() and line.isprintable() for line in text.split("\n"))
    assert "x" * 5000 in text
    assert '["sh", "-c", "\\u001b[2K\\rls \\u202e \\u007f \\u0430 ' in text


def in_terminal(tmp_path, typed_at_once, answer):
    """Run a prompt in a project on a terminal; what it printed. The server leaves a mark when it is started."""
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    mark = folder / "started"
    entry = f"""command = "python"\nargs = ["-c", "open({str(mark)!r}, 'w')"]\nsandbox = "workspace"\n"""
    (folder / "servers.toml").write_text(f"[mcp_servers.crm]\n{entry}")
    mine, theirs = pty.openpty()
    env = {**os.environ, "AGENT_HOST_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    env["AGENT_HOST_MODEL"] = "offline/planner"
    os.write(mine, typed_at_once)
    process = subprocess.Popen(
        [sys.executable, "-m", "host", "run", "hello"], cwd=folder, env=env, stdin=theirs, stderr=theirs, stdout=theirs
    )
    os.close(theirs)
    seen, answered, until = b"", 0, time.monotonic() + 60
    while time.monotonic() < until and select.select([mine], [], [], 60)[0]:
        try:
            seen += os.read(mine, 4096)
        except OSError:  # the other end is closed
            break
        if seen.count(b"Type yes") > answered and seen.endswith(b": "):  # once more where no sandbox works
            assert not mark.exists()
            os.write(mine, answer)
            answered += 1
    os.close(mine)
    assert process.wait(60) == 0, seen.decode()
    assert answered
    return seen.decode(), mark.exists()


def test_a_yes_typed_before_the_question_is_no_yes(tmp_path):
    seen, started = in_terminal(tmp_path, b"yes\nyes\n", b"\n")
    assert not started
    assert "is not used, for you did not consent" in seen


def test_a_yes_in_the_terminal_starts_the_server(tmp_path):
    _, started = in_terminal(tmp_path, b"", b"yes\n")
    assert started
