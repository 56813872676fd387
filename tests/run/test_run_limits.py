"""Bounds of a prompt and of a session: what ends the run, with which words, and what does not count."""

import threading

import pytest
from model_server import Fault
from playing import call, outputs, playing, turns, words

ENDLESS = turns(*[[call("s__look", n=n)] for n in range(8)], "never")


@pytest.mark.parametrize(
    ("limits", "flags", "told", "requests", "calls"),
    [
        ("", ("--max-turns", "3"), "limits.turns = 3", 3, 3),
        ("turns = 2", (), "limits.turns = 2", 2, 2),
        ("tokens = 250", (), "limits.tokens = 250", 3, 3),
        ("", ("--max-tokens", "100"), "limits.tokens = 100", 1, 1),
        ("calls = 4", (), "limits.calls = 4", 4, 4),
    ],
)
def test_a_limit_ends_the_run_with_6_and_its_name(tmp_path, limits, flags, told, requests, calls):
    with playing(tmp_path, more=f"[profiles.default]\nlimits = {{ {limits} }}\n") as home:
        found = home.json(ENDLESS, *flags, code=6)
        assert (found["reason"], told in found["error"]) == ("limit", True)
        assert (len(home.model.requests), len(home.calls())) == (requests, calls)


def test_of_the_calls_of_one_step_as_many_run_as_are_left(tmp_path):
    with playing(tmp_path, more="[profiles.default]\nlimits = { calls = 3 }\n") as home:
        steps = turns([call("s__none"), *[call("s__look", n=n) for n in range(4)]], "never")
        found = home.json(steps, code=6)
        assert [c["outcome"] for c in found["calls"]] == ["error", "ok", "ok", "ok", "denied"]
        assert len(home.calls()) == 3
        again = home.json("--resume", found["session"], turns([call("s__look")], "done"))
        assert (again["answer"], "limits.calls" in str(outputs(home.model.requests[-1]))) == ("done", True)


def test_money_is_counted(tmp_path):
    prices = '[providers.mine.models."m"]\nprice_in = 1000\nprice_out = 1000\n'
    with playing(tmp_path, more=prices) as home:
        found = home.json(ENDLESS, "--max-budget-usd", "0.15", code=6)
        assert "limits.usd = 0.15" in found["error"]
        assert len(home.model.requests) == 2


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


def test_a_shorter_result_where_the_profile_says_so(tmp_path):
    with playing(tmp_path, more="[profiles.default]\nlimits = { result_tokens = 100 }\n") as home:
        found = home.json(turns([call("s__big", size=2000)], "done"))
        (given,) = outputs(home.model.requests[1]).values()
    assert found["reason"] == "done"
    assert "read_result" in words(given)
    assert len(words(given)) < 1000
