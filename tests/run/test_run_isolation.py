"""Twenty sessions in one process: each has its own servers, facts, files and words."""

import json

import pytest
from playing import Home, call, playing, turns

COUNT = 20
BROKEN = "broken \u2028\u202e\x1b[2J"
MARKS = [f"mark-{n:02}-{n * 7919 % 1000:03}" for n in range(COUNT)]
PROFILE = """
[profiles.default]
servers = ["s", "late"]
[profiles.default.facts.user]
from = { server = "s", tool = "identify", path = "$.user" }
[[rules]]
server = "s"
tool = "identify"
verdict = "allow"
"""


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    home = Home(folder)
    late = home.server("late", env='MARK = "${fact.user}"')
    lines = [
        {
            "id": mark,
            "prompt": turns(
                [call("s__identify", user=mark), call("s__mine")],
                [call("late__mine"), call("s__big", size=40_000, needle=mark)],
                f"answer {mark}",
            ),
        }
        for mark in MARKS
    ]
    broken = {"id": BROKEN, "prompt": "no script: the model cannot play it"}
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines[:10], broken, *lines[10:]]))

    from playing import plays

    def decide(body):
        said = body["input"][0]["content"][-1]["text"]
        return plays(body) if said.startswith("[") else [{"not": "a part"}]

    with playing(folder, home.server(), late, more=PROFILE, decide=decide) as home:
        done = home.run("batch", "in.jsonl", "--concurrency", str(COUNT), "-o", "out.jsonl")
        results = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines() if line.isprintable()]
        yield done, results, home


def test_each_line_has_its_answer_and_a_line_that_fails_fails_alone(batch):
    done, results, _ = batch
    assert done.returncode == 1
    by_id = {result["id"]: result for result in results}
    assert by_id.pop(BROKEN)["reason"] == "failed"
    assert {id: (r["answer"], r["reason"]) for id, r in by_id.items()} == {m: (f"answer {m}", "done") for m in MARKS}
    keys = {"id", "session", "answer", "reason", "usage", "calls", "denials", "error"}
    assert [set(result) for result in results] == [keys] * (COUNT + 1)
    assert len({result["session"] for result in results}) == COUNT + 1


def test_no_session_holds_a_word_of_another(batch):
    _, results, home = batch
    sessions = {result["id"]: result["session"] for result in results}
    for mark in MARKS:
        stored = b"".join(
            path.read_bytes()
            for path in (home.state / "sessions").rglob("*")
            if path.is_file() and path.relative_to(home.state / "sessions").parts[0].startswith(sessions[mark])
        )
        assert mark.encode() in stored
        assert not [other for other in MARKS if other != mark and other.encode() in stored]
    blobs = [path for path in (home.state / "sessions").glob("*.blobs/*") if path.is_file()]
    assert len(blobs) >= COUNT, "each long result is a file of its own session"


def test_every_server_process_served_one_session_only(batch):
    _, _, home = batch
    told = {}
    for note in home.calls():
        mark = note["arguments"].get("user") or note["arguments"].get("needle")
        told.setdefault(note["pid"], set()).update({mark} - {None})
    assert len(told) == 2 * COUNT
    assert all(len(marks) <= 1 for marks in told.values())
    started = [note["mark"] for note in home.notes() if "began" in note and note["mark"] is not None]
    assert sorted(started) == MARKS


def test_what_a_model_is_sent_is_of_its_own_session(batch):
    _, _, home = batch
    for body in home.model.requests:
        text = json.dumps(body["input"])
        assert len([mark for mark in MARKS if mark in text]) <= 1
