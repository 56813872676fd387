"""The Responses client over real HTTP, through the SDK, against a model server on loopback."""

import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from model_server import Call, End, Fault, ModelServer, Raw, Say, sse

from host.core.errors import ProviderError
from host.core.events import Delta
from host.core.settings import ModelProfile, ProviderConfig
from host.core.types import Message, Opaque, Text, ToolCall, ToolResult, ToolSpec
from host.providers.base import Reply, Request
from host.providers.openai_responses import OpenAIResponses
from host.providers.retry import Patience

PRICED = ModelProfile(price_in=2.0, price_out=10.0, price_cache_read=0.5, reasoning=True)
QUICK = Patience(first=0.001)
SECRET = "sk-test-1234567890"
HELLO = Request("test-model", "", [Message("user", (Text("hello"),))])


def run(base_url: str, body: Callable[[OpenAIResponses], Awaitable[Any]], key: str | None = SECRET) -> Any:
    """Run `body` with a client, closed afterwards, within a bounded time."""

    async def main() -> Any:
        with anyio.fail_after(30):
            client = OpenAIResponses(ProviderConfig("test", "responses", base_url, key), lambda _: PRICED, QUICK)
            try:
                return await body(client)
            finally:
                await client.aclose()

    return anyio.run(main)


def ask(base_url: str, request: Request = HELLO, key: str | None = SECRET) -> tuple[Reply, list[Delta]]:
    deltas: list[Delta] = []

    async def body(client: OpenAIResponses) -> Reply:
        return await client.ask(request, deltas.append)

    return run(base_url, body, key), deltas


def failure(base_url: str, key: str | None = SECRET) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(base_url, key=key)
    assert base_url in str(caught.value)
    assert SECRET not in str(caught.value)
    return caught.value


def test_text_arrives_streamed_and_whole_with_its_cost() -> None:
    with ModelServer(lambda body: [Say("Hello, how are you?")]) as server:
        reply, deltas = ask(server.base_url)
    assert reply.parts == (Text("Hello, how are you?"),)
    assert (reply.stop, reply.attempts) == ("done", 1)
    assert "".join(delta.value for delta in deltas) == "Hello, how are you?"
    assert len(deltas) > 1
    assert (reply.usage.input, reply.usage.cache_read, reply.usage.output) == (100, 40, 10)
    assert reply.usage.usd == pytest.approx((60 * 2.0 + 40 * 0.5 + 10 * 10.0) / 1e6)


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
        first, _ = ask(server.base_url, Request("test-model", "Help.", HELLO.messages, tools, "session-1"))
        said = Message("assistant", first.parts)
        results = tuple(ToolResult(call.id, (Text(call.id),)) for call in said.calls)
        second, _ = ask(server.base_url, Request("test-model", "", [*HELLO.messages, said, Message("tool", results)]))
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


def test_the_server_refuses_a_conversation_with_a_call_left_open() -> None:
    open_call = Message("assistant", (ToolCall("c", "a__b", {}),))
    with ModelServer(lambda body: [Say("never")], strict=False) as server:
        with pytest.raises(ProviderError, match=r"HTTP 400: .*without an output") as caught:
            ask(server.base_url, Request("m", "", [*HELLO.messages, open_call]))
    assert not caught.value.retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_asked_again_after_the_time_that_was_asked_for(status: int) -> None:
    with ModelServer(lambda body: [Say("at last")]) as server:
        server.faults = [Fault(status, {"Retry-After": "0"}), Fault(status, {"retry-after-ms": "1"})]
        reply, _ = ask(server.base_url)
    assert reply.parts == (Text("at last"),)
    assert reply.attempts == 3
    assert server.requests[0] == server.requests[2]


def test_a_fault_that_stays_ends_after_four_attempts() -> None:
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(500)] * 9
        error = failure(server.base_url)
    assert error.retryable
    assert len(server.requests) == 4


def test_a_provider_that_wants_to_be_left_alone_for_long_is_not_asked_again() -> None:
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(429, {"Retry-After": "3600"})]
        error = failure(server.base_url)
    assert (error.retryable, error.retry_after) == (True, 3600)
    assert len(server.requests) == 1


def test_a_quota_that_is_used_up_is_not_asked_again() -> None:
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(429, body=b'{"error":{"message":"no money","code":"insufficient_quota","type":"x"}}')]
        assert not failure(server.base_url).retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_to_be_one_and_never_shown(status: int) -> None:
    body = b'{"error":{"message":"bad key ' + SECRET.encode() + b'","type":"x","code":"y"}}'
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(status, body=body)]
        error = failure(server.base_url)
    assert error.auth
    assert not error.retryable
    assert "api_key" in str(error)
    assert len(server.requests) == 1


def test_a_server_on_loopback_needs_no_key() -> None:
    with ModelServer(lambda body: [Say("ok")]) as server:
        assert ask(server.base_url, key=None)[0].parts == (Text("ok"),)
    assert SECRET not in str(server.headers)


def test_a_server_that_does_not_run_is_named() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        error = failure(f"http://127.0.0.1:{held.getsockname()[1]}/v1")
    assert error.retryable
    assert "base_url" in str(error)


@pytest.mark.parametrize(
    ("content_type", "body", "about"),
    [
        ("text/html; charset=utf-8", b"<html>Welcome</html>", "text/html"),
        ("text/event-stream", b"data: {broken\n\n", "not JSON"),
        ("text/event-stream", b"data: [1, 2]\n\n", "impossible shape"),
        ("text/event-stream", b"data: \xff\xfe\n\n", "not JSON"),
        ("text/event-stream", b"<html>Welcome</html>", "before the answer was complete"),
        ("text/event-stream", b"", "before the answer was complete"),
        ("text/event-stream", b'data: {"type":"error","error":{"message":"odd","code":"invalid"}}\n\n', "odd"),
    ],
)
def test_a_body_that_is_not_an_answer_is_an_error_that_says_so(content_type: str, body: bytes, about: str) -> None:
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(body=body, content_type=content_type)] * 4
        assert about in str(failure(server.base_url))


def test_an_overload_told_inside_the_stream_is_asked_again() -> None:
    with ModelServer(
        lambda body: [Say("ok")] if len(server.requests) > 1 else [End("failed", "server_error")]
    ) as server:
        assert ask(server.base_url)[0].attempts == 2


def test_a_stream_cut_anywhere_gives_no_half_call_and_repeats_nothing_that_was_shown() -> None:
    parts = [Say("Let me see."), Call("a__b", {"path": "/tmp/x"}, "call_A"), Call("a__c", {}, "call_B")]
    whole = b"".join(sse(parts, 1, "test-model"))
    begun = whole.index(b"response.output_text.delta")

    async def body(client: OpenAIResponses) -> None:
        for cut in [*range(0, len(whole), 50), len(whole) - 1]:
            server.requests.clear()
            server.faults = [Fault(cut=cut)]
            deltas: list[Delta] = []
            try:
                reply = await client.ask(HELLO, deltas.append)
            except ProviderError as error:
                assert error.retryable
                assert deltas, f"cut at {cut}: nothing was shown, so it should have been asked again"
                assert len(server.requests) == 1
            else:
                assert cut < whole.index(b"\n\n", begun), f"cut at {cut}: a cut answer passed for a whole one"
                assert (reply.attempts, len(server.requests)) == (2, 2)
                assert [call.id for call in Message("assistant", reply.parts).calls] == ["call_A", "call_B"]

    def decide(_: dict[str, Any]) -> list[Any]:
        return parts

    with ModelServer(decide) as server:
        run(server.base_url, body)


def test_an_answer_that_is_whole_survives_the_loss_of_its_connection() -> None:
    parts = [Say("Done."), Call("a__b", {}, "call_A")]
    with ModelServer(lambda body: parts) as server:
        server.faults = [Fault(cut=len(b"".join(sse(parts, 1, "test-model"))))]
        reply, _ = ask(server.base_url)
    assert reply.stop == "calls"
    assert len(server.requests) == 1


def test_a_cancelled_answer_leaves_the_client_usable() -> None:
    gate = threading.Event()

    async def body(client: OpenAIResponses) -> Reply:
        with anyio.CancelScope() as scope:
            await client.ask(HELLO, lambda delta: scope.cancel())
        assert scope.cancelled_caught
        gate.set()
        return await client.ask(HELLO, lambda delta: None)

    with ModelServer(lambda body: [Say("one two three four")]) as server:
        server.faults = [Fault(hold=1500, gate=gate)]
        reply = run(server.base_url, body)
    assert reply.parts == (Text("one two three four"),)


def test_many_sessions_ask_through_one_client_at_once() -> None:
    gate = threading.Event()

    async def body(client: OpenAIResponses) -> list[Reply]:
        replies: list[Reply] = []

        async def one(number: int) -> None:
            said = Message("user", (Text(str(number)),))
            replies.append(await client.ask(Request("m", "", [said]), lambda delta: None))

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(one, number)
            while len(server.requests) < 8:
                await anyio.lowlevel.checkpoint()
            gate.set()
        return replies

    with ModelServer(lambda body: [Say(body["input"][0]["content"][0]["text"])]) as server:
        server.faults = [Fault(gate=gate)] * 8
        replies = run(server.base_url, body)
    assert sorted(Message("assistant", reply.parts).text for reply in replies) == [str(n) for n in range(8)]


def test_a_connection_is_used_again() -> None:
    async def body(client: OpenAIResponses) -> None:
        for _ in range(3):
            await client.ask(HELLO, lambda delta: None)

    with ModelServer(lambda body: [Say("ok")]) as server:
        run(server.base_url, body)
        assert server.connections == 1
