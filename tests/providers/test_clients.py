"""The clients of all three wires over real HTTP, through the SDKs, against a model server on loopback."""

import json
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from model_server import Fault, ModelServer
from spoken import Call, End, Part, Raw, Say
from wires import CHAT, MESSAGES, RESPONSES, WIRES, Wire

from host.core.errors import ProviderError
from host.core.events import Delta
from host.core.settings import ModelProfile, ProviderConfig
from host.core.types import Message, Opaque, Text, ToolCall, ToolResult, ToolSpec
from host.providers.base import Reply, Request
from host.providers.client import Client
from host.providers.retry import Patience

PRICED = ModelProfile(price_in=2.0, price_out=10.0, price_cache_read=0.5, reasoning="encrypted")
IN_ONE_PIECE = ModelProfile(stream=False)
QUICK = Patience(first=0.001)
SECRET = "sk-test-1234567890"
HELLO = Request("test-model", "", [Message("user", (Text("hello"),))])
PARTS: list[Part] = [Say("Let me see."), Call("a__b", {"path": "/tmp/x"}, "call_A"), Call("a__c", {}, "call_B")]

STRIDE = int(os.environ.get("CUT_STRIDE", "61"))
"""Bytes from one cut to the next; test_wires.py cuts at every byte without a connection, CUT_STRIDE=1 does here."""

every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


def run(
    wire: Wire,
    base_url: str,
    body: Callable[[Client], Awaitable[Any]],
    key: str | None = SECRET,
    profile: ModelProfile = PRICED,
) -> Any:
    """Run `body` with a client, closed afterwards, within a bounded time."""

    async def main() -> Any:
        with anyio.fail_after(60):
            client = wire.client(ProviderConfig("test", "responses", base_url, key), lambda _: profile, QUICK)
            try:
                return await body(client)
            finally:
                await client.aclose()

    return anyio.run(main)


def ask(
    wire: Wire,
    base_url: str,
    request: Request = HELLO,
    key: str | None = SECRET,
    profile: ModelProfile = PRICED,
) -> tuple[Reply, list[Delta]]:
    deltas: list[Delta] = []

    async def body(client: Client) -> Reply:
        return await client.ask(request, deltas.append)

    return run(wire, base_url, body, key, profile), deltas


def failure(wire: Wire, base_url: str, key: str | None = SECRET) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(wire, base_url, key=key)
    assert base_url + wire.client.wire.path in str(caught.value)
    assert SECRET not in str(caught.value)
    return caught.value


@every_wire
def test_text_arrives_streamed_and_whole_with_its_cost(wire: Wire) -> None:
    with ModelServer(lambda body: [Say("Hello, how are you?")]) as server:
        reply, deltas = ask(wire, server.base_url)
    assert reply.parts == (Text("Hello, how are you?"),)
    assert (reply.stop, reply.attempts) == ("done", 1)
    assert "".join(delta.value for delta in deltas) == "Hello, how are you?"
    assert len(deltas) > 1
    assert (reply.usage.input, reply.usage.cache_read, reply.usage.output) == (100, 40, 10)
    assert reply.usage.usd == pytest.approx((60 * 2.0 + 40 * 0.5 + 10 * 10.0) / 1e6)


@every_wire
@pytest.mark.parametrize(("profile", "streams"), [(IN_ONE_PIECE, True), (PRICED, False)], ids=["asked", "unable"])
def test_an_answer_may_come_in_one_piece(wire: Wire, profile: ModelProfile, streams: bool) -> None:
    with ModelServer(lambda body: PARTS, streams=streams) as server:
        reply, deltas = ask(wire, server.base_url, profile=profile)
        assert server.requests[0]["stream"] is profile.stream
    assert (reply.stop, deltas) == ("calls", [])
    assert [call.id for call in Message("assistant", reply.parts).calls] == ["call_A", "call_B"]
    assert (reply.usage.input, reply.usage.cache_read) == (100, 40)


@every_wire
def test_a_server_that_streams_to_who_asked_for_one_piece_is_understood(wire: Wire) -> None:
    body = b"".join(wire.speaks.sse(PARTS))
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(body=body, content_type="text/event-stream")]
        reply, _ = ask(wire, server.base_url, profile=IN_ONE_PIECE)
    assert reply.stop == "calls"


def test_a_conversation_with_reasoning_and_parallel_calls_keeps_the_law_of_pairs() -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "gAAA+/=",
        "own": {"b": 1, "a": None},
    }
    reasoned = [Raw(thought), Call("a__one", {"x": 1}, "call_A"), Call("a__two", '{"y":  2}', "call_B")]
    tools = (ToolSpec("a__one", "a", "one"), ToolSpec("a__two", "a", "two"))
    with ModelServer(lambda body: [Say("ok")] if len(body["input"]) > 1 else reasoned) as server:
        first, _ = ask(RESPONSES, server.base_url, Request("test-model", "Help.", HELLO.messages, tools, "session-1"))
        said = Message("assistant", first.parts)
        results = tuple(ToolResult(call.id, (Text(call.id),)) for call in said.calls)
        again = Request("test-model", "", [*HELLO.messages, said, Message("tool", results)])
        second, _ = ask(RESPONSES, server.base_url, again)
    assert first.stop == "calls"
    assert first.parts[0] == Opaque("openai_responses", "reasoning", thought)
    assert second.parts == (Text("ok"),)
    asked, went_on = server.requests
    assert asked["instructions"] == "Help."
    assert asked["prompt_cache_key"] == "session-1"
    assert asked["include"] == ["reasoning.encrypted_content"]
    assert asked["store"] is False
    assert [tool["name"] for tool in asked["tools"]] == ["a__one", "a__two"]
    assert list(went_on["input"][1]["own"]) == ["b", "a"]
    assert went_on["input"][1] == thought
    assert [item["call_id"] for item in went_on["input"][2:]] == ["call_A", "call_B", "call_A", "call_B"]
    assert went_on["input"][3]["arguments"] == '{"y":  2}'


@every_wire
def test_the_server_refuses_a_conversation_with_a_call_left_open(wire: Wire) -> None:
    open_call = Message("assistant", (ToolCall("c", "a__b", {}),))
    with ModelServer(lambda body: [Say("never")], strict=False) as server:
        with pytest.raises(ProviderError, match=r"HTTP 400: .*without an? (output|result)") as caught:
            ask(wire, server.base_url, Request("m", "", [*HELLO.messages, open_call]))
    assert not caught.value.retryable
    assert len(server.requests) == 1


@every_wire
def test_a_lone_surrogate_of_a_tools_result_can_be_sent(wire: Wire) -> None:
    with ModelServer(lambda body: [Say("ok")]) as server:
        ask(wire, server.base_url, Request("m", "", [Message("user", (Text("broken \ud83d here"),))]))
        assert "broken \ud83d here" in json.dumps(server.requests[0], ensure_ascii=False)


@every_wire
@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_passing_fault_is_asked_again_after_the_time_that_was_asked_for(wire: Wire, status: int) -> None:
    with ModelServer(lambda body: [Say("at last")]) as server:
        server.faults = [Fault(status, {"Retry-After": "0"}), Fault(status, {"retry-after-ms": "1"})]
        reply, _ = ask(wire, server.base_url)
    assert reply.parts == (Text("at last"),)
    assert reply.attempts == 3
    assert server.requests[0] == server.requests[2]


@every_wire
def test_a_fault_that_stays_ends_after_four_attempts(wire: Wire) -> None:
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(500)] * 9
        error = failure(wire, server.base_url)
    assert error.retryable
    assert len(server.requests) == 4


@every_wire
def test_a_provider_that_wants_to_be_left_alone_for_long_is_not_asked_again(wire: Wire) -> None:
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(429, {"Retry-After": "3600"})]
        error = failure(wire, server.base_url)
    assert (error.retryable, error.retry_after) == (True, 3600)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("wire", "status", "error"),
    [
        (RESPONSES, 429, {"message": "no money", "code": "insufficient_quota", "type": "x"}),
        (CHAT, 402, {"message": "no money", "code": 402}),
        (MESSAGES, 402, {"type": "billing_error", "message": "no money"}),
        (MESSAGES, 404, {"type": "not_found_error", "message": "no money"}),
    ],
)
def test_a_model_that_cannot_be_had_is_not_asked_again_but_another_may_be(
    wire: Wire, status: int, error: dict[str, Any]
) -> None:
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(status, body=json.dumps({"type": "error", "error": error}).encode())]
        caught = failure(wire, server.base_url)
    assert (caught.retryable, caught.unavailable) == (False, True)
    assert "no money" in str(caught)
    assert len(server.requests) == 1


@every_wire
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_to_be_one_and_never_shown(wire: Wire, status: int) -> None:
    body = b'{"error":{"message":"bad key ' + SECRET.encode() + b'","type":"x","code":"y"}}'
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(status, body=body)]
        error = failure(wire, server.base_url)
    assert error.auth
    assert not error.retryable
    assert "api_key" in str(error)
    assert len(server.requests) == 1


@every_wire
def test_a_server_on_loopback_needs_no_key_and_the_environments_is_not_sent(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    with ModelServer(lambda body: [Say("ok")]) as server:
        assert ask(wire, server.base_url, key=None)[0].parts == (Text("ok"),)
    assert SECRET not in str(server.headers)


@every_wire
def test_a_server_that_does_not_run_is_named(wire: Wire) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        error = failure(wire, f"http://127.0.0.1:{held.getsockname()[1]}/v1")
    assert error.retryable
    assert "base_url" in str(error)


@every_wire
@pytest.mark.parametrize(
    ("content_type", "body", "about"),
    [
        ("text/html; charset=utf-8", b"<html>Welcome</html>", "text/html"),
        ("application/json", b"{broken", "not JSON"),
        ("application/json", b"[1, 2]", "impossible shape"),
        ("application/json", b'{"type":"error","error":{"message":"odd","type":"x"}}', "odd"),
        ("text/event-stream", b"event: message_start\ndata: {broken\n\n", "not JSON"),
        ("text/event-stream", b"event: message_start\ndata: [1, 2]\n\n", "impossible shape"),
        ("text/event-stream", b"event: message_start\ndata: \xff\xfe\n\n", "not JSON"),
        ("text/event-stream", b"<html>Welcome</html>", "before the answer was complete"),
        ("text/event-stream", b"", "before the answer was complete"),
        ("text/event-stream", b'event: error\ndata: {"type":"error","error":{"message":"odd","code":"x"}}\n\n', "odd"),
        ("text/event-stream", b"event: message_start\ndata: " + b"[" * 100_000 + b"\n\n", "not JSON"),
    ],
)
def test_a_body_that_is_not_an_answer_is_an_error_that_says_so(
    wire: Wire, content_type: str, body: bytes, about: str
) -> None:
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(body=body, content_type=content_type)] * 4
        assert about in str(failure(wire, server.base_url))


@every_wire
def test_an_overload_told_inside_the_stream_is_asked_again(wire: Wire) -> None:
    kind = "overloaded_error" if wire is MESSAGES else "server_error"
    with ModelServer(lambda body: [Say("ok")] if len(server.requests) > 1 else [End("failed", kind)]) as server:
        assert ask(wire, server.base_url)[0].attempts == 2


@every_wire
def test_a_connection_lost_anywhere_gives_no_half_call_loses_nothing_and_repeats_nothing_that_was_shown(
    wire: Wire,
) -> None:
    whole = b"".join(wire.speaks.sse(PARTS, 1, "test-model"))
    full, shown = wire.read(wire.decoded(whole))

    async def body(client: Client) -> list[str]:
        ends: list[str] = []
        for cut in sorted({*range(0, len(whole), STRIDE), len(whole) - 1, len(whole)}):
            server.requests.clear()
            server.faults = [Fault(cut=cut)]
            deltas: list[Delta] = []
            try:
                reply = await client.ask(HELLO, deltas.append)
            except ProviderError as error:
                assert error.retryable
                assert deltas, f"cut at {cut}: nothing was shown, so it should have been asked again"
                assert deltas == shown[: len(deltas)], "what was shown before the loss is what the model said"
                ends.append("lost")
            else:
                assert (reply.parts, deltas) == (full.parts, shown), f"cut at {cut}"
                ends.append("again" if reply.attempts == 2 else "whole")
            assert len(server.requests) == (2 if ends[-1] == "again" else 1), f"cut at {cut}"
        return ends

    with ModelServer(lambda body: PARTS) as server:
        ends = run(wire, server.base_url, body)
    order = "".join({"again": "a", "lost": "l", "whole": "w"}[end] for end in ends)
    assert order == "a" * order.count("a") + "l" * order.count("l") + "w" * order.count("w")
    assert min(order.count(letter) for letter in "alw") > 0


@every_wire
def test_a_cancelled_answer_leaves_the_client_usable(wire: Wire) -> None:
    gate = threading.Event()
    words = "one two three four"
    held = b"".join(wire.speaks.sse([Say(words)], 1, "test-model")).index(b" three ")

    async def body(client: Client) -> Reply:
        with anyio.CancelScope() as scope:
            await client.ask(HELLO, lambda delta: scope.cancel())
        assert scope.cancelled_caught
        gate.set()
        return await client.ask(HELLO, lambda delta: None)

    with ModelServer(lambda body: [Say(words)]) as server:
        server.faults = [Fault(hold=held, gate=gate)]
        reply = run(wire, server.base_url, body)
    assert reply.parts == (Text(words),)


@every_wire
def test_many_sessions_ask_through_one_client_at_once(wire: Wire) -> None:
    gate = threading.Event()

    async def body(client: Client) -> list[Reply]:
        replies: list[Reply] = []

        async def one(number: int) -> None:
            said = Message("user", (Text(f"number {number}"),))
            replies.append(await client.ask(Request("m", "", [said]), lambda delta: None))

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(one, number)
            while len(server.requests) < 8:
                await anyio.lowlevel.checkpoint()
            gate.set()
        return replies

    def decide(body: dict[str, Any]) -> list[Part]:
        text = json.dumps(body)
        return [Say(text[text.index("number ") :][:8])]

    with ModelServer(decide) as server:
        server.faults = [Fault(gate=gate)] * 8
        replies = run(wire, server.base_url, body)
    assert sorted(Message("assistant", reply.parts).text for reply in replies) == [f"number {n}" for n in range(8)]


@every_wire
@pytest.mark.parametrize("profile", [PRICED, IN_ONE_PIECE], ids=["streamed", "whole"])
def test_a_connection_is_used_again(wire: Wire, profile: ModelProfile) -> None:
    async def body(client: Client) -> None:
        for _ in range(3):
            await client.ask(HELLO, lambda delta: None)

    with ModelServer(lambda body: [Say("ok")]) as server:
        run(wire, server.base_url, body, profile=profile)
        assert server.connections == 1
