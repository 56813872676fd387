"""Bounds of a prompt and of a session: what ends the run, and with which words."""

import json
import threading

import pytest
from model_server import Fault
from playing import call, outputs, playing, turns, words

ENDLESS = turns(*[[call("s__look", n=n)] for n in range(8)], "never")
FIVE = turns([call("s__none"), *[call("s__look", n=n) for n in range(4)]], "never")
PRICES = '[providers.mine.models."m"]\nprice_in = 1000\nprice_out = 1000\n'
CASES = {
    "turns = 2": (ENDLESS, 2),
    "tokens = 250": (ENDLESS, 3),
    "usd = 0.15": (ENDLESS, 2),
    "calls = 4": (ENDLESS, 4),
    "calls = 3": (FIVE, 3),
    "result_tokens = 100": (turns([call("s__big", size=2000)], "short"), 1),
    "repeats = 2": (turns(*[[call("s__look")] for _ in range(9)], "never"), 2),
    "repeats = 3": (turns([call("s__look")] * 16, "done"), 0),
    "turns = 20": (turns([call("few__look", n=n) for n in range(4)], [call("few__look", n=9)], "end"), 0),
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A batch with a profile for each limit: the results by limit, what each session was sent, and the home."""
    folder = tmp_path_factory.mktemp("limited")
    profiles = "".join(f'[profiles.p{n}]\nservers = ["s", "few"]\nlimits = {{ {c} }}\n' for n, c in enumerate(CASES))
    lines = [{"id": case, "profile": f"p{n}", "prompt": CASES[case][0]} for n, case in enumerate(CASES)]
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with playing(folder) as home:
        servers = home.server(), home.server("few", more="limits = { calls = 3 }")
        home.write(*servers, more=PRICES + profiles + "[limits]\nturns = 12\n")
        done = home.run("batch", "in.jsonl")
        assert done.returncode == 0, done.stderr
        results = {(line := json.loads(text))["id"]: line for text in done.stdout.splitlines()}
        yield results, home


@pytest.mark.parametrize("case", ["turns = 2", "tokens = 250", "usd = 0.15", "calls = 4", "calls = 3"])
def test_a_limit_ends_the_run_and_is_named(limited, case):
    results, _ = limited
    found = results[case]
    assert (found["reason"], f"limits.{case} was reached") == ("limit", found["error"])
    assert [c["outcome"] for c in found["calls"]].count("ok") == CASES[case][1]


def test_of_the_calls_of_one_step_as_many_run_as_are_left(limited):
    results, _ = limited
    assert [c["outcome"] for c in results["calls = 3"]["calls"]] == ["error", "ok", "ok", "ok", "denied"]


def test_a_call_that_goes_round_in_circles_is_told_asked_for_and_ended(limited):
    results, home = limited
    found = results["repeats = 2"]
    assert [c["outcome"] for c in found["calls"]] == ["ok", "ok", "declined", "declined"]
    assert found["denials"][0]["reason"] == "the same call came to the same end again and again"
    assert (found["reason"], found["error"][:30]) == ("limit", "limits.repeats = 2 was reached")
    last = [body for body in home.model.requests if body["prompt_cache_key"] == found["session"]][-1]
    assert "to the same end 3 times in a row" in words(list(outputs(last).values())[-1])


def test_equal_calls_of_one_step_are_no_circle(limited):
    found = limited[0]["repeats = 3"]
    assert [c["outcome"] for c in found["calls"]] == ["ok"] * 16
    assert found["reason"] == "done"


def test_a_server_has_limits_of_its_own_and_a_profile_no_more_than_the_files_allow(limited):
    results, home = limited
    found = results["turns = 20"]
    assert [c["outcome"] for c in found["calls"]] == ["ok"] * 3 + ["denied"] * 2
    events = home.events(found["session"])
    reasons = {event.get("reason") for event in events if event["kind"] == "call_finished"}
    assert reasons == {None, "mcp_servers.few.limits.calls = 3 was reached"}
    assert events[0]["limits"]["turns"] == 12
    assert home.events(results["turns = 2"]["session"])[0]["limits"]["turns"] == 2


def test_a_result_is_shortened_where_the_profile_says_so(limited):
    results, home = limited
    assert results["result_tokens = 100"]["answer"] == "short"
    session = results["result_tokens = 100"]["session"]
    (given,) = outputs([body for body in home.model.requests if body["prompt_cache_key"] == session][-1]).values()
    assert "read_result" in words(given)
    assert len(words(given)) < 1000


def test_a_limit_counts_anew_for_the_next_prompt_and_its_exit_code_is_6(tmp_path):
    with playing(tmp_path) as home:
        found = home.json(ENDLESS, "--max-turns", "2", code=6)
        assert (len(home.model.requests), len(home.calls())) == (2, 2)
        again = home.json("--resume", found["session"], turns([call("s__look")], "done"), "--max-turns", "2")
        assert again["answer"] == "done"


def test_a_slow_model_and_slow_tools_meet_the_time_limit(tmp_path):
    gate = threading.Event()
    with playing(tmp_path) as home:
        home.model.faults.append(Fault(gate=gate))
        slow = home.json(turns("late"), "--timeout", "3", code=6)
        gate.set()
        home.model.faults.clear()
        tools = home.json(turns([call("s__wait", ms=3100)], "never"), "--timeout", "3", code=6)
    for found in (slow, tools):
        assert (found["reason"], "limits.seconds = 3" in found["error"]) == ("limit", True)
        assert found["answer"] == ""
