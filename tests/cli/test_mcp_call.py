"""`agent-host mcp call, read, prompt`: by hand, under the same rules and with the same record as a model's calls."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from held import FREE

ROOT = Path(__file__).parent.parent.parent
LEAN = ROOT / "tests" / "servers" / "programs" / "lean.py"
PROMPTING = Path(__file__).parent / "prompting_server.py"
FILE = f"""
[mcp_servers.lean]
command = "python"
args = ["{LEAN}", "modern"]
{FREE}tools.add = {{ effect = "read", open = false }}
[mcp_servers.other]
command = "python"
args = ["{PROMPTING}"]
{FREE}[mcp_servers.gone]
command = "no-such-command-anywhere"
{FREE}[mcp_servers.off]
command = "x"
enabled = false
[[rules]]
server = "lean"
tool = "pid"
verdict = "deny"
reason = "nobody needs it"
"""


@pytest.fixture
def host(tmp_path):
    """Runs the program with a home of its own and three servers."""
    (tmp_path / "it.toml").write_text(FILE)
    env = {"PATH": os.environ["PATH"], "AGENT_HOST_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "host", *words, "--config", "it.toml"],
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )

    run.env, run.folder = env, tmp_path
    return run


def kinds(host):
    """The events of the one session of this home."""
    lines = host("audit", "export").stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_a_call_is_decided_started_and_logged_like_a_models(host):
    done = host("mcp", "call", "lean", "add", "--args", '{"a": 1, "b": 2}', "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["outcome"], found["is_error"], found["structured"]) == ("ok", False, {"sum": 3})
    events = kinds(host)
    assert {"session_opened", "user_said", "call_decided", "call_started", "call_finished", "turn_ended"} <= {
        event["kind"] for event in events
    }
    assert events[0]["servers"] == ["lean"] and events[0]["session"] == found["session"]
    (started,) = [event for event in events if event["kind"] == "call_started"]
    assert started["arguments"] == {"a": 1, "b": 2}


def test_what_no_rule_allows_is_declined_where_nobody_sits_and_a_deny_is_a_deny(host):
    declined = host("mcp", "call", "lean", "echo")
    assert declined.returncode == 1 and b"--allow 'lean.echo'" in declined.stderr and declined.stdout == b""
    assert "call_started" not in {event["kind"] for event in kinds(host)}
    assert host("mcp", "call", "lean", "echo", "--allow", "lean.echo").stdout == b"echoed\n"
    assert host("mcp", "call", "lean", "echo", "--fail-on-denied").returncode == 5
    denied = host("mcp", "call", "lean", "pid", "--allow", "lean.pid")
    assert denied.returncode == 1 and b"nobody needs it" in denied.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("call", "lean", "ad"), 1, b"no tool ad; did you mean add?"),
        (("call", "lean", "add", "--args", '{"a": "x"}'), 1, b"integer"),
        (("call", "lean", "add", "--args", "["), 2, b"--args: not JSON"),
        (("call", "lean"), 2, b"NAME TOOL"),
        (("call", "nobody", "add"), 2, b"no server nobody"),
        (("call", "off", "add"), 3, b"mcp enable off"),
        (("call", "gone", "add"), 7, b"no-such-command-anywhere"),
        (("prompt", "gone", "p"), 7, b"no-such-command-anywhere"),
        (("read", "lean", "note://none"), 1, b"error"),
    ],
)
def test_what_goes_wrong_has_its_words_and_its_code(host, words, code, told):
    done = host("mcp", *words)
    assert done.returncode == code, done.stderr
    assert told in done.stderr and done.stderr.startswith(b"agent-host: ")


def test_resources_are_read_as_they_are_and_large_ones_whole(host):
    assert host("mcp", "read", "lean", "note://one").stdout == b"one note\n"
    assert host("mcp", "read", "lean", "note://long").stdout == b"a line of it\n" * 50_000 + b"\n"
    assert host("mcp", "read", "other", "picture://one").stdout == b"\x00\x01\xff"


def test_a_prompt_is_filled_in_and_logged_as_what_a_person_would_send(host):
    done = host("mcp", "prompt", "other", "sum_up", "--args", '{"topic": "whales"}')
    assert (done.returncode, done.stdout) == (0, b"user: Sum up whales.\n")
    (said,) = [event for event in kinds(host) if event["kind"] == "user_said"]
    assert "Sum up whales." in said["parts"][0]["text"]


def typed(host, words, answers):
    """Run it on a terminal and type an answer to each question; its exit code and what it printed."""
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "host", "mcp", *words, "--config", "it.toml"]
    process = subprocess.Popen(command, cwd=host.folder, env=host.env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, answers, until = b"", list(answers), time.monotonic() + 60
    while time.monotonic() < until and select.select([mine], [], [], 60)[0]:
        try:
            seen += os.read(mine, 4096)
        except OSError:
            break
        if answers and seen.endswith(answers[0][0]):
            os.write(mine, answers.pop(0)[1])
    os.close(mine)
    return process.wait(60), seen.decode()


def test_in_a_terminal_a_person_is_asked_and_fills_in_forms(host):
    code, seen = typed(host, ("call", "lean", "echo"), [(b"Run it? [y/N] ", b"n\n")])
    assert code == 1 and "echoed" not in seen
    answers = [(b"Run it? [y/N] ", b"y\n"), (b"Answer it? [y/N] ", b"y\n"), (b"]: ", b"Ada\n")]
    code, seen = typed(host, ("call", "other", "greet"), answers)
    assert code == 0 and "hello Ada" in seen
