"""What holds for every server: over a pipe and at an address, of today's era and of the handshake's."""

import json
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
from serving import Seen, call, lean, run, serving, words
from test_calls import STATE
from web import web

from host.core.settings import ToolSettings
from host.core.source import Round
from host.core.types import InputRequired

CELLS = pytest.mark.parametrize("era", ["modern", "legacy"])
WAYS = pytest.mark.parametrize("way", ["stdio", "http"])
KINDS = ["text", "image", "audio", "resource_link", "resource"]


@asynccontextmanager
async def place(way, era, tmp_path, *traits, **more):
    """A server and what it got from the host, message by message."""
    if way == "stdio":
        ledger = tmp_path / "ledger"
        yield lean(era, *traits, env={"LEDGER": str(ledger)}, **more), lambda: lines(ledger)
    else:
        with web(era, *traits) as server:
            yield server.config(**more), lambda: [one.body for one in list(server.received) if one.body is not None]


def lines(ledger):
    return [json.loads(line) for line in ledger.read_bytes().splitlines()]


def of(messages, method):
    return [message for message in messages if message.get("method") == method]


async def until(true):
    while not true():
        await anyio.lowlevel.checkpoint()


async def accepted(request):
    assert request["method"] == "elicitation/create"
    return {"action": "accept", "content": {"which": "left"}}


@WAYS
@CELLS
def test_what_a_server_answers_arrives_and_what_it_answers_badly_costs_one_call(way, era, tmp_path):
    async def main():
        async with place(way, era, tmp_path) as (config, _), serving(config) as servers:
            await servers.settled()
            kinds = await call(servers, "lean__kinds")
            assert [block["type"] for block in kinds.content] == KINDS
            assert kinds.content[4]["resource"] == {"uri": "note://two", "mimeType": "text/plain", "text": "two"}
            failed = await call(servers, "lean__fail")
            assert (failed.outcome, failed.is_error, words(failed)) == ("error", True, "no such thing")
            error = await call(servers, "lean__error")
            assert (error.outcome, error.is_error, words(error)) == ("error", True, "I do not know that")
            wrong = await call(servers, "lean__wrong")
            assert (wrong.cause, wrong.structured, words(wrong)) == ("bad_result", {"sum": "many"}, "done")
            odd = await call(servers, "lean__odd")
            assert "hologram" in odd.content[0]["text"] and odd.content[1]["text"] == "plain"
            strange = await call(servers, "lean__strange")
            assert (strange.outcome, strange.cause) == (("error", "bad_result") if era == "modern" else ("ok", None)), (
                "types of results came with today's era"
            )
            moves = []
            slow = await call(servers, "lean__slow", {"pause": 0}, progress=lambda *move: moves.append(move))
            assert words(slow) == "finally"
            assert moves == [(float(step), None, "on") for step in range(4)]
            large = (await call(servers, "lean__big", {"size": 1_000_000})).large
            assert json.loads(large.json)["content"][0]["text"] == "x" * 1_000_000 + "end"
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).structured == {"sum": 2}

    run(main)


@WAYS
@CELLS
def test_every_request_ends_once_on_the_wire(way, era, tmp_path):
    """The server's own record is the judge: one answer to each of its requests, one end to each of ours."""

    async def main():
        quick = {"hang": ToolSettings(timeout=0.3)}
        async with place(way, era, tmp_path, parallel=True, tools=quick) as (config, got), serving(config) as servers:
            await servers.settled()
            async with anyio.create_task_group() as tasks:
                for n in range(3):
                    tasks.start_soon(partial(call, servers, "lean__add", {"a": n, "b": n}))
            late = await call(servers, "lean__hang")
            assert late.cause == "timeout"
            with anyio.move_on_after(0.1) as interrupted:
                await call(servers, "lean__hang")
            assert interrupted.cancelled_caught
            asked = await call(servers, "lean__ask", ask=accepted)
            if isinstance(asked, InputRequired):
                assert asked.state == STATE
                answers = {"k": {"action": "accept", "content": {"which": "left"}}}
                assert (await call(servers, "lean__ask", round=Round(2, "key", answers, asked.state))).outcome == "ok"
            else:
                pong, roots, unknown = json.loads(words(await call(servers, "lean__pings")))
                assert (pong, roots["code"], unknown["code"]) == ({}, -32600, -32601)
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            assert [state for state in servers.statuses.values() if state.state != "ready"] == []
            judge(got(), way, era)

    run(main)


def judge(messages, way, era):
    """The rules of the wire, over all that a server got."""
    requests = [message for message in messages if "method" in message and "id" in message]
    assert all(message["jsonrpc"] == "2.0" for message in messages)
    ids = Counter(json.dumps(request["id"]) for request in requests)
    assert "null" not in ids and set(ids.values()) == {1}
    answers = Counter(message["id"] for message in messages if "method" not in message)
    assert set(answers.values()) <= {1}
    hangs = [one["id"] for one in of(requests, "tools/call") if one["params"]["name"] == "hang"]
    cancelled = [message["params"]["requestId"] for message in of(messages, "notifications/cancelled")]
    # At an address of today's era a request is cancelled by closing its stream.
    assert cancelled == ([] if (way, era) == ("http", "modern") else hangs)
    calls = of(requests, "tools/call")
    tokens = [one["params"]["_meta"]["progressToken"] for one in calls]
    assert len(set(tokens)) == len(calls)
    if era == "modern":
        for request in requests:
            meta = request["params"]["_meta"]
            assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
            assert meta["io.modelcontextprotocol/clientInfo"]["name"] == "agent-host"
            assert "elicitation" in meta["io.modelcontextprotocol/clientCapabilities"]
        assert not of(messages, "initialize") and not of(messages, "notifications/initialized")
    else:
        order = [message["method"] for message in messages if "method" in message]
        assert order[:3] == ["server/discover", "initialize", "notifications/initialized"]
        assert order.count("initialize") == 1
        assert of(messages, "initialize")[0]["params"]["clientInfo"]["name"] == "agent-host"


@WAYS
@CELLS
def test_lists_of_many_pages_endless_ones_and_long_ones_are_taken(way, era, tmp_path):
    async def main():
        paged = place(way, era, tmp_path, "pages", name="paged")
        endless = place(way, era, tmp_path, "endless_pages", name="endless")
        wide = place(way, era, tmp_path, "wide", name="wide")
        async with paged as (one, _), endless as (two, _), wide as (three, _), serving(one, two, three) as servers:
            await servers.settled()
            count = {name: status.tools for name, status in servers.statuses.items()}
            assert count["paged"] == count["endless"] > 20
            assert "does not end" in servers.statuses["endless"].detail
            assert count["wide"] == count["paged"] + 250
            assert sum(len(spec.description) for spec in servers.tools()) > 250_000
            for name in count:
                assert (await call(servers, f"{name}__add", {"a": 1, "b": 1})).outcome == "ok"

    run(main)


@WAYS
@CELLS
def test_a_tool_has_its_own_patience_which_progress_renews_but_not_for_ever(way, era, tmp_path):
    async def main():
        tools = {"slow": ToolSettings(timeout=0.3), "hang": ToolSettings(timeout=0.1)}
        async with place(way, era, tmp_path, tool_timeout=20, tools=tools) as (config, _), serving(config) as servers:
            await servers.settled()
            hung = await call(servers, "lean__hang")
            assert hung.reason == "no answer within 0.1 s; tools.hang.timeout_sec gives it longer"
            assert words(await call(servers, "lean__slow", {"pause": 0.15})) == "finally"
            if (way, era) == ("stdio", "modern"):  # the clock is the same for all
                endless = await call(servers, "lean__slow", {"pause": 0.1, "steps": 35})
                assert (endless.cause, endless.reason) == (
                    "timeout",
                    "not done after 3 s, though it told of progress; tools.slow.timeout_sec gives it longer",
                )

    run(main)


@WAYS
def test_a_clock_stands_still_while_a_person_is_asked(way, tmp_path):
    """In today's era a question ends the round: no call waits for it."""

    async def main():
        async def slowly(request):
            await anyio.sleep(0.6)
            return {"action": "accept", "content": {"which": "late"}}

        async with place(way, "legacy", tmp_path, tool_timeout=0.3) as (config, _), serving(config) as servers:
            await servers.settled()
            assert json.loads(words(await call(servers, "lean__ask", ask=slowly)))["content"] == {"which": "late"}

    run(main)


@WAYS
def test_a_subscription_that_ends_is_opened_again_and_the_list_read_anew(way, tmp_path):
    async def main():
        seen = Seen()
        async with place(way, "modern", tmp_path) as (config, got), serving(config, seen=seen) as servers:
            await servers.settled()
            await until(lambda: of(got(), "subscriptions/listen"))
            assert words(await call(servers, "lean__hangup")) == "no more news"
            await seen.until(lambda: servers.spec("lean__grown0"))
            await until(lambda: len(of(got(), "subscriptions/listen")) == 2)
            await call(servers, "lean__grow")
            await seen.until(lambda: servers.spec("lean__grown1"))

    run(main)


def test_a_list_is_kept_for_as_long_as_its_server_says(tmp_path):
    async def main():
        short = place("stdio", "modern", tmp_path / "a", "lists_resources", "ttl_0", name="short")
        long = place("stdio", "modern", tmp_path / "b", "lists_resources", "ttl_60000", name="long")
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
        async with short as (one, of_short), long as (two, of_long), serving(one, two) as servers:
            await servers.settled()
            while len(of(of_short(), "resources/list")) < 3:
                for name in ("short", "long"):
                    assert (await servers.listed(name, "resources"))[0]["name"] == "one"
            assert len(of(of_long(), "resources/list")) == 1

    run(main)


@CELLS
def test_a_person_may_deny_or_cancel_and_every_way_reaches_the_server(era, tmp_path):
    async def main():
        async with place("stdio", era, tmp_path) as (config, _), serving(config) as servers:
            await servers.settled()
            for action in ("decline", "cancel"):
                answer = {"action": action}
                asked = await call(servers, "lean__ask", ask=partial(given, answer))
                if isinstance(asked, InputRequired):
                    asked = await call(servers, "lean__ask", round=Round(2, "key", {"k": answer}, asked.state))
                assert action in words(asked)

    run(main)


async def given(answer, request):
    return answer
