"""The planner through the whole program: what it would change is asked for, also where a rule allows it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ALLOWED = '\n[[profiles.house.rules]]\nserver = "house"\ntool = "*"\nverdict = "allow"\n'
WORDS = "Switch D-1 off please"
CALL = {"device_id": "D-1", "on": False}
SECONDS = 60


@pytest.fixture
def folder(tmp_path):
    shutil.copy(HERE / "house_server.py", tmp_path)
    (tmp_path / "house.toml").write_text((HERE / "house.toml").read_text() + ALLOWED)
    return tmp_path


def command(folder, *arguments):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "AGENT_HOST_HOME": str(folder / "home")}
    line = [sys.executable, "-m", "host", "run", "-p", "house", "--config", "house.toml", "--trust", *arguments]
    return {"args": line, "cwd": folder, "env": env | {"PYTHONPATH": str(ROOT)}, "text": True}


def headless(folder, *arguments):
    done = subprocess.run(
        **command(folder, *arguments, "--output-format", "json"),
        stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


class Live:
    """A run that is talked to line by line."""

    def __init__(self, folder, *arguments):
        streams = ("--input-format", "stream-json", "--output-format", "stream-json")
        given = command(folder, *arguments, *streams)
        self.process = subprocess.Popen(**given, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, **message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def until(self, kind):
        """The next event of a kind; what came before it is passed over."""
        for line in self.process.stdout:
            event = json.loads(line)
            if event["kind"] == kind:
                return event
        raise AssertionError(f"no {kind} came")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=SECONDS)

    def end(self):
        """No more words: it finishes by itself."""
        self.process.stdin.close()
        self.process.stdin = None
        assert self.process.wait(SECONDS) == 0


def test_a_rule_that_allows_does_not_let_a_guess_through(folder):
    done = headless(folder, WORDS)
    assert [(call["tool"], call["outcome"]) for call in done["calls"]] == [("house__switch_light", "declined")]
    assert "guess" in done["denials"][0]["reason"]
    assert "--allow" in done["denials"][0]["would_allow"]


def test_a_read_runs_by_itself(folder):
    done = headless(folder, "What's the temperature in the bedroom?")
    assert [(call["tool"], call["outcome"]) for call in done["calls"]] == [("house__read_sensor", "ok")]
    assert "18.5" in done["answer"]


def test_an_answer_given_ahead_counts(folder):
    done = headless(folder, WORDS, "--allow", "house.switch_light")
    assert [(call["arguments"], call["outcome"]) for call in done["calls"]] == [(CALL, "ok")]


def test_a_person_is_asked_and_a_crash_in_between_changes_nothing(folder):
    with Live(folder) as first:
        first.send(kind="say", text=WORDS)
        asked = first.until("asked")
        assert (asked["remote_name"], asked["arguments"]) == ("switch_light", CALL)
    with Live(folder, "--resume", asked["session"]) as again:
        asked = again.until("asked")
        assert asked["arguments"] == CALL
        again.send(kind="answer", request_id=asked["request_id"], action="accept")
        assert again.until("call_finished")["outcome"] == "ok"
        said = again.until("model_said")
        assert "Done: `house__switch_light`" in said["parts"][0]["text"]
        again.until("turn_ended")
        again.end()
