"""What `run` prints: text, one JSON object, or a line an event; and nothing else."""

import json

import pytest
from model_server import End, Fault, Say
from playing import Home, call, outputs, playing, turns, words

ENVELOPE = ["v", "session", "seq", "at", "kind"]
DENY = '[[rules]]\nserver = "s"\ntool = "note"\nverdict = "deny"\nid = "never"\nreason = "notes are closed"\n'


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    """A run with every kind of call; its lines, what the server noted and what the model was given."""
    steps = turns(
        [
            call("s__look", id="odd id/1", text="caf\u00e9 \u2028 1.50", n=1.5, z=None, a=[True, {"b": {}}]),
            call("s__note", text="x"),
            call("s__add", n="no number"),
            call("s__none", who="nobody"),
            {"name": "s__add", "arguments": '{"n": 1', "id": None},
            call("s__both"),
        ],
        "All done.",
    )
    with playing(tmp_path_factory.mktemp("streamed")) as home:
        done = home.run("run", "--output-format", "stream-json", steps)
        assert done.returncode == 0, done.stderr
        yield done, [json.loads(line) for line in done.stdout.splitlines()], home, home.model.requests


def by_kind(lines, kind):
    return [line for line in lines if line["kind"] == kind]


def test_each_line_is_an_event_in_its_envelope(streamed):
    done, lines, home, _ = streamed
    assert done.stderr == ""
    durable = [line for line in lines if line["kind"] != "delta"]
    assert [list(line)[:5] for line in durable] == [ENVELOPE] * len(durable)
    assert [line["seq"] for line in durable] == list(range(1, len(durable) + 1))
    assert {(line["v"], line["session"]) for line in lines} == {(1, lines[0]["session"])}
    assert all("seq" not in line and "at" not in line for line in by_kind(lines, "delta"))
    assert durable == home.events(lines[0]["session"]), "what is printed is what is stored"
    opened = durable[0]
    assert (opened["kind"], opened["profile"], opened["model"], opened["servers"]) == (
        "session_opened", "default", "mine/m", ["s"],
    )  # fmt: skip


def test_decided_started_and_received_are_the_same_bytes(streamed):
    _, lines, home, _ = streamed
    (started,) = [line for line in by_kind(lines, "call_started") if line["call_id"] == "odd id/1"]
    (decided,) = [line for line in by_kind(lines, "call_decided") if line["call_id"] == "odd id/1"]
    (received,) = home.calls("look")
    assert json.dumps(received["arguments"]) == json.dumps(started["arguments"]) == json.dumps(decided["arguments"])
    assert {key: decided[key] for key in ("tool", "server", "remote_name", "verdict", "rules")} == {
        "tool": "s__look", "server": "s", "remote_name": "look", "verdict": "allow", "rules": [],
    }  # fmt: skip
    assert decided["reason"]
    assert received["meta"]["io.agent-host/idempotency-key"] == started["key"]


def test_what_may_not_run_is_never_started(streamed):
    _, lines, home, _ = streamed
    finished = by_kind(lines, "call_finished")
    ends = {line["call_id"]: (line["outcome"], line["is_error"]) for line in finished}
    order = [part["id"] for part in by_kind(lines, "model_said")[0]["parts"]]
    assert [ends[id] for id in order] == [
        ("ok", False), ("declined", True), ("error", True), ("error", True), ("error", True), ("ok", False),
    ]  # fmt: skip
    assert {line["call_id"] for line in by_kind(lines, "call_started")} == {order[0], order[5]}
    assert [line["call_id"] for line in by_kind(lines, "asked")] == [order[1]], "arguments are checked before asking"
    assert [note["call"] for note in home.calls()] == ["look", "both"]
    (answered,) = by_kind(lines, "answered")
    assert (answered["action"], answered["by"]) == ("decline", "host")


def test_the_model_is_told_what_came_of_each_call(streamed):
    _, lines, _, requests = streamed
    given = outputs(requests[-1])
    look, note, invalid, unknown, malformed, both = (words(output) for output in given.values())
    assert next(iter(given)) == "odd id/1"
    assert "caf\u00e9 \u2028 1.50" in look
    assert "needs approval and nobody is here" in note
    assert "$.n" in invalid
    assert "no tool named s__none" in unknown
    assert "not a JSON object" in malformed
    assert "in words" in both
    assert '{"in": "data"}' in both
    (finished,) = [line for line in by_kind(lines, "call_finished") if line.get("structured")]
    assert finished["content"] == [{"type": "text", "text": "in words"}]
    assert finished["structured"] == {"in": "data"}


def test_deltas_and_events_tell_the_same_text(streamed):
    _, lines, _, _ = streamed
    text = "".join(line["value"] for line in by_kind(lines, "delta") if line["of"] == "text")
    assert text == by_kind(lines, "model_said")[-1]["parts"][-1]["text"] == "All done."
    args = "".join(line["value"] for line in by_kind(lines, "delta") if line.get("call_id") == "odd id/1")
    assert json.loads(args)["n"] == 1.5


def test_json_is_one_object_with_every_call_and_every_denial(tmp_path):
    steps = turns(
        [call("s__note", text="x"), call("s__add", n=1), call("s__add", n="?"), call("s__none", a=1)], "Done."
    )
    with playing(tmp_path, more=DENY) as home:
        found = home.json(steps, "--fail-on-denied", code=5)
        assert list(found) == ["session", "answer", "reason", "usage", "calls", "denials", "error"]
        assert (found["answer"], found["reason"], found["error"]) == ("Done.", "done", None)
        assert found["usage"]["input"] == 200
        assert found["calls"] == [
            {"tool": "s__note", "arguments": {"text": "x"}, "outcome": "denied"},
            {"tool": "s__add", "arguments": {"n": 1}, "outcome": "declined"},
            {"tool": "s__add", "arguments": {"n": "?"}, "outcome": "error"},
            {"tool": "s__none", "arguments": {"a": 1}, "outcome": "error"},
        ]
        denied, declined = found["denials"]
        assert "notes are closed" in denied["reason"]
        assert "never" in denied["would_allow"]
        flag = declined["would_allow"].replace("'", "").split()
        assert flag == ["--allow", "s.add"]
        assert "--allow 's.add'" in words(list(outputs(home.model.requests[1]).values())[1]), "the model is told too"
        allowed = home.json(steps, *flag)
        assert [c["outcome"] for c in allowed["calls"]][:2] == ["denied", "ok"]
        assert [note["call"] for note in home.calls()] == ["add"]


def test_would_allow_also_helps_in_read_only_mode(tmp_path):
    steps = turns([call("s__note", text="x"), call("s__look")], "Done.")
    with playing(tmp_path) as home:
        found = home.json(steps, "--mode", "read-only")
        assert [c["outcome"] for c in found["calls"]] == ["denied", "ok"]
        flags = found["denials"][0]["would_allow"].replace("'", "").split()
        assert [c["outcome"] for c in home.json(steps, *flags)["calls"]] == ["ok", "ok"]


def test_text_is_the_answer_and_stderr_says_what_did_not_run(tmp_path):
    evil = "\x1b]0;title\x07 \u202e"
    broken = Home(tmp_path).server("gone").replace('"python"', '"no-such-program"')
    with playing(tmp_path, Home(tmp_path).server(), broken) as home:
        done = home.run("run", turns([call("s__note", text=evil)], "Done."))
    assert (done.returncode, done.stdout) == (0, "Done.\n")
    assert "not run: s__note" in done.stderr
    assert "--allow 's.note'" in done.stderr
    assert "gone" in done.stderr
    assert "no-such-program" in done.stderr


def test_no_server_begins_before_the_first_line(tmp_path):
    """stdout is a pipe that is full: the program stands still at its first line, and so must its servers."""
    import fcntl
    import os
    import subprocess

    with playing(tmp_path) as home:
        reading, writing = os.pipe()
        size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writing, b" " * (size - 1) + b"\n")
        process = subprocess.Popen(
            home.command("run", "--output-format", "stream-json", turns("hi")), cwd=tmp_path, env=home.env,
            stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE,
        )  # fmt: skip
        os.close(writing)
        with process, os.fdopen(reading, "rb") as lines:
            folder = home.state / "sessions"
            while not list(folder.glob("*.db")) and process.poll() is None:
                pass
            try:
                process.wait(1)
            except subprocess.TimeoutExpired:
                assert home.notes() == []
            else:
                raise AssertionError("it did not wait for its reader")
            assert json.loads(lines.read().split(b"\n")[1])["kind"] == "session_opened"
            assert process.wait(30) == 0
        assert "began" in home.notes()[0]


def test_a_model_that_fails_ends_the_run_in_words(tmp_path):
    with playing(tmp_path) as home:
        home.model.faults += [Fault(status=500, headers={"retry-after-ms": "1"}) for _ in range(8)]
        found = home.json(turns("never"), code=7)
    assert (found["reason"], "HTTP 500" in found["error"]) == ("failed", True)
    assert home.model.base_url in found["error"]


def test_an_answer_cut_short_or_refused_is_told(tmp_path):
    def decide(body):
        return [Say("half an ans"), End("incomplete", "max_output_tokens")]

    with playing(tmp_path, decide=decide) as home:
        found = home.json("long", code=6)
    assert (found["answer"], found["reason"]) == ("half an ans", "limit")
    assert "max_output" in found["error"]


def test_what_json_cannot_carry_fails_its_call_only(tmp_path):
    calls = [{"name": "s__look", "arguments": '{"n": 1e999}', "id": None}]
    calls += [call("s__raw", json="1e999"), call("s__raw", json="1" * 5000), call("s__raw", json="[" * 300 + "]" * 300)]
    calls += [{"name": "s__both", "arguments": '{"text": "a\\ud800"}', "id": None}]
    with playing(tmp_path) as home:
        found = home.json(turns(calls, "Done."))
    assert found["answer"] == "Done."
    assert [c["outcome"] for c in found["calls"]] == ["error"] * 4 + ["ok"]
    assert found["calls"][4]["arguments"] == {"text": "a\ud800"}
