"""More tools than a request should carry: the model gets a few, searches, calls what it found, and keeps it."""

import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from model_server import Call, ModelServer, Say
from spoken import unframed

from host.core import events as ev
from host.core.catalog import definition_digest, tokens
from host.core.fold import fold
from host.core.settings import ModelProfile, Profile
from host.core.source import ServerStatus
from host.core.state import State
from host.core.text import Secrets
from host.core.types import CallResult, Limits, Message, Text, ToolCall, ToolSpec
from host.engine.session import Session
from host.engine.setup import Model, Setup
from host.engine.turn import live
from host.providers.scripted import Scripted
from host.store.log import Log

ROOT = Path(__file__).parent.parent.parent
WIDE = ROOT / "tests" / "servers" / "programs" / "wide.py"
OWN = ["host__search_tools", "host__read_resource", "host__read_result"]
CONFIG = """
model = "mine/test"
[providers.mine]
wire = "responses"
api_key = "k"
base_url = "{url}"
[mcp_servers.wide]
command = "python"
args = ["{wide}", "{count}"]
trust_hints = true
"""


@pytest.fixture
def run(tmp_path):
    """Runs `agent-host run` with a server of so many tools; returns its JSON."""

    def running(server, count, *arguments):
        (tmp_path / "mine.toml").write_text(CONFIG.format(url=server.base_url, wide=WIDE, count=count))
        command = [sys.executable, "-m", "host", "run", "--config", "mine.toml", "--output-format", "json", *arguments]
        env = os.environ | {"HOME": str(tmp_path), "AGENT_HOST_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return running


def names(body):
    return [tool["name"] for tool in body.get("tools", [])]


def outputs(body):
    return [unframed(item["output"]) for item in body["input"] if item.get("type") == "function_call_output"]


def turns(*steps):
    """A model that makes these calls, one a step, then says what came last."""

    def decide(body):
        done = len(outputs(body))
        return [steps[done]] if done < len(steps) else [Say(outputs(body)[-1])]

    return decide


def test_the_model_searches_and_calls_what_it_found_also_after_a_resume(run):
    search = Call("host__search_tools", {"query": "rename the pianos", "k": 3})
    with ModelServer(turns(search, Call("wide__rename_pianos", {"which": "grand"}))) as server:
        first = run(server, 300, "go")
        again = run(server, 300, "--resume", first["session"], "once more")
    assert first["answer"] == "wide__rename_pianos"[6:] + ": grand"
    assert [call["outcome"] for call in first["calls"]] == ["ok", "ok"]
    before, found, called, resumed = (names(body) for body in server.requests)
    assert before == OWN
    lines = outputs(server.requests[1])[0].splitlines()
    assert lines[0].startswith("wide__rename_pianos - Rename pianos.")
    assert lines[0].endswith("(which?)")
    assert lines[-1].endswith("more matched.")
    assert found == OWN + [line.split()[0] for line in lines[:-1]]
    assert len(lines) == 4
    assert called == resumed == found
    assert again["session"] == first["session"]
    prompts = {body["instructions"] for body in server.requests}
    assert len(prompts) == 1
    assert "wide (300): Keeps things in order, one shelf after the other." in prompts.pop()


def test_a_tool_that_was_not_offered_runs_when_it_is_called_by_name(run):
    with ModelServer(turns(Call("wide__merge_bells", {"which": "small"}), Call("wide__none", {}))) as server:
        done = run(server, 300, "go")
    assert [call["outcome"] for call in done["calls"]] == ["ok", "error"]
    assert names(server.requests[0]) == OWN
    assert names(server.requests[1]) == [*OWN, "wide__merge_bells"]
    assert outputs(server.requests[1]) == ["merge_bells: small"]


def test_a_small_catalog_is_sent_whole(run):
    with ModelServer(turns(Call("wide__archive_albums", {}))) as server:
        run(server, 20, "go")
    first, second = (names(body) for body in server.requests)
    assert first == second
    assert first[:2] == OWN[1:]
    assert len(first) == 22
    assert "search_tools" not in server.requests[0].get("instructions", "")


# --- any course of searches: what is offered follows from the log alone

SCHEMA = {"type": "object", "properties": {"which": {"type": "string"}}}
TEXT = "does what its name says, and nothing that its name does not say " * 8


def spec(server, verb, thing):
    digest = definition_digest(f"{verb}_{thing}", None, TEXT, SCHEMA, None, {})
    known = {"effect": "read", "open": False, "confirmed": True}
    return ToolSpec(
        f"{server}__{verb}_{thing}",
        server,
        f"{verb}_{thing}",
        f"{verb} {thing}: {TEXT}",
        SCHEMA,
        digest=digest,
        **known,
    )


SPECS = [spec(s, v, t) for s in ("one", "two") for v in ("get", "put", "cut") for t in "abcdefghijklmnopqrstuvwxyz"]


class Servers:
    """The engine's view of a pool, without processes."""

    parallel = True

    def __init__(self):
        self.statuses = {
            name: ServerStatus(name, "ready", about=f"{name} thing after the other") for name in ("one", "two")
        }

    def tools(self):
        return list(SPECS)

    def aside(self, name):
        return None

    def drifts(self):
        return []

    def spec(self, name):
        return next((each for each in SPECS if each.name == name), None)

    def source(self, server):
        return self

    async def call(self, spec, arguments, round, progress, ask):
        await checkpoint()
        return CallResult("ok", ({"type": "text", "text": "yes"},))

    async def settled(self):
        await checkpoint()

    def set_facts(self, facts):
        pass

    async def close(self):
        await checkpoint()


STEP = st.one_of(
    st.builds(
        lambda words, server, k: ("host__search_tools", {"query": words, **server, "k": k}),
        st.lists(st.sampled_from(["get", "put", "cut", "a", "b", "x", "y", "name", "one__get_a"]), min_size=1).map(
            " ".join
        ),
        st.sampled_from([{}, {"server": "two"}, {"server": "other words"}]),
        st.integers(1, 20),
    ),
    st.sampled_from([(each.name, {}) for each in SPECS[::7]]),
)


def opened(folder, steps, offers, window):
    """A session over a model that takes these steps and notes what it is offered."""

    def answer(request):
        offers.append((request.system, [each.name for each in request.tools]))
        assert {each.name for each in request.tools}.isdisjoint(each.name for each in request.deferred)
        made = sum(len(message.calls) for message in request.messages)
        calls = tuple(ToolCall(f"c{made + n}", *step) for n, step in enumerate(steps[made : made + 2]))
        return Message("assistant", calls or (Text("done"),))

    async def model_for(name):
        return Model(Scripted(answer), name, ModelProfile(context=window))

    path = folder / "sessions" / "s.db"
    log = Log.open(folder, "s") if path.exists() else Log.create(folder, "s")
    stored = [ev.Recorded("s", row.seq, row.at, ev.decode(row.kind, row.body)) for row in log.read()]
    setup = Setup(Profile("p", ("one", "two"), limits=Limits()), model_for, lambda _: None, lambda _: None, Secrets({}))
    session = Session(log, fold("s", stored) if stored else State(session="s"), setup)
    session.servers = Servers()
    if not stored:
        session.emit(ev.SessionOpened("p", "scripted/x", ("one", "two")))
        for server in ("one", "two"):
            session.on_tools(server, [each for each in SPECS if each.server == server], {})
    return session


async def one_turn(session):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live, session)
        session.submit(ev.Say("go"))
        await session.until(lambda: session.state.turn is None)
        await session.close()


async def check(folder, steps, window):
    offers = []
    with anyio.fail_after(30):
        session = opened(folder, steps, offers, window)
        await one_turn(session)
        again = opened(folder, steps, offers, window)
        assert again.state == session.state
        assert list(again.state.catalog) == list(session.state.catalog)
        await one_turn(again)
    assert offers[-1] == offers[-2]
    account = await session.ask("context")
    servers = {each.server for each in SPECS}
    assert sum(account.tools.get(s, 0) + account.deferred.get(s, 0) for s in servers) == sum(map(tokens, SPECS))
    assert sum(account.tools.get(s, 0) for s in servers) <= window // 10
    assert all(shown[:3] == OWN and system == offers[0][0] for system, shown in offers)
    return [shown for _, shown in offers], {name for batch in session.state.found for name in batch}


@settings(max_examples=40)
@given(st.lists(STEP, max_size=10), st.sampled_from([8_000, 20_000, 100_000]))
def test_what_is_offered_follows_from_the_log(steps, window):
    with tempfile.TemporaryDirectory() as folder:
        offers, found = anyio.run(check, Path(folder), steps, window)
    assert offers[0] == OWN
    if sum(tokens(each) for each in SPECS if each.name in found) <= window // 10:
        assert all(after[: len(before)] == before for before, after in pairwise(offers))
        assert set(offers[-1]) == found | set(OWN)


def test_tools_at_work_are_known_to_the_next_request():
    steps = [("host__search_tools", {"query": "get", "server": "two", "k": 2}), ("one__cut_x", {})]
    with tempfile.TemporaryDirectory() as folder:
        offers, _ = anyio.run(check, Path(folder), steps, 100_000)
    assert set(offers[1]) == {*OWN, "two__get_a", "two__get_b", "one__cut_x"}
