"""A session carried on by another process: what it waits for, what it asks again, and what it refuses."""

import sqlite3
import threading
import time
from contextlib import closing

from model_server import Fault
from playing import call, outputs, playing, turns, words

from host.store.host import HostStore

EXACT = {"for": "session", "arguments": "exact"}


def test_a_killed_conversation_goes_on_where_it_stood(tmp_path):
    """The open question is printed again as it was stored; its answer, given before any server is up, counts once."""
    with playing(tmp_path) as home:
        with home.talk() as talk:
            talk.say([call("s__note", "kept", text="a"), call("s__note", "again", text="b")], "the end")
            first, second = talk.until("asked"), talk.until("asked")
            listed, until = "", time.monotonic() + 20
            with closing(HostStore(home.state)) as index:
                while listed != "waiting":
                    assert time.monotonic() < until, listed
                    listed = index.sessions()[0].state
            session = first["session"]
        with home.talk("--resume", session) as talk:
            asked = [talk.next(), talk.next()]
            talk.send(kind="answer", request_id=first["request_id"], action="accept", remember=EXACT)
            talk.send(kind="answer", request_id=second["request_id"], action="decline", reason="no")
            ended = talk.until("turn_ended")
            assert talk.end() == 0
        assert asked == [first, second]
        assert ended["reason"] == "done"
        assert [line["call_id"] for line in talk.of("asked")] == ["kept", "again"], "nothing was asked twice"
        assert talk.of("session_opened") == []
        seqs = [line["seq"] for line in talk.lines if "seq" in line][2:]
        assert seqs == list(range(second["seq"] + 1, second["seq"] + 1 + len(seqs))), "only what is new, all of it"
        assert [note["arguments"] for note in home.calls("note")] == [{"text": "a"}]
        with home.talk("--resume", session) as talk:
            talk.say([call("s__note", text="a"), call("s__note", text="b")], "2")
            assert talk.until("asked")["arguments"] == {"text": "b"}, "the answer for this session outlives its process"
            assert talk.end() == 0


def test_run_resume_without_a_prompt_is_the_word_to_go_on(tmp_path):
    with playing(tmp_path) as home:
        with home.talk("--fact", "who=me", "--mode", "auto") as talk:
            talk.say([call("s__look", "done"), call("s__note", "open")], "the end")
            talk.until("call_finished", call_id="done")
            session = (talk.of("asked") or [talk.until("asked")])[0]["session"]
        found = home.json("--resume", session)
        assert (found["session"], found["answer"], found["reason"]) == (session, "the end", "done")
        assert found["calls"] == [{"tool": "s__note", "arguments": {}, "outcome": "declined"}]
        assert len(home.calls("look")) == 1
        opened, *_ = home.events(session)
        assert (opened["facts"], opened["mode"]) == ({"who": "me"}, "auto")
        again = home.run("run", "--resume", session)
        assert (again.returncode, "no unfinished turn" in again.stderr) == (2, True)
        other = home.run("run", "--resume", session, "--fact", "who=you", "x")
        assert (other.returncode, "who" in other.stderr) == (3, True)
        changed = home.run("run", "--output-format", "stream-json", "--resume", session, "--mode", "ask", turns("hi"))
        assert changed.returncode == 0
        assert '"settings_changed","changes":{"mode":"ask"}' in changed.stdout.split("\n")[0]


def test_with_no_turn_open_a_resumed_conversation_waits(tmp_path):
    with playing(tmp_path, more='[profiles.mine]\nservers = ["s"]\n') as home:
        session = home.json(turns("one"), "-p", "mine")["session"]
        with home.talk("--resume", session) as talk:
            talk.send(kind="interrupt")
            assert "no turn" in talk.until("rejected")["reason"]
            talk.say("two")
            assert talk.until("turn_ended")["reason"] == "done"
            assert talk.end() == 0
        assert len(home.model.requests) == 2
        said = [item["content"][0]["text"] for item in home.model.requests[1]["input"] if item["type"] == "message"]
        assert said == [turns("one"), "one", turns("two")]
        assert {line["kind"] for line in talk.lines if "seq" in line} <= {
            "user_said", "model_said", "turn_ended", "catalog_changed", "settings_changed",
        }  # fmt: skip
        with home.talk("--resume", "nobody") as talk:
            assert talk.end() == 2
        assert talk.lines == []


def test_a_started_call_is_not_sent_again_unless_it_reads(tmp_path):
    allow = '[[rules]]\nserver = "s"\ntool = "hang"\nverdict = "allow"\n'
    with playing(tmp_path, more=allow) as home:
        with home.talk() as talk:
            talk.say([call("s__hang", "write"), call("s__look", "queued")], [call("s__hang", "repeat")], "the end")
            key = talk.until("call_started", call_id="write")["key"]
            while not home.calls("hang"):
                pass
            session = talk.lines[0]["session"]
        with home.talk("--resume", session) as talk:
            again = talk.until("asked")
            assert (again["call_id"], again["grantable"]) == ("repeat", False)
            assert "outcome is unknown" in again["reason"]
            talk.send(kind="answer", request_id=again["request_id"], action="accept", remember=EXACT)
            talk.until("rejected")
            talk.send(kind="answer", request_id=again["request_id"], action="accept")
            repeated = talk.until("call_started", call_id="repeat")
            talk.send(kind="close")
            assert talk.end() == 0
        given = outputs(home.model.requests[-1])
    assert {line["call_id"]: line["outcome"] for line in talk.of("call_finished")} == {
        "write": "unknown", "queued": "ok", "repeat": "unknown",
    }  # fmt: skip
    assert "outcome is unknown" in words(given["write"])
    assert repeated["key"] == key
    assert [note["meta"]["io.agent-host/idempotency-key"] for note in home.calls("hang")] == [key, key]


def test_a_crash_while_the_model_speaks_loses_no_word_of_the_user(tmp_path):
    gate = threading.Event()
    with playing(tmp_path) as home:
        home.model.faults.append(Fault(hold=1800, gate=gate))
        with home.talk() as talk:
            talk.say("an answer " * 60)
            session = talk.until("delta")["session"]
        gate.set()
        found = home.json("--resume", session, stdin=turns("rather this"))
        assert found["answer"] == "rather this"
        said = [item for item in home.model.requests[-1]["input"] if item.get("role") == "user"]
        assert len(said) == 2


def test_what_must_not_be_resumed_is_refused_in_words(tmp_path):
    with playing(tmp_path) as home:
        with home.talk() as talk:
            talk.say("one")
            session = talk.until("turn_ended")["session"]
            taken = home.run("run", "--resume", session, turns("two"))
            assert (taken.returncode, "in use by another agent-host" in taken.stderr) == (1, True), taken.stderr
            assert talk.end() == 0
        path = home.state / "sessions" / f"{session}.db"
        db = sqlite3.connect(path)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version={version + 1}")
        db.close()
        before = path.read_bytes()
        newer = home.run("run", "--resume", session, turns("two"))
        assert newer.returncode not in (0, 130)
        assert "newer" in newer.stderr
        assert path.read_bytes() == before
    assert len(home.model.requests) == 1
