"""How a run ends before its time: signals, kills, and disks that take no more."""

import json
import resource
import signal
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest
from playing import call, gone, playing, turns

from host.store.host import HostStore

ALLOW = '[[rules]]\nserver = "s"\ntool = "*"\nverdict = "allow"\n'


def servers(home):
    """The processes of this home's servers and of whatever holds or watches them, seen from outside."""
    mark, found = f"NOTES={home.notes_file}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_the_host(tmp_path, number):
    with playing(tmp_path, more=ALLOW) as home:
        with home.talk() as talk:
            talk.say([call("s__hang", "c")], "never")
            talk.until("call_started")
            pids = servers(home)
            assert pids
            with closing(HostStore(home.state)) as index:
                assert [row.state for row in index.sessions()] == ["working"]
            talk.process.send_signal(number)
            while talk.next() is not None:
                pass
            code = talk.process.wait(20)
        assert all(map(gone, pids))
        assert servers(home) == []
        session = talk.lines[0]["session"]
        if number == signal.SIGKILL:
            assert code == -number
            with closing(HostStore(home.state)) as index:
                assert [(row.state, bool(row.title)) for row in index.sessions()] == [("interrupted", True)]
        else:
            assert (code, talk.lines[-1]["kind"], talk.lines[-1]["reason"]) == (130, "turn_ended", "interrupted")
            assert [line["outcome"] for line in talk.of("call_finished")] == ["unknown"]
        assert home.events(session)


def test_a_batch_that_is_interrupted_leaves_whole_logs_and_no_servers(tmp_path):
    lines = [{"id": n, "prompt": turns([call("s__hang")], "never")} for n in range(3)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with playing(tmp_path, more=ALLOW) as home:
        process = subprocess.Popen(
            home.command("batch", "in.jsonl"), cwd=tmp_path, env=home.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        while len(home.calls()) < 3:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, b"Traceback" in errors) == (130, False)
        assert servers(home) == []
        sessions = [path.stem for path in (home.state / "sessions").glob("*.db")]
        ends = [home.events(session)[-1]["kind"] for session in sessions]
        assert ends == ["turn_ended"] * 3


def limited(size):
    """A process that may write no file beyond so many bytes, as on a disk that is full."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_stops_the_run_in_words_and_starts_nothing_without_its_intent(tmp_path):
    steps = turns(*[[call("s__note", f"n{n}"), call("s__big", f"b{n}", size=12_000)] for n in range(60)], "never")
    with playing(tmp_path, more=ALLOW) as home:
        done = subprocess.run(
            home.command("run", "-", "--output-format", "stream-json"), cwd=tmp_path, env=home.env, text=True,
            input=steps, capture_output=True, timeout=60, preexec_fn=limited(130_000), check=False,
        )  # fmt: skip
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert "Traceback" not in done.stderr
        assert "disk" in done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        session = lines[0]["session"]
        stored = home.events(session)
        printed = [line for line in lines if "seq" in line]
        assert printed == stored[: len(printed)], "what was printed had been stored"
        intents = [event for event in stored if event["kind"] == "call_started"]
        assert 0 < len(home.calls()) <= len(intents) < 120
        assert servers(home) == []
        with home.talk("--resume", session) as talk:
            talk.until("settings_changed")
            talk.send(kind="close")
            assert talk.end() == 0
