"""Servers at an address, over real loopback HTTP, in both eras."""

import json

import anyio
import pytest
from anyio import to_thread
from serving import Seen, call, run, serving, words
from test_calls import STATE
from web import web

from host.core.source import Round
from host.core.types import CallResult, InputRequired

ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])
BODIES = pytest.mark.parametrize("body", ["json", "stream"])


@ERAS
@BODIES
def test_a_tool_is_listed_called_and_answers_with_structure(era, body):
    async def main():
        with web(era, body) as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                status = servers.statuses["lean"]
                assert (status.state, status.detail) == ("ready", "")
                assert status.protocol == ("2026-07-28" if era == "modern" else "2025-11-25")
                result = await call(servers, "lean__add", {"a": 2, "b": 3})
                assert result == CallResult("ok", ({"type": "text", "text": "5"},), {"sum": 5}, checked=True)
            if era == "legacy":
                assert [one.method for one in server.received][-1] == "DELETE"
                assert server.sessions == set()

    run(main)


def test_headers_go_with_every_request_and_say_method_and_name():
    async def main():
        with web("modern") as server:
            async with serving(server.config(headers={"X-Team": "jugs", "X-User": "${fact.user}"})) as servers:
                await servers.settled()
                assert servers.statuses["lean"].detail == "waits for the fact user"
                assert server.received == []
                servers.set_facts({"user": "u-7"})
                assert (await call_when_there(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            assert {(one.headers["x-team"], one.headers["x-user"]) for one in server.received} == {("jugs", "u-7")}
            (asked,) = server.asked("tools/call")
            assert (asked.headers["mcp-method"], asked.headers["mcp-name"]) == ("tools/call", "add")
            assert asked.headers["mcp-protocol-version"] == "2026-07-28"

    run(main)


async def call_when_there(servers, name, arguments):
    with anyio.fail_after(20):
        while servers.spec(name) is None:
            await anyio.lowlevel.checkpoint()
    return await call(servers, name, arguments)


@ERAS
def test_progress_arrives_and_a_cancelled_call_leaves_the_server_usable(era):
    async def main():
        with web(era) as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                moves = []
                result = await call(servers, "lean__slow", {"pause": 0.01}, progress=lambda *m: moves.append(m))
                assert words(result) == "finally"
                assert moves[:3] == [(float(step), None, "on") for step in range(3)]
                with anyio.move_on_after(0.3) as scope:
                    await call(servers, "lean__hang")
                assert scope.cancelled_caught
                assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            told = server.asked("notifications/cancelled")
            assert len(told) == (1 if era == "legacy" else 0)

    run(main)


def test_a_round_that_needs_input_keeps_the_state_byte_for_byte():
    async def main():
        with web("modern") as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                asked = await call(servers, "lean__ask")
                assert isinstance(asked, InputRequired)
                assert asked.state == STATE
                answers = {"k": {"action": "accept", "content": {"which": "left"}}}
                done = await call(servers, "lean__ask", round=Round(2, "key", answers, asked.state))
                assert json.loads(words(done)) == answers

    run(main)


def test_a_server_of_the_handshake_era_asks_in_the_middle_of_a_call():
    async def main():
        seen = []

        async def ask(request):
            seen.append(request["params"]["message"])
            return {"action": "accept", "content": {"which": "right"}}

        with web("legacy") as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                done = await call(servers, "lean__ask", ask=ask)
                assert json.loads(words(done))["content"] == {"which": "right"}
                assert seen == ["Which?"]

    run(main)


@ERAS
def test_a_tool_that_comes_later_is_offered(era):
    async def main():
        seen = Seen()
        with web(era) as server:
            async with serving(server.config(), seen=seen) as servers:
                await servers.settled()
                assert await to_thread.run_sync(server.listened.wait, 10)
                await call(servers, "lean__grow")
                with anyio.fail_after(10):
                    await seen.until(lambda: servers.spec("lean__grown0"))

    run(main)


@ERAS
def test_one_bad_tool_is_set_aside_and_the_others_work(era):
    async def main():
        with web(era, "bad_tool") as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                assert {"odd_schema", "no_schema", "deep"} <= set(servers.statuses["lean"].quarantined)
                assert servers.spec("lean__empty_schema") is not None
                assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"

    run(main)


def test_a_result_without_its_type_is_taken():
    async def main():
        with web("modern", "no_result_type") as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                assert servers.spec("lean__add") is not None

    run(main)


def test_a_result_of_several_megabytes_in_one_event_is_whole():
    async def main():
        with web("modern") as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                large = (await call(servers, "lean__big", {"size": 3_000_000})).large
                assert json.loads(large.json)["content"][0]["text"] == "x" * 3_000_000 + "end"

    run(main)


def test_a_server_that_forgot_the_session_gets_a_new_one_and_the_call_once():
    async def main():
        seen = Seen()
        with web("legacy") as server:
            async with serving(server.config(), seen=seen) as servers:
                await servers.settled()
                server.forget()
                assert (await call(servers, "lean__add", {"a": 1, "b": 1})).structured == {"sum": 2}
                assert ("lean", "restarting") in seen.states
                assert len(server.asked("initialize")) == 2
                ran = [one for one in server.asked("tools/call") if one.headers["mcp-session-id"] in server.sessions]
                assert len(ran) == 1

    run(main)


def test_a_server_that_is_away_at_the_start_is_named():
    async def main():
        with web("modern") as server:
            config = server.config()
        async with serving(config) as servers:
            await servers.settled()
            status = servers.statuses["lean"]
            assert status.state == "failed"
            assert status.detail.startswith("127.0.0.1 cannot be reached: ")

    run(main)


def test_a_server_that_wants_a_token_is_told_from_one_that_is_away():
    async def main():
        with web("modern", token="t-1") as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                assert servers.statuses["lean"].detail == "it answered 401 Unauthorized"
            async with serving(server.config(headers={"Authorization": "Bearer t-1"})) as servers:
                await servers.settled()
                assert servers.statuses["lean"].state == "ready"

    run(main)


@pytest.mark.parametrize(
    ("trait", "outcome", "cause", "reason"),
    [
        ("html", "unknown", None, "it answered 503 Service Unavailable"),
        ("gzip", "unknown", None, "it compressed its answer, which it was asked not to do"),
        ("cut", "unknown", None, "SSE stream ended without a response"),
    ],
)
@ERAS
def test_a_call_that_goes_wrong_costs_that_call_only(era, trait, outcome, cause, reason):
    async def main():
        with web(era, trait) as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                result = await call(servers, "lean__add", {"a": 1, "b": 1})
                assert (result.outcome, result.cause) == (outcome, cause)
                assert reason in result.reason
                assert servers.statuses["lean"].state == "ready"

    run(main)


def test_a_redirect_to_another_origin_is_not_followed():
    async def main():
        with web("modern", "elsewhere") as server:
            async with serving(server.config(headers={"Authorization": "Bearer t-1"})) as servers:
                await servers.settled()
                status = servers.statuses["lean"]
                assert status.state == "failed"
                assert "http://localhost:1/mcp not followed" in status.detail

    run(main)


def test_a_listening_stream_that_the_server_closes_is_not_opened_each_second():
    """The SDK opens it again after one second, for ever; when it no longer does, `Guarded._in_pace` may go."""

    async def main():
        with web("legacy", "short_get") as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                with anyio.move_on_after(4.5):
                    await anyio.sleep_forever()
                assert len([one for one in server.received if one.method == "GET"]) <= 3

    run(main)


@pytest.mark.parametrize(("wants", "outcome", "sent"), [("Mcp-Param-To2", "ok", 2), ("Mcp-Param-To9", "error", 2)])
def test_a_call_refused_for_its_headers_is_sent_once_more_with_those_of_a_new_listing(wants, outcome, sent):
    async def main():
        with web("modern", "mirror", wants=wants) as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                result = await call(servers, "lean__tell", {"to": "ann"})
                assert (result.outcome, len(server.asked("tools/call"))) == (outcome, sent)
                assert len({one.body["id"] for one in server.asked("tools/call")}) == sent
                assert [one.headers.get("mcp-param-to2") for one in server.asked("tools/call")] == [None, "ann"]

    run(main)
