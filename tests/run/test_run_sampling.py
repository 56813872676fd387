"""What servers ask besides forms in a call: an answer of the model, folders, input before a resource is given."""

import json
from pathlib import Path

import pytest
from model_server import Say
from playing import call, outputs, playing, plays, words

SERVER = Path(__file__).parent / "wishing_server.py"
NOTES = Path(__file__).parent.parent / "servers" / "programs" / "notes.py"
LEAVE = "sampling = { calls = 1, tokens = 30 }\n"

both_eras = pytest.mark.parametrize("era", ["modern", "legacy"])


def decide(body):
    if body["input"][-1].get("content", [{}])[-1].get("text") == "Name a colour.":
        return [Say("Green.")]
    return plays(body)


def wishing(era, more=""):
    reads = 'tools.answer = { effect = "read", open = false }\ntools.folders = { effect = "read", open = false }\n'
    return f'[mcp_servers.s]\ncommand = "python"\nargs = ["{SERVER}", "{era}"]\n{reads}{more}'


def given(home):
    return json.loads(words(*outputs(home.model.requests[-1]).values()))


@both_eras
def test_the_model_is_asked_what_a_person_read_and_the_server_gets_what_a_person_read(tmp_path, era):
    with playing(tmp_path, wishing(era, LEAVE), decide=decide) as home:
        with home.talk() as talk:
            talk.say([call("s__answer")], "done")
            first = talk.until("asked")
            assert (first["about"], first["server"]) == ("sampling", "s")
            assert first["message"] == "system: You love nature.\n\nuser: Name a colour."
            assert "30 tokens" in first["reason"], "the entry's bound is less than the wish"
            assert len(home.model.requests) == 1, "nothing is asked before the yes"
            talk.send(kind="answer", request_id=first["request_id"], action="accept")
            second = talk.until("asked")
            wish = home.model.requests[1]
            assert (wish["instructions"], wish["max_output_tokens"]) == ("You love nature.", 30)
            assert "tools" not in wish
            assert (second["message"], second["usage"]["output"] > 0) == ("Green.", True)
            talk.send(kind="answer", request_id=second["request_id"], action="accept")
            ended = talk.until("turn_ended")
            assert talk.end() == 0
        result = given(home)["result"]
        said = [line["usage"]["output"] for line in talk.of("model_said")]
    assert (result["content"], result["stopReason"]) == ({"type": "text", "text": "Green."}, "endTurn")
    assert result == second["arguments"]
    assert ended["usage"]["output"] == sum(said) + second["usage"]["output"], "it is paid for like every answer"


@both_eras
@pytest.mark.parametrize("after", [0, 1])
def test_a_no_to_either_question_gives_the_server_nothing(tmp_path, era, after):
    with playing(tmp_path, wishing(era, LEAVE), decide=decide) as home, home.talk() as talk:
        talk.say([call("s__answer")], "done")
        for _ in range(after):
            talk.send(kind="answer", request_id=talk.until("asked")["request_id"], action="accept")
        talk.send(kind="answer", request_id=talk.until("asked")["request_id"], action="decline")
        finished = talk.until("call_finished")
        talk.until("turn_ended")
        assert talk.end() == 0
        assert len(home.model.requests) == 2 + after
    if era == "modern":
        assert finished["outcome"] == "declined"
    else:
        assert "error" in given(home) and "Green" not in json.dumps(given(home))


@both_eras
def test_without_leave_nobody_is_asked_and_folders_are_told_without_a_question(tmp_path, era):
    folder = tmp_path / "papers"
    folder.mkdir()
    with playing(tmp_path, wishing(era, f'roots = ["{folder}"]\n'), decide=decide) as home:
        found = home.json(json.dumps([{"calls": [call("s__answer")]}, {"calls": [call("s__folders")]}, {"text": "ok"}]))
        folders = json.loads(words(list(outputs(home.model.requests[-1]).values())[-1]))
    assert folders == {"result": {"roots": [{"uri": folder.as_uri(), "name": "papers"}]}}
    assert [c["outcome"] for c in found["calls"]] == ["error" if era == "modern" else "ok", "ok"]
    assert len(home.model.requests) == 3


def test_what_is_wished_at_once_counts_too(tmp_path):
    """An entry with leave for one; its server asks for two in one pause."""
    with playing(tmp_path, wishing("modern", LEAVE), decide=decide) as home, home.talk("--allow", "s.twice") as talk:
        talk.say([call("s__twice")], "done")
        asked = talk.until("asked")
        talk.send(kind="answer", request_id=asked["request_id"], action="accept")
        talk.send(kind="answer", request_id=talk.until("asked")["request_id"], action="accept")
        finished = talk.until("call_finished")
        talk.until("turn_ended")
        assert talk.end() == 0
        assert len(talk.of("asked")) == 2, "what is asked of the model, and what the server would get"
    assert (finished["outcome"], "without leave" in finished["reason"]) == ("error", True)


def test_an_answer_that_cannot_be_kept_ends_the_session_and_reaches_no_server(tmp_path):
    """It is long, and what shall hold long events is no folder."""

    def long(body):
        return [Say("Green. " * 4000)] if "Name a colour." in str(body["input"]) else plays(body)

    with playing(tmp_path, wishing("legacy", LEAVE), decide=long) as home, home.talk() as talk:
        talk.say([call("s__answer")], "done")
        asked = talk.until("asked")
        (home.state / "sessions" / f"{asked['session']}.blobs").write_text("")
        talk.send(kind="answer", request_id=asked["request_id"], action="accept")
        assert talk.end() == 1
        assert "cannot write a long event" in talk.errors.read_text()
        assert len(home.model.requests) == 2 and not talk.of("call_finished")


def test_a_killed_wish_is_asked_on_and_the_model_is_not_asked_twice(tmp_path):
    with playing(tmp_path, wishing("modern", LEAVE), decide=decide) as home:
        with home.talk() as talk:
            talk.say([call("s__answer")], "done")
            first = talk.until("asked")
            talk.send(kind="answer", request_id=first["request_id"], action="accept")
            second = talk.until("asked")
        with home.talk("--resume", second["session"]) as talk:
            assert [talk.next(), talk.next()] == [first, second], "what a paused call asked is asked again"
            talk.send(kind="answer", request_ids=[first["request_id"], second["request_id"]], action="accept")
            talk.until("turn_ended")
            assert talk.end() == 0
        assert len(home.model.requests) == 3
        assert given(home)["result"] == second["arguments"]


def test_a_person_is_asked_before_a_resource_is_attached(tmp_path):
    server = f'[mcp_servers.s]\ncommand = "python"\nargs = ["{NOTES}", "modern"]\n'
    with playing(tmp_path, server, decide=lambda body: [Say("thanks")]) as home, home.talk() as talk:
        talk.send(kind="say", text="read it", attach=[{"server": "s", "uri": "asked"}])
        asked = talk.until("asked")
        assert (asked["about"], asked["server"], asked["message"]) == ("form", "s", "For whom?")
        talk.send(kind="answer", request_id=asked["request_id"], action="accept", content={"who": "Ann"})
        assert '"who": "Ann"' in str(talk.until("user_said")["parts"]).replace("\\", "")
        talk.until("turn_ended")
        assert talk.end() == 0
