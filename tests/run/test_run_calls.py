"""Calls on their way: order, overlap, facts, and everything that servers do wrong."""

import json
import re

import pytest
from model_server import script
from playing import Home, call, outputs, playing, turns, words

ALLOW = '[[rules]]\nserver = "{server}"\ntool = "{tool}"\nverdict = "allow"\n'


def allow(tool, server="s"):
    return ALLOW.format(server=server, tool=tool)


def parallel(home, name="s"):
    return home.server(name, more="parallel = true")


def test_results_stand_in_the_order_of_the_calls_whatever_ended_first(tmp_path):
    with playing(tmp_path, parallel(Home(tmp_path))) as home:
        ids = ["first", "second", "third"]
        done = home.run(
            "run", "--output-format", "stream-json",
            turns([call("s__gather", id, of=3, text=id) for id in ids], "done"),
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        given = outputs(home.model.requests[1])
    assert [line["call_id"] for line in lines if line["kind"] == "call_finished"] == ids[::-1]
    assert [(id, words(output)) for id, output in given.items()] == [(id, id) for id in ids]


def test_a_parallel_server_has_sixteen_calls_at_once(tmp_path):
    with playing(tmp_path, parallel(Home(tmp_path))) as home:
        found = home.json(turns([call("s__gather", of=16, text=str(n)) for n in range(16)], "done"))
        given = [words(output) for output in outputs(home.model.requests[1]).values()]
    assert {c["outcome"] for c in found["calls"]} == {"ok"}
    assert given == [str(n) for n in range(16)]


def test_without_parallel_a_server_gets_one_call_after_another_and_servers_overlap(tmp_path):
    home = Home(tmp_path)
    meeting = {"me": str(tmp_path / "a"), "other": str(tmp_path / "b")}
    back = {"me": str(tmp_path / "b"), "other": str(tmp_path / "a")}
    with playing(tmp_path, home.server(), home.server("t")) as home:
        calls = [call("s__wait", ms=60 - 20 * n, n=n) for n in range(3)]
        home.json(turns([*calls, call("s__meet", **meeting), call("t__meet", **back)], "done"))
        mine = [note for note in home.notes() if note.get("call") == "wait" or "waited" in note]
        met = [words(output) for output in outputs(home.model.requests[1]).values()][3:]
    steps = [("call" in note, (note.get("arguments") or note["waited"])["n"]) for note in mine]
    assert steps == [(True, 0), (False, 0), (True, 1), (False, 1), (True, 2), (False, 2)]
    assert met == ["met", "met"]


def test_a_call_that_waits_for_a_person_holds_its_own_server_only(tmp_path):
    home = Home(tmp_path)
    with playing(tmp_path, home.server(), home.server("t")) as home, home.talk() as talk:
        talk.say([call("s__note", "asks"), call("s__look", "behind"), call("t__look", "beside")], "done")
        talk.until("call_finished", call_id="beside")
        assert [line["call_id"] for line in talk.of("call_started")] == ["beside"]
        asked = talk.of("asked")[0]
        talk.send(kind="answer", request_id=asked["request_id"], action="accept")
        talk.until("turn_ended")
        assert talk.end() == 0
    assert [line["call_id"] for line in talk.of("call_started")] == ["beside", "asks", "behind"]


FACTS = """
[profiles.default]
servers = ["s", "late"]
[profiles.default.facts.user]
from = { server = "s", tool = "identify", path = "$.user.id" }
[profiles.default.facts.desk]
[[profiles.default.rules]]
server = "s"
tool = "identify"
verdict = "allow"
[[profiles.default.rules]]
server = "s"
tool = "note"
needs = ["user"]
args = { "$.who.id" = { equals = "${fact.user}" } }
verdict = "allow"
[[profiles.default.rules]]
server = "s"
tool = "note"
args = { "$.who.id" = { not_equals = "${fact.user}" } }
verdict = "deny"
reason = "another user"
"""


def test_a_fact_is_set_once_by_a_result_and_rules_compare_with_it(tmp_path):
    home = Home(tmp_path)
    late = home.server("late", env='MARK = "${fact.user} at ${fact.desk}"')
    steps = turns(
        [call("s__note", "early", who={"id": 7})],
        [call("s__identify", user={"id": 7})],
        [call("s__identify", user={"id": 8})],
        [call("s__note", "own", who={"id": 7}), call("s__note", "others", who={"id": 8})],
        [call("late__mine")],
        "done",
    )
    with playing(tmp_path, home.server(), late, more=FACTS) as home:
        found = home.json(steps, "--fact", "desk=front", "--fact", "size:=3")
        events = home.events(found["session"])
        last = words(list(outputs(home.model.requests[-1]).values())[-1])
    outcomes = [c["outcome"] for c in found["calls"]]
    assert outcomes == ["denied", "ok", "ok", "ok", "denied", "ok"]
    assert "needs the fact user" in found["denials"][0]["reason"]
    assert found["denials"][1]["reason"] == "another user"
    (changed,) = [event for event in events if event["kind"] == "settings_changed"]
    identified = [e["call_id"] for e in events if e["kind"] == "call_decided" and e["remote_name"] == "identify"]
    assert (changed["changes"], changed["by"]) == ({"facts": {"user": 7}}, identified[0])
    assert events[0]["facts"] == {"desk": "front", "size": 3}
    assert json.loads(last)["MARK"] == "7 at front"


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """One turn with a server that does many things wrong."""
    folder = tmp_path_factory.mktemp("wrong")
    home = Home(folder)
    servers = (
        home.server(more='tool_timeout_sec = 5\ntools.crash = { effect = "read", open = false }'),
        home.server("w"),
        home.server("q", more='tool_timeout_sec = 1\ntools.hang = { effect = "read", open = false }'),
        home.server("gone").replace('"python"', '"no-such-program"'),
        home.server("late", more="startup_timeout_sec = 1", argument="silent"),
    )
    steps = turns(
        [
            call("s__crash", "read", unless=str(folder / "r")),
            call("w__crash", "write", unless=str(folder / "w")),
            call("q__hang", "slow"),
            call("s__fail", "fails"),
            call("s__big", "big", size=1_000_000, needle="NEEDLE-1"),
            call("gone__look", "gone"),
        ],
        [call("host__read_result", "page", handle="HANDLE", offset=499_990, limit=40)],
        [call("host__read_result", "grep", handle="HANDLE", grep="NEEDLE-[0-9]")],
        [call("w__crash", "repeat", unless=str(folder / "w"))],
        "done",
    )

    def decide(body):
        handle = (re.findall(r"\br\d+\.\d+\b", json.dumps(outputs(body))) or ["none"])[0]
        said = [item for item in body["input"] if item.get("role") == "user"][-1]["content"][-1]["text"]
        return script(json.loads(said.replace("HANDLE", handle)))(body)

    with playing(folder, *servers, more=allow("crash", "w"), decide=decide) as home:
        done = home.run("run", "--output-format", "stream-json", steps)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        yield done, lines, {id: words(o) for id, o in outputs(home.model.requests[-1]).items()}, home


def test_every_wrong_has_its_end(wrong):
    done, lines, _, _ = wrong
    ends = {line["call_id"]: line["outcome"] for line in lines if line["kind"] == "call_finished"}
    assert ends == {
        "read": "ok", "write": "unknown", "slow": "error", "fails": "error", "big": "ok", "gone": "error",
        "page": "ok", "grep": "ok", "repeat": "declined",
    }  # fmt: skip
    assert lines[-1]["reason"] == "done"
    assert "no-such-program" in done.stderr
    assert "startup_timeout_sec" in done.stderr


def test_a_read_runs_again_once_and_a_write_never_by_itself(wrong):
    _, lines, told, home = wrong
    starts = [line["call_id"] for line in lines if line["kind"] == "call_started"]
    assert (starts.count("read"), starts.count("write"), starts.count("slow")) == (2, 1, 2)
    assert len([note for note in home.calls("crash") if note["arguments"]["unless"].endswith("w")]) == 1
    assert "outcome is unknown" in told["write"]
    assert "did not answer in time" in told["slow"]
    (asked,) = [line for line in lines if line["kind"] == "asked"]
    assert (asked["call_id"], asked["grantable"]) == ("repeat", False)


def test_a_tools_own_error_is_its_own_words(wrong):
    _, lines, told, _ = wrong
    (finished,) = [line for line in lines if line["kind"] == "call_finished" and line["call_id"] == "fails"]
    assert (finished["is_error"], finished["content"]) == (True, [{"type": "text", "text": "no such order"}])
    assert told["fails"].endswith("no such order")
    assert "no tool named gone__look" in told["gone"]


def test_a_megabyte_in_one_line_is_shortened_and_can_be_read_on(wrong):
    _, lines, told, _ = wrong
    assert len(told["big"]) < 40_000
    assert "read_result(handle=" in told["big"]
    assert "NEEDLE" not in told["big"]
    assert "xxNEEDLE-1yy" in told["page"]
    assert "NEEDLE-1" in told["grep"]
    assert len(told["grep"]) < 1000
    (finished,) = [line for line in lines if line["kind"] == "call_finished" and line["call_id"] == "big"]
    assert len(finished["content"][0]["text"]) == 1_000_008


def test_a_required_server_that_fails_ends_the_run_and_asks_no_model(tmp_path):
    broken = Home(tmp_path).server("r", more="required = true").replace('"python"', '"no-such-program"')
    with playing(tmp_path, broken) as home:
        found = home.json(turns("never"), code=7)
    assert "no-such-program" in found["error"]
    assert home.model.requests == []


def test_an_approved_repeat_of_an_unknown_call_carries_its_key(tmp_path):
    once = call("s__crash", "first", unless=str(tmp_path / "once"))
    with playing(tmp_path, more=allow("crash")) as home, home.talk() as talk:
        talk.say([once], [once | {"id": "second"}], [once | {"id": "third"}], "done")
        asked = talk.until("asked")
        talk.send(kind="answer", request_id=asked["request_id"], action="accept")
        talk.until("turn_ended")
        assert talk.end() == 0
    assert [line["outcome"] for line in talk.of("call_finished")] == ["unknown", "ok", "ok"]
    first, second, third = (note["meta"]["io.agent-host/idempotency-key"] for note in home.calls("crash"))
    assert first == second != third
    assert len(talk.of("asked")) == 1, "once its end is known it is a call like any other"


def test_two_equal_calls_of_one_step_are_not_both_sent_into_the_unknown(tmp_path):
    lost = [call("s__crash", id, unless=str(tmp_path / "once")) for id in ("first", "second")]
    with playing(tmp_path, more=allow("crash")) as home:
        found = home.json(turns(lost, "done"))
    assert [c["outcome"] for c in found["calls"]] == ["unknown", "declined"]
    assert len(home.calls("crash")) == 1
