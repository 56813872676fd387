"""The profile of the support desk: what the host would do with each call of the tasks, and of those it must stop."""

import tomllib

import pytest
from support_case import DEMO, ROOT, demo_module

from host.config import environment, merge, read_files
from host.core.policy import Context, Verdict, decide
from host.core.types import ToolSpec

ALLOW, ASK, DENY = Verdict
TASKS = demo_module("checker").tasks()
MARA = {"customer_id": "C-001"}


@pytest.fixture(scope="module")
def config():
    return merge(read_files(environment(), ROOT, [ROOT / "servers.toml"]), environment())


def verdict(config, tool, arguments, facts=MARA):
    server, _, name = tool.partition("__")
    said = config.servers[server].tools[name]
    spec = ToolSpec(tool, server, name, effect=said.effect, open=said.open, confirmed=True)
    rules = config.profiles["customer-support"].rules
    return decide(rules, [], spec, arguments, Context(facts=facts))


def refund(amount, **other):
    return {"order_id": "O-1001", "customer_id": "C-001", "amount": amount, "method": "original"} | other


def test_the_file_loads_and_its_paths_are_there(config):
    profile = config.profiles["customer-support"]
    assert profile.servers == ("crm", "ticketing", "kb")
    assert "tier-1 support agent" in profile.prompt
    assert profile.recording == DEMO / "recording.toml"
    assert [(ROOT / config.servers[name].args[0]).exists() for name in profile.servers] == [True, True, True]
    assert {config.servers[name].cwd for name in profile.servers} == {ROOT}


@pytest.mark.parametrize(
    ("amount", "expected"), [(30, ALLOW), (50, ALLOW), (50.004, ASK), (120, ASK), (500, ASK), (501, DENY), (800, DENY)]
)
def test_the_amount_decides_on_a_refund(config, amount, expected):
    assert verdict(config, "crm__issue_refund", refund(amount)).verdict is expected


def test_a_large_refund_names_the_way_out(config):
    assert "escalate" in verdict(config, "crm__issue_refund", refund(800)).reason


@pytest.mark.parametrize("changed", [{"method": "gift_card"}, {"method": "store_credit"}, {"customer_id": "C-002"}])
def test_no_refund_to_another_place(config, changed):
    assert verdict(config, "crm__issue_refund", refund(20, **changed)).verdict is DENY


@pytest.mark.parametrize("customer", ["C-008", "c-001", "", None])
def test_every_call_that_names_another_customer_is_denied(config, customer):
    free = {"crm__identify_customer", "ticketing__list_tickets", "ticketing__get_ticket", "kb__search"}
    known = {f"{s}__{tool}" for s in ("crm", "ticketing", "kb") for tool in config.servers[s].tools}
    for tool in known - free:
        arguments = refund(20, customer_id=customer)
        assert verdict(config, tool, arguments).verdict is DENY, tool
        assert verdict(config, tool, refund(20), facts={}).verdict is DENY, tool
    for tool in free:
        assert verdict(config, tool, {}, facts={}).verdict is ALLOW, tool


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_the_tasks_meet_the_verdicts_they_tell_of(config, task):
    answers = [answer for answer in task["answers"] if answer.get("about") != "form"]
    asked = []
    for call in (call for turn in task["turns"] for call in turn.get("calls", [])):
        own = {"customer_id": owner} if (owner := customer_of(task)) else {}
        decision = verdict(config, call["tool"], call["arguments"], own)
        assert (decision.verdict is DENY) == (call["ends"] == "denied"), call
        if decision.verdict is ASK:
            asked.append(call["tool"].partition("__")[2])
    assert asked == [answer["tool"] for answer in answers]


def customer_of(task):
    """The customer whom the task's model identifies: the one of its calls that are not denied."""
    calls = [call for turn in task["turns"] for call in turn.get("calls", []) if call["ends"] != "denied"]
    found = {call["arguments"]["customer_id"] for call in calls if "customer_id" in call["arguments"]}
    assert len(found) <= 1
    return next(iter(found), "C-007" if task["id"] == "order-of-another" else None)


def test_the_commented_example_would_load():
    lines = (ROOT / "servers.toml").read_text().splitlines()
    start = lines.index("# [mcp_servers.notes]")
    text = "\n".join(line.removeprefix("# ") for line in lines[start : start + 7])
    assert set(tomllib.loads(text)["mcp_servers"]["notes"]) == {"command", "args", "env", "sandbox", "network", "tools"}
