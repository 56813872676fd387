"""A server's life: start, listing, crash, restart, end. Every process here is real."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from serving import PROGRAMS, Seen, call, lean, ledger, run, serving, words

from host.core.settings import ServerConfig
from host.servers.supervisor import QUICK_FAILURES

ROOT = Path(__file__).parent.parent.parent
ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    except FileNotFoundError:
        return False


# --- starting


def test_a_server_that_dies_of_the_era_question_is_started_again_without_it(tmp_path):
    wrote = tmp_path / "ledger"

    async def main():
        async with serving(lean("legacy", "dies_on_discover", env={"LEDGER": str(wrote)})) as servers:
            await servers.settled()
            assert servers.statuses["lean"].state == "ready"
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            assert len(ledger(wrote, "server/discover")) == 1
            assert len(ledger(wrote, "initialize")) == 1

    run(main)


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18"])
def test_older_revisions_are_spoken(version):
    async def main():
        async with serving(lean("legacy", version)) as servers:
            await servers.settled()
            assert servers.statuses["lean"].protocol == version
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).structured == {"sum": 2}

    run(main)


def test_a_command_that_is_not_there_is_named():
    async def main():
        async with serving(ServerConfig("gone", "no-such-command-anywhere")) as servers:
            await servers.settled()
            status = servers.statuses["gone"]
            assert (status.state, status.detail) == ("failed", "command not found: no-such-command-anywhere")

    run(main)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    async def main():
        async with serving(lean("modern", cwd=tmp_path / "none")) as servers:
            await servers.settled()
            assert servers.statuses["lean"].detail == f"its folder {tmp_path / 'none'} does not exist"

    run(main)


def test_a_server_that_dies_at_its_start_says_why():
    async def main():
        async with serving(lean("modern", "dies_at_start")) as servers:
            await servers.settled()
            status = servers.statuses["lean"]
            assert status.state == "failed"
            assert status.detail == "exited with code 4: Traceback: no module named nothing"
            assert "Traceback: no module named nothing" in servers.logs("lean")
            assert servers.source("lean") is not None

    run(main)


def test_a_server_that_never_answers_delays_no_other_and_fails_in_its_time():
    async def main():
        silent = lean("modern", "slow_start", name="silent", startup_timeout=3)
        seen = Seen()
        async with serving(silent, lean("modern", required=True), seen=seen) as servers:
            await seen.until(lambda: servers.statuses["lean"].state == "ready")
            assert servers.statuses["silent"].state == "starting"
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            await servers.settled()
            assert servers.statuses["silent"].state == "failed"
            assert servers.statuses["silent"].detail == "not ready within 3 s (startup_timeout_sec)"

    run(main)


def test_a_server_waits_for_the_fact_in_its_environment():
    async def main():
        config = lean("modern", env={"WHO": "user-${fact.user}"})
        async with serving(config) as servers:
            await servers.settled()
            status = servers.statuses["lean"]
            assert (status.state, status.detail) == ("waiting", "waits for the fact user")
            assert servers.tools() == []
            servers.set_facts({"other": 1})
            servers.set_facts({"user": 42})
            with anyio.fail_after(20):
                while not servers.tools():
                    await anyio.lowlevel.checkpoint()
            assert json.loads(words(await call(servers, "lean__env")))["WHO"] == "user-42"

    run(main)


def test_the_environment_is_an_allow_list(monkeypatch):
    monkeypatch.setenv("PLANTED_SECRET", "sk-1234")
    monkeypatch.setenv("PASSED_ON", "yes")
    monkeypatch.setenv("LC_TIME", "C")

    async def main():
        async with serving(lean("modern", env={"OWN": "1"}, env_vars=("PASSED_ON",))) as servers:
            await servers.settled()
            env = json.loads(words(await call(servers, "lean__env")))
            assert (env["OWN"], env["PASSED_ON"], env["LC_TIME"]) == ("1", "yes", "C")
            assert env["PATH"] == os.environ["PATH"]
            allowed = {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "TMPDIR", "TZ"}
            rest = {name for name in env if name not in allowed and not name.startswith("LC_")}
            assert rest == {"OWN", "PASSED_ON"}

    run(main)


def test_a_disabled_server_is_not_started():
    async def main():
        async with serving(lean("modern", enabled=False)) as servers:
            await servers.settled()
            assert servers.statuses["lean"].state == "disabled"
            assert servers.source("lean") is None

    run(main)


# --- listing


@ERAS
def test_one_bad_tool_is_set_aside_and_the_others_work(era):
    async def main():
        seen = Seen()
        async with serving(lean(era, "bad_tool"), seen=seen) as servers:
            await servers.settled()
            aside = servers.statuses["lean"].quarantined
            assert set(aside) == {"odd_schema", "no_schema", "deep"}
            assert "inputSchema" in aside["odd_schema"]
            assert "refers outside itself" in aside["deep"]
            names = {spec.remote_name for spec in servers.tools()}
            assert {"add", "empty_schema", "no_type"} <= names
            assert not names & set(aside)
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            assert seen.listings[-1][2] == aside

    run(main)


def test_a_modern_listing_without_result_type_is_taken():
    async def main():
        async with serving(lean("modern", "no_result_type")) as servers:
            await servers.settled()
            assert servers.spec("lean__add") is not None

    run(main)


def test_all_pages_are_read_and_endless_ones_are_not():
    async def main():
        paged, endless = lean("legacy", "pages", name="paged"), lean("modern", "endless_pages", name="endless")
        async with serving(paged, endless, lean("legacy")) as servers:
            await servers.settled()
            count = {name: status.tools for name, status in servers.statuses.items()}
            assert count["paged"] == count["endless"] == count["lean"] > 8
            assert "does not end" in servers.statuses["endless"].detail

    run(main)


def test_a_listing_that_fails_leaves_the_server_usable():
    async def main():
        async with serving(lean("modern", "no_listing")) as servers:
            await servers.settled()
            status = servers.statuses["lean"]
            assert (status.state, status.detail) == ("ready", "tools/list failed: no list today")
            assert (await servers.read_resource("lean", "note://one"))[0]["text"] == "one note"

    run(main)


@ERAS
def test_a_changed_listing_is_followed(era):
    async def main():
        seen = Seen()
        async with serving(lean(era), seen=seen) as servers:
            await servers.settled()
            assert servers.spec("lean__grown0") is None
            assert words(await call(servers, "lean__grow")) == "grown"
            await seen.until(lambda: servers.spec("lean__grown0"))
            assert "lean__grown0" in seen.listings[-1][1]
            await call(servers, "lean__grow")
            await seen.until(lambda: servers.spec("lean__grown1"))
            assert [name for name, _, _ in seen.listings] == ["lean"] * 3

    run(main)


def test_globs_choose_tools_and_names_never_collide():
    async def main():
        one = lean("modern", name="a", enabled_tools=("a*", "e*"), disabled_tools=("env",))
        async with serving(one, lean("modern", name="b", enabled_tools=())) as servers:
            await servers.settled()
            assert [spec.name for spec in servers.tools()] == ["a__add", "a__echo", "a__ask", "a__error"]

    run(main)


# --- crashing


@ERAS
def test_a_crash_ends_its_call_and_the_next_call_runs_on_a_new_process(era):
    async def main():
        seen = Seen()
        async with serving(lean(era), seen=seen) as servers:
            await servers.settled()
            first = json.loads(words(await call(servers, "lean__pid")))[0]
            lost = await call(servers, "lean__crash")
            assert (lost.outcome, lost.is_error, lost.cause) == ("error", True, "server_lost")
            assert lost.reason == "exited with code 3: the disk is full"
            assert servers.spec("lean__add") is not None
            second = json.loads(words(await call(servers, "lean__pid")))[0]
            assert first != second
            states = [state for _, state in seen.states]
            assert states == ["starting", "ready", "restarting", "ready"]

    run(main)


def test_a_server_that_keeps_dying_is_given_up_until_it_is_restarted_by_hand():
    async def main():
        async with serving(lean("modern")) as servers:
            await servers.settled()
            for _ in range(QUICK_FAILURES):
                assert (await call(servers, "lean__crash")).cause == "server_lost"
            source = servers.source("lean")
            assert source is not None
            while servers.statuses["lean"].state != "failed":
                await anyio.lowlevel.checkpoint()
            assert "stopped 5 times in a row" in servers.statuses["lean"].detail
            assert "the disk is full" in servers.statuses["lean"].detail
            assert servers.tools() == []
            servers.restart("lean")
            while servers.statuses["lean"].state != "ready":
                await anyio.lowlevel.checkpoint()
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"

    run(main)


def test_a_restart_by_hand_makes_a_new_process():
    async def main():
        async with serving(lean("modern")) as servers:
            await servers.settled()
            before = json.loads(words(await call(servers, "lean__pid")))[0]
            servers.restart("lean")
            while servers.statuses["lean"].state != "ready":
                await anyio.lowlevel.checkpoint()
            assert json.loads(words(await call(servers, "lean__pid")))[0] != before
            assert not alive(before)

    run(main)


def test_a_call_to_a_server_that_failed_is_told_why():
    async def main():
        async with serving(lean("modern"), lean("modern", "dies_at_start", name="dead")) as servers:
            await servers.settled()
            spec = servers.spec("lean__add")
            source = servers.source("dead")
            result = await source.call(spec, {}, None, None, None)
            assert (result.outcome, result.cause) == ("error", "server_down")
            assert "no module named nothing" in result.reason

    run(main)


def test_an_endless_line_and_a_flood_cut_the_server(tmp_path):
    program = tmp_path / "flood.py"
    program.write_text(
        "import sys\n"
        "line = b'x' * 65536 + (b'\\n' * 65536 if sys.argv[1] == 'lines' else b'')\n"
        "sys.stdin.buffer.readline()\n"
        "while True:\n"
        "    sys.stdout.buffer.write(line if sys.argv[1] == 'line' else b'noise\\n' * 10000)\n"
    )

    async def main():
        flood = ServerConfig("flood", "python", (str(program), "lines"), sandbox="off")
        endless = ServerConfig("endless", "python", (str(program), "line"), sandbox="off")
        async with serving(flood, endless) as servers:
            await servers.settled()
            assert "useless lines within a second" in servers.statuses["flood"].detail
            assert "a line of more than 64 MiB" in servers.statuses["endless"].detail

    run(main, 60)


# --- ending


def test_a_stubborn_server_and_its_child_are_gone_after_close():
    async def main():
        async with serving(lean("legacy", "stubborn")) as servers:
            await servers.settled()
            pids = json.loads(words(await call(servers, "lean__pid")))
            assert all(map(alive, pids))
            with anyio.fail_after(8):
                await servers.close()
            assert servers.statuses["lean"].state == "closed"
            assert not any(map(alive, pids))

    run(main)


def test_a_child_left_behind_by_a_polite_server_is_ended():
    async def main():
        async with serving(lean("modern", "orphan")) as servers:
            await servers.settled()
            server, child = json.loads(words(await call(servers, "lean__pid")))
            await servers.close()
            assert not alive(server)
            assert not alive(child)

    run(main)


def test_nothing_outlives_a_host_that_is_killed(tmp_path):
    """A host in a process of its own is killed with -9; its server ignores TERM and closed stdin, and has a child."""
    host = tmp_path / "host.py"
    host.write_text(
        f"import sys; sys.path[:0] = {[str(ROOT), str(PROGRAMS.parent)]!r}\n"
        "import anyio\n"
        "from serving import call, lean, serving, words\n"
        "async def main():\n"
        "    async with serving(lean('modern', 'stubborn')) as servers:\n"
        "        await servers.settled()\n"
        "        print(words(await call(servers, 'lean__pid')), flush=True)\n"
        "        await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    with subprocess.Popen([sys.executable, str(host)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pids = json.loads(process.stdout.readline())
        assert all(map(alive, pids))
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        os.sched_yield()
    assert not any(map(alive, pids))


def test_calls_in_flight_end_when_the_session_closes():
    async def main():
        results = []

        async def hang(servers):
            results.append(await call(servers, "lean__hang"))

        async with anyio.create_task_group() as tasks:
            async with serving(lean("modern")) as servers:
                await servers.settled()
                tasks.start_soon(hang, servers)
                await anyio.wait_all_tasks_blocked()
                await servers.close()
        assert (results[0].cause, results[0].reason) == ("server_lost", "the host closed it")

    run(main)


def test_many_servers_close_in_parallel():
    async def main():
        configs = [lean("legacy", "stubborn", name=f"s{n}") for n in range(5)]
        async with serving(*configs) as servers:
            await servers.settled()
            assert {status.state for status in servers.statuses.values()} == {"ready"}
            with anyio.fail_after(9):
                await servers.close()
            assert {status.state for status in servers.statuses.values()} == {"closed"}

    run(main)
