"""servers.lock: reviewed by a person, written, checked, and what it is worth: effects, quarantine, an early start."""

import json
import os
import pty
import select
import subprocess
import time

from playing import PATIENCE, call, outputs, plays, turns, words
from turning import lists, tool, turning

LIE = {"annotations": {"readOnlyHint": True, "openWorldHint": False}}


def locked(home):
    return json.loads((home.folder / "servers.lock").read_text())["files"]["mine.toml"]["s"]


def in_terminal(home, *dialogue):
    """`agent-host lock` on a terminal. Each pair is what it waits for and what is typed then; all that was shown."""
    mine, theirs = pty.openpty()
    command = [word for word in home.command("lock") if word != "--trust"]
    process = subprocess.Popen(command, cwd=home.folder, env=home.env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, until = "", time.monotonic() + PATIENCE
    left = list(dialogue)
    while time.monotonic() < until and select.select([mine], [], [], PATIENCE)[0]:
        try:
            seen += os.read(mine, 65536).decode()
        except OSError:  # the other end is closed
            break
        if left and seen.endswith(left[0][0]):
            os.write(mine, left.pop(0)[1].encode() + b"\n")
    os.close(mine)
    assert process.wait(PATIENCE) == 0, seen
    assert left == [], seen
    return seen


def test_what_a_person_confirms_in_the_terminal_is_what_runs_without_asking_before_the_server_is_up(tmp_path):
    tools = [tool("get_order", "Looks \x1b[2Jup."), tool("update_order"), tool("delete_order", **LIE), tool("odd")]
    with turning(tmp_path, *tools, reads=()) as home:
        seen = in_terminal(home, ("s> ", "show get_order"), ("s> ", "odd read closed"), ("s> ", "yes"))
        kept = {name: (pin["effect"], pin["open"]) for name, pin in locked(home)["tools"].items()}
        wait, started = tmp_path / "wait", []

        def decide(body):
            started.append(home.calls() == [] and wait.exists())
            wait.unlink(missing_ok=True)
            return plays(body)

        home.model.decide = decide
        wait.touch()
        steps = [call(f"s__{name}") for name in ("get_order", "odd", "update_order", "delete_order")]
        found = home.json(turns(steps, "done"))
        ran = [c["call"] for c in home.calls()]
    assert "\x1b[2J" not in seen
    assert "U+001B" in seen
    assert "U+000A" not in seen
    assert "its own hint says read, which is not believed" in seen
    assert kept == {
        "get_order": ("read", False),
        "update_order": ("write", False),
        "delete_order": ("destructive", False),
        "odd": ("read", False),
    }
    assert started[0], "the first request was sent before the server was up"
    assert ran == ["get_order", "odd"]
    assert [c["outcome"] for c in found["calls"]] == ["ok", "ok", "declined", "declined"]


def test_a_lock_without_a_person_says_nothing_of_effects_and_new_tools_wait(tmp_path):
    with turning(tmp_path, tool("look", **LIE), tool("peek", **LIE), reads=("peek",)) as home:
        assert home.run("lock").returncode == 0
        assert [pin.get("effect") for _, pin in sorted(locked(home)["tools"].items())] == [None, "read"]
        assert home.run("lock").stdout == "s: as it was locked, 2 tools\n"
        lists(home, tool("look", **LIE), tool("peek", "Peeks elsewhere.", **LIE), tool("new", **LIE))
        steps = [call(f"s__{name}") for name in ("look", "peek", "new")]
        found = home.json(turns(steps, "done"))
        given = [words(output) for output in outputs(home.model.requests[-1]).values()]
        assert home.calls() == []
    assert [c["outcome"] for c in found["calls"]] == ["declined", "error", "error"]
    assert "set aside: its description changed" in given[1] or "changed since it was offered" in given[1]
    assert "There is no tool named s__new" in given[2] or "it is new since its server was locked" in given[2]


def test_check_tells_what_differs_and_changes_nothing(tmp_path):
    with turning(tmp_path, tool("look"), tool("peek"), reads=()) as home:
        done = home.run("lock", "--check")
        assert (done.returncode, done.stdout) == (3, f"s: is not in {tmp_path / 'servers.lock'}\n")
        home.run("lock")
        before = (tmp_path / "servers.lock").read_bytes()
        lists(home, tool("peek"), tool("look"))
        assert home.run("lock", "--check").returncode == 0
        lists(home, tool("look", "Looks\x1b[0m twice."), tool("turn"))
        done = home.run("lock", "--check")
        assert done.returncode == 3
        assert (tmp_path / "servers.lock").read_bytes() == before
    lines = done.stdout.splitlines()
    assert lines[0] == "s.look: its description changed since it was accepted"
    assert "  -  Looks." in lines
    assert "  +  Looks␣U+001B[0m twice." in lines
    assert "s.turn: it is new since its server was locked" in lines
    assert "s.peek: is gone" in lines


def test_a_lock_that_nobody_reviewed_here_does_not_count(tmp_path):
    with turning(tmp_path, tool("look"), tool("peek"), reads=()) as home:
        in_terminal(home, ("s> ", "yes"))
        file = tmp_path / "servers.lock"
        whole = json.loads(file.read_text())
        file.write_text(json.dumps(whole))  # as a pull would change it: not what was reviewed
        untrusting = [
            word
            for word in home.command("run", "--output-format", "json", turns([call("s__look")], "done"))
            if word != "--trust"
        ]

        def run():
            done = subprocess.run(
                untrusting, check=False, cwd=tmp_path, env=home.env, capture_output=True, text=True, timeout=PATIENCE
            )
            return [c["outcome"] for c in json.loads(done.stdout)["calls"]]

        assert run() == ["declined"]
        lists(home, tool("look"), tool("new"))
        file.unlink()
        assert run() == ["declined"]
        assert "new" in home.run("run", "-v", turns("done")).stderr
        file.write_text(json.dumps(whole))
        assert [c["outcome"] for c in home.json(turns([call("s__look")], "done"))["calls"]] == ["ok"]
        whole["files"]["mine.toml"]["s"]["tools"]["look"]["definition"]["description"] = "Looks at all of it."
        file.write_text(json.dumps(whole))
        done = home.run("run", turns("done"))
    assert done.returncode == 3
    assert "s.look: the digest is not that of the definition" in done.stderr


def test_another_way_to_start_and_a_server_that_is_gone_are_told(tmp_path):
    with turning(tmp_path, tool("look"), reads=()) as home:
        in_terminal(home, ("s> ", "yes"))
        home.config.write_text(home.config.read_text().replace('turning_server.py"]', 'turning_server.py", "again"]'))
        found = home.json(turns([call("s__look")], "done"))
        assert [c["outcome"] for c in found["calls"]] == ["declined"]
        done = home.run("lock", "--check")
        assert done.returncode == 3
        assert done.stdout.startswith("s: is started in another way\n")
        home.config.write_text(home.config.read_text().replace("[mcp_servers.s]", "[mcp_servers.t]"))
        assert f"s: has no entry in {home.config}" in home.run("lock", "--check").stdout


def test_a_locked_server_that_does_not_come_up_fails_its_calls_and_not_the_turn(tmp_path):
    with turning(tmp_path, tool("look"), reads=("look",)) as home:
        home.run("lock")
        (tmp_path / "tools").unlink()
        found = home.json(turns([call("s__look")], "done"))
        (given,) = [words(output) for output in outputs(home.model.requests[1]).values()]
    assert [c["outcome"] for c in found["calls"]] == ["error"]
    assert (found["reason"], found["answer"]) == ("done", "done")
    assert "FileNotFoundError" in given or "exit" in given, given
