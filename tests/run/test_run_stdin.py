"""A conversation over stdin and stdout: approvals, commands and their refusals, one process for several facts."""

import json
import threading

import pytest
from model_server import Fault
from playing import call, outputs, playing, words


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """One conversation with every kind of answer. Yields the talk as it ended, its home, and the exit code."""
    with playing(tmp_path_factory.mktemp("asked")) as home, home.talk() as talk:
        kept, no = call("s__note", "kept", text="a"), call("s__note", "no", text="b")
        talk.say([kept, no, call("s__add", "edited", n=1)], "1")
        first, second, third = (talk.until("asked", call_id=id)["request_id"] for id in ("kept", "no", "edited"))
        exact = {"for": "session", "arguments": "exact"}
        talk.send(kind="answer", request_id=first, action="accept", remember=exact)
        talk.send(kind="answer", request_id=second, action="decline", reason="not today")
        talk.send(kind="answer", request_id=third, action="accept", content={"n": "one"})
        talk.until("rejected")
        talk.send(kind="answer", request_id=third, action="accept", content={"n": 41})
        talk.until("turn_ended")
        talk.say([call("s__note", "again", text="a"), call("s__note", "other", text="c")], "2")
        other = talk.until("asked")
        talk.send(kind="answer", request_id=other["request_id"], action="accept")
        talk.until("turn_ended")
        talk.say([call("s__note", "x", text="x"), call("s__note", "y", text="y"), call("s__note", "z", text="z")], "3")
        x, y, z = (talk.until("asked", call_id=id)["request_id"] for id in "xyz")
        talk.send(kind="answer", request_ids=[x, y], action="accept")
        talk.send(kind="answer", request_ids=[z, z], action="decline")
        talk.send(kind="answer", request_id=z, action="cancel")
        talk.until("turn_ended")
        yield talk, home, talk.end()


def test_what_was_approved_ran_and_nothing_else(asked):
    talk, home, code = asked
    assert code == 0
    sent = [(note["call"], note["arguments"]) for note in home.calls()]
    assert sent == [("note", {"text": "a"}), ("add", {"n": 41})] + [("note", {"text": t}) for t in "acxy"]
    ends = {line["call_id"]: line["outcome"] for line in talk.of("call_finished")}
    assert ends == {
        "kept": "ok", "no": "declined", "edited": "ok", "again": "ok", "other": "ok", "x": "ok", "y": "ok",
        "z": "declined",
    }  # fmt: skip


def test_a_question_shows_what_is_sent(asked):
    talk, _, _ = asked
    started = {line["call_id"]: line for line in talk.of("call_started")}
    for line in talk.of("asked"):
        assert (line["about"], line["server"], line["effect"]) == ("approval", "s", "destructive")
        assert (line["grantable"], line["open"], line["rules"]) == (True, True, [])
        assert line["reason"]
        if line["call_id"] in started and line["call_id"] != "edited":
            assert json.dumps(line["arguments"]) == json.dumps(started[line["call_id"]]["arguments"])
    assert started["edited"]["arguments"] == {"n": 41}


def test_the_model_hears_of_declines_and_edits_and_its_own_call_is_kept(asked):
    _, home, _ = asked
    body = home.model.requests[1]
    (own,) = [item for item in body["input"] if item.get("call_id") == "edited" and item["type"] == "function_call"]
    assert json.loads(own["arguments"]) == {"n": 1}
    given = outputs(body)
    assert "The user edited the arguments" in words(given["edited"])
    assert '{"n":41}' in words(given["edited"])
    assert "42" in words(given["edited"])
    assert "not today" in words(given["no"])


def test_a_remembered_answer_holds_for_the_same_arguments_only(asked):
    talk, _, _ = asked
    (again,) = talk.of("call_decided", call_id="again")
    assert (again["verdict"], talk.of("asked", call_id="again")) == ("allow", [])
    assert "granted" in again["reason"]
    assert len(talk.of("asked", call_id="other")) == 1


def test_an_answer_that_cannot_be_taken_is_rejected(asked):
    talk, _, _ = asked
    reasons = [line["reason"] for line in talk.of("rejected")]
    assert len(reasons) == 2, reasons
    assert "does not fit the schema" in reasons[0]
    assert "once" in reasons[1]
    assert {line["command"] for line in talk.of("rejected")} == {"answer"}


def test_commands_that_make_no_sense_are_rejected_and_change_nothing(tmp_path):
    nonsense = [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ('"say"', "JSON object"),
        ('{"kind": "sing"}', "unknown command"),
        ('{"kind": ["say"], "text": "x"}', "unknown command"),
        ('{"v": 2, "kind": "say", "text": "x"}', "version 1"),
        ('{"kind": "say"}', "text"),
        ('{"kind": "say", "text": " "}', "nothing was said"),
        ('{"kind": "say", "text": "x", "loud": true}', "loud"),
        ('{"kind": "answer", "action": "accept"}', "request_id"),
        ('{"kind": "answer", "action": "maybe", "request_id": "q1"}', "action"),
        ('{"kind": "answer", "action": "accept", "request_id": "q1"}', "q1"),
        ('{"kind": "answer", "action": "accept", "request_id": "q1", "content": {"n": 1e999}}', "JSON"),
        ('{"kind": "change", "facts": {"n": NaN}}', "JSON"),
        ('{"kind": "change"}', "nothing to change"),
        ('{"kind": "change", "mode": "bypass"}', "mode"),
        ('{"kind": "change", "model": "nobody/x"}', "nobody"),
        ('{"kind": "change", "model": "mine"}', "provider/model"),
        ('{"kind": "interrupt"}', "no turn"),
        ('{"kind": "say", "text": "' + "[" * 100_000 + '"', "not JSON"),
        ("[" * 100_000, "JSON"),
    ]
    with playing(tmp_path) as home, home.talk() as talk:
        talk.until("session_opened")
        for line, told in nonsense:
            talk.send_line(line)
            rejected = talk.until("rejected")
            assert told in rejected["reason"], (line[:80], rejected)
            assert "seq" not in rejected
            assert rejected["v"] == 1
        talk.process.stdin.write(b"\xff\xfe\n\n")
        talk.process.stdin.flush()
        assert "JSON" in talk.until("rejected")["reason"]
        talk.say("still here")
        assert talk.until("turn_ended")["reason"] == "done"
        assert talk.end() == 0
    kinds = [line["kind"] for line in talk.lines if "seq" in line and line["kind"] != "catalog_changed"]
    assert kinds == ["session_opened", "user_said", "model_said", "turn_ended"]


def test_prompts_wait_for_their_turn_and_a_failed_turn_ends_nothing(tmp_path):
    gate = threading.Event()
    with playing(tmp_path) as home, home.talk() as talk:
        home.model.faults += [Fault(gate=gate), Fault(status=400)]
        talk.say("one")
        talk.say("two")
        talk.say("three")
        talk.until("user_said")
        talk.send(kind="change", facts={"x": 1})
        talk.until("settings_changed")
        gate.set()
        ends = [talk.until("turn_ended")["reason"] for _ in range(3)]
        assert talk.end() == 0
    assert ends == ["done", "failed", "done"]
    kinds = [line["kind"] for line in talk.lines if line["kind"] in ("user_said", "turn_ended")]
    assert kinds == ["user_said", "turn_ended"] * 3


def test_a_change_holds_from_then_on(tmp_path):
    rule = (
        '[[rules]]\nserver = "s"\ntool = "add"\nneeds = ["id"]\nverdict = "allow"\n'
        'args = { n = { equals = "${fact.id}" } }\n'
    )
    with playing(tmp_path, more=rule) as home, home.talk("--fact", "who=me") as talk:
        talk.say([call("s__add", n=7), call("s__note")], "1")
        talk.send(kind="change", mode="read-only")
        talk.until("settings_changed")
        talk.send(kind="change", mode="ask", model="mine/other", facts={"id": 7})
        changed = talk.until("settings_changed")
        talk.send(kind="interrupt")
        talk.until("turn_ended")
        talk.say([call("s__add", n=7)], "2")
        talk.until("turn_ended", reason="done")
        talk.send(kind="change", facts={"id": 8})
        assert "already set" in talk.until("rejected")["reason"]
        talk.send(kind="change", facts={"id": 7, "who": "me"})
        assert talk.end() == 0
    assert (changed["changes"], changed["by"]) == ({"mode": "ask", "model": "mine/other", "facts": {"id": 7}}, "user")
    assert home.model.requests[-1]["model"] == "other"
    assert talk.of("session_opened")[0]["facts"] == {"who": "me"}
    assert home.calls("add")[0]["arguments"] == {"n": 7}


def test_an_approved_call_does_not_start_in_a_mode_that_came_since(tmp_path):
    with playing(tmp_path) as home, home.talk() as talk:
        talk.say([call("s__note", "first"), call("s__note", "second", text="b")], "1")
        first, second = talk.until("asked"), talk.until("asked")
        talk.send(kind="answer", request_id=second["request_id"], action="accept")
        talk.until("answered")
        talk.send(kind="change", mode="read-only")
        talk.until("settings_changed")
        talk.send(kind="answer", request_id=first["request_id"], action="accept")
        talk.until("turn_ended")
        assert talk.end() == 0
    assert [line["outcome"] for line in talk.of("call_finished")] == ["denied", "denied"]
    assert home.calls() == []


def test_an_interrupt_gives_everything_its_honest_end(tmp_path):
    gate = threading.Event()
    allow = '[[rules]]\nserver = "*"\ntool = "hang"\nverdict = "allow"\n'
    with playing(tmp_path) as home:
        reader = home.server("r", more='tools.hang = { effect = "read", open = false }')
        home.write(home.server(), reader, more=allow)
        with home.talk() as talk:
            talk.say([call("s__note", "question"), call("s__look", "queued")], "1")
            talk.until("asked")
            talk.send(kind="interrupt")
            talk.until("turn_ended")
            talk.say([call("s__hang", "write"), call("r__hang", "read")], "2")
            talk.until("call_started")
            talk.until("call_started")
            talk.send(kind="interrupt")
            talk.until("turn_ended")
            home.model.faults.append(Fault(hold=1800, gate=gate))
            talk.say("a long answer " * 40)
            talk.until("delta")
            talk.send(kind="interrupt")
            talk.until("turn_ended")
            gate.set()
            talk.say("next")
            talk.until("turn_ended")
            assert talk.end() == 0
    assert [line["reason"] for line in talk.of("turn_ended")] == ["interrupted"] * 3 + ["done"]
    assert {line["call_id"]: line["outcome"] for line in talk.of("call_finished")} == {
        "question": "interrupted", "queued": "interrupted", "write": "unknown", "read": "interrupted",
    }  # fmt: skip
    assert [(line["action"], line["by"]) for line in talk.of("answered")] == [("cancel", "host")]
    (cut,) = [line for line in talk.of("model_said") if line["stop"] == "interrupted"]
    heard = "".join(line["value"] for line in talk.of("delta") if line["of"] == "text")
    assert heard.startswith(cut["parts"][0]["text"])


def test_the_end_of_stdin_declines_what_is_open_and_finishes_the_turn(tmp_path):
    with playing(tmp_path) as home, home.talk() as talk:
        talk.say([call("s__note", "a"), call("s__ask", "b"), call("s__look", "c")], [call("s__note", "d")], "the end")
        talk.say("and one more")
        talk.until("asked")
        assert talk.end() == 0
    ends = {line["call_id"]: line["outcome"] for line in talk.of("call_finished")}
    assert ends == {"a": "declined", "b": "declined", "c": "ok", "d": "declined"}
    assert [line["reason"] for line in talk.of("turn_ended")] == ["done", "done"]
    assert {line["by"] for line in talk.of("answered")} == {"host"}


def test_close_ends_at_once_in_good_order_and_a_second_answer_is_rejected(tmp_path):
    with playing(tmp_path) as home, home.talk() as talk:
        talk.say([call("s__note", "a"), call("s__note", "b")], "1")
        talk.say("never")
        first = talk.until("asked")
        talk.send(kind="answer", request_id=first["request_id"], action="decline")
        talk.send(kind="answer", request_id=first["request_id"], action="accept")
        assert "already answered" in talk.until("rejected")["reason"]
        talk.send(kind="close")
        talk.send(kind="say", text="too late")
        assert talk.end() == 0
        assert [line["reason"] for line in talk.of("turn_ended")] == ["interrupted"]
        assert [line["action"] for line in talk.of("answered")] == ["decline", "cancel"]
        assert len(talk.of("user_said")) == 1
        assert home.calls() == []
        assert home.events(first["session"])[-1] == talk.of("turn_ended")[0]


def test_a_form_in_the_middle_of_a_call(tmp_path):
    allow = '[[rules]]\nserver = "s"\ntool = "ask"\nverdict = "allow"\n'
    with playing(tmp_path, more=allow) as home, home.talk() as talk:
        talk.say([call("s__ask", "c")], "1")
        form = talk.until("asked")
        talk.send(kind="answer", request_id=form["request_id"], action="accept", content={"card": 7})
        talk.until("rejected")
        talk.send(kind="answer", request_id=form["request_id"], action="accept")
        talk.until("rejected")
        talk.send(kind="answer", request_id=form["request_id"], action="accept", content={"card": "blue"})
        talk.until("turn_ended")
        assert talk.end() == 0
    assert (form["about"], form["message"], form["schema"]["required"]) == ("form", "Which card?", ["card"])
    (paused,) = talk.of("call_paused")
    assert "state" not in paused, "the server's state is its own"
    assert paused["requests"]["pay"]["request_id"] == form["request_id"]
    first, second = talk.of("call_started")
    assert (first["round"], second["round"], first["key"]) == (1, 2, second["key"])
    (finished,) = talk.of("call_finished")
    told = json.loads(finished["content"][0]["text"])
    assert told == ["as it was", {"action": "accept", "content": {"card": "blue"}}]


def test_nothing_waits_for_one_slow_server_but_the_first_request(tmp_path):
    """A server that never answers holds the first request for its startup_timeout_sec and no longer."""
    slow = "startup_timeout_sec = 1\n"
    with playing(tmp_path) as home:
        home.write(home.server(), home.server("dead", more=slow, argument="silent"))
        with home.talk() as talk:
            talk.say([call("s__look")], "done")
            assert talk.until("turn_ended")["reason"] == "done"
            assert talk.end() == 0
        assert "startup_timeout_sec" in talk.errors.read_text()
        names = [tool["name"] for tool in home.model.requests[0]["tools"]]
    assert "s__look" in names
    assert not any(name.startswith("dead__") for name in names)
