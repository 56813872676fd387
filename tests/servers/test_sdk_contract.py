"""What the SDK does not do, each with the place that does it instead. When one of these fails, the SDK has learned it:
look whether the place that the message names can go."""

import inspect
import sys
from contextlib import asynccontextmanager

import anyio
import httpx2
import mcp.client.auth.oauth2
import mcp.client.session
import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest, JSONRPCResponse, PaginatedRequestParams
from pydantic import ValidationError
from serving import run
from web import web

from host.servers.connection import words
from host.servers.era import PROBE_SECONDS

SCHEMA = {"type": "object", "properties": {}}
CURED = "the SDK has learned it: {} can go"


@asynccontextmanager
async def pipe(results, seen):
    """A server that answers each method with what stands there; one that is missing ends the connection."""
    to_client, inbox = anyio.create_memory_object_stream(10)
    outbox, from_client = anyio.create_memory_object_stream(10)

    async def answer():
        async with to_client, from_client:
            async for item in from_client:
                message = item.message
                if isinstance(message, JSONRPCRequest):
                    seen.append(message.method)
                    if message.method not in results:
                        return
                    reply = JSONRPCResponse(jsonrpc="2.0", id=message.id, result=results[message.method])
                    await to_client.send(SessionMessage(reply))

    async with inbox, outbox, anyio.create_task_group() as tasks:
        tasks.start_soon(answer)
        yield inbox, outbox
        tasks.cancel_scope.cancel()


def bare(results, seen=None, era="legacy"):
    """The SDK's own client, as its documentation makes one, at a server of such answers."""
    info = {"name": "x", "version": "1"}
    capabilities = {"tools": {}}
    discovered = {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": capabilities}
    begin = {
        "legacy": {"initialize": {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info}},
        "modern": {"server/discover": discovered | {"ttlMs": 0, "cacheScope": "private"}},
        "none": {},
    }[era]
    mode = "legacy" if era == "legacy" else "auto"
    return Client(pipe(begin | results, [] if seen is None else seen), mode=mode, cache=None)


def test_one_bad_tool_loses_the_whole_list():
    async def main():
        good, bad = {"name": "good", "inputSchema": SCHEMA}, {"name": "bad", "inputSchema": {}}
        async with bare({"tools/list": {"tools": [good, bad]}}) as client:
            with pytest.raises(ValidationError):
                await client.list_tools()
                pytest.fail(CURED.format("usable() in host/servers/wire.py"))

    run(main)


def test_a_result_without_its_type_is_refused():
    async def main():
        async with bare({"tools/list": {"tools": []}}, era="modern") as client:
            with pytest.raises(ValidationError):
                await client.list_tools()
                pytest.fail(CURED.format("resultType in Wire._repair of host/servers/wire.py"))

    run(main)


def test_fields_that_the_sdk_does_not_know_are_lost():
    async def main():
        tool = {"name": "good", "inputSchema": SCHEMA, "novelty": 1}
        async with bare({"tools/list": {"tools": [tool]}}) as client:
            (found,) = (await client.list_tools()).tools
            assert "novelty" not in found.model_dump(by_alias=True), CURED.format("Raw in host/servers/connection.py")

    run(main)


def test_a_list_is_one_page():
    async def main():
        page = {"tools": [{"name": "good", "inputSchema": SCHEMA}], "nextCursor": "more"}
        seen = []
        async with bare({"tools/list": page}, seen) as client:
            await client.list_tools()
            assert seen.count("tools/list") == 1, CURED.format("the walk in Connection._list")
            await client.session.list_tools(params=PaginatedRequestParams(cursor="more"))

    run(main)


def test_a_call_of_a_tool_that_was_not_listed_lists_them_and_a_broken_promise_hides_the_result():
    async def main():
        promise = SCHEMA | {"properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
        tool = {"name": "good", "inputSchema": SCHEMA, "outputSchema": promise}
        done = {"content": [{"type": "text", "text": "paid"}], "structuredContent": {"sum": "many"}}
        seen = []
        async with bare({"tools/list": {"tools": [tool]}, "tools/call": done}, seen) as client:
            with pytest.raises(RuntimeError):
                await client.call_tool("good", {})
                pytest.fail(CURED.format("broken_promise() in host/servers/connection.py"))
            assert seen[-2:] == ["tools/call", "tools/list"], CURED.format("the door of Connection._ask")

    run(main)


def test_a_server_that_dies_of_the_question_is_not_spoken_to_otherwise_and_a_client_lives_once():
    async def main():
        client = bare({}, era="none")
        with pytest.raises(ExceptionGroup) as ended:
            async with client:
                pytest.fail(CURED.format("the second life in Supervisor._live"))
        assert words(ended.value) == "Connection closed"
        with pytest.raises(RuntimeError):
            async with client:
                pytest.fail(CURED.format("a new session for each life in Connection.run"))

    run(main)


def test_silence_is_waited_for_long():
    waits = mcp.client.session.DISCOVER_TIMEOUT_SECONDS
    assert waits > 2 * PROBE_SECONDS, CURED.format("the race in host/servers/era.py")


def test_a_request_has_no_end_unless_it_is_given_one():
    assert Client("http://127.0.0.1:1").read_timeout_seconds is None, CURED.format("host/servers/patience.py")


def test_stderr_of_servers_goes_to_ours_and_noise_to_the_log(caplog, tmp_path):
    where = inspect.signature(stdio_client).parameters["errlog"].default
    assert where is not None and hasattr(where, "write"), CURED.format("the pipe for stderr in host/servers/stdio.py")
    program = "import sys; print('I am ready', flush=True); sys.stdin.read()"

    async def main():
        with (tmp_path / "stderr").open("w") as quiet:
            server = StdioServerParameters(command=sys.executable, args=["-c", program])
            async with stdio_client(server, errlog=quiet) as (read, _):
                assert isinstance(await read.receive(), Exception)

    run(main)
    told = [record for record in caplog.records if record.exc_info]
    assert told, CURED.format("ServerLog.ignored in host/servers/logs.py")


def test_large_events_are_refused_and_answers_of_any_size_are_not():
    limit = inspect.signature(streamable_http_client).parameters["max_sse_event_size"].default
    assert limit == 2**20, CURED.format("max_sse_event_size in host/servers/http.py")


def test_a_session_that_was_forgotten_stays_so():
    async def main():
        with web("legacy") as server:
            async with Client(server.url, mode="legacy") as client:
                server.forget()
                for _ in range(2):
                    with pytest.raises(MCPError, match="Session terminated"):
                        await client.list_tools()
                        pytest.fail(CURED.format("SESSION_OVER in host/servers/http.py"))

    run(main)


# --- signing in


class Kept:
    """What was signed in for before the program was started anew: a token whose hour is over."""

    async def get_tokens(self):
        return OAuthToken(access_token="old", refresh_token="fresh", expires_in=3600)

    async def get_client_info(self):
        return OAuthClientInformationFull(
            client_id="c", redirect_uris=["http://127.0.0.1:1/"], issuer="http://127.0.0.1:1"
        )

    async def set_tokens(self, tokens):
        raise AssertionError

    async def set_client_info(self, info):
        raise AssertionError


def provider():
    about = OAuthClientMetadata(redirect_uris=["http://127.0.0.1:1/"])
    return OAuthClientProvider("http://127.0.0.1:1/mcp", about, Kept())


def test_a_token_that_is_refused_after_a_restart_is_not_renewed():
    async def main():
        request = httpx2.Request("POST", "http://127.0.0.1:1/mcp")
        flow = provider().async_auth_flow(request)
        assert (await anext(flow)).headers["authorization"] == "Bearer old"
        second = await flow.asend(httpx2.Response(401, request=request))
        assert b"refresh_token" not in second.content, CURED.format("renewal in host/servers/auth.py")
        await flow.aclose()

    run(main)


def test_one_request_at_a_time_while_signed_in():
    async def main():
        signed, in_flight, done = provider(), anyio.Event(), anyio.Event()

        async def first():
            flow = signed.async_auth_flow(httpx2.Request("POST", "http://127.0.0.1:1/mcp"))
            await anext(flow)
            in_flight.set()
            await done.wait()
            await flow.aclose()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await in_flight.wait()
            with anyio.move_on_after(0.2) as waited:
                await anext(signed.async_auth_flow(httpx2.Request("POST", "http://127.0.0.1:1/mcp")))
            assert waited.cancelled_caught, CURED.format("the flow without a lock in host/servers/auth.py")
            done.set()

    run(main)


def test_nobody_looks_whether_an_issuer_has_pkce():
    source = inspect.getsource(mcp.client.auth.oauth2)
    assert "code_challenge_methods_supported" not in source, CURED.format("the look at PKCE in host/servers/auth.py")


# --- slow ones: scripts/test -m slow


@pytest.mark.slow
def test_a_stream_that_is_closed_politely_is_opened_again_each_second():
    async def main():
        with web("legacy", "short_get") as server:
            async with Client(server.url, mode="legacy"):
                with anyio.move_on_after(6.5):
                    await anyio.sleep_forever()
            opened = len([one for one in server.received if one.method == "GET"])
            assert opened >= 5, CURED.format("Guarded._in_pace in host/servers/http.py")

    run(main)
