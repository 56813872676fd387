"""The scripted model that ships, and the tools that tests trust: the pairing law and the model server's script."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from model_server import Call, Say, script
from pairing import check_messages, check_wire

from host.core.events import Delta
from host.core.settings import ModelProfile, ProviderConfig
from host.core.types import Message, Part, Text, ToolCall, ToolResult
from host.providers.base import Reply, Request
from host.providers.openai_responses import OpenAIResponses
from host.providers.retry import Patience, retry_after
from host.providers.scripted import Scripted

USER = {"type": "message", "role": "user"}
ASSISTANT = {"type": "message", "role": "assistant"}


def call(id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": id, "name": "a__b", "arguments": "{}"}


def output(id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id, "output": ""}


def test_a_scripted_model_is_a_function_that_streams() -> None:
    def answer(request: Request) -> Message:
        return Message("assistant", (Text(f"You said: {request.messages[-1].text} "), ToolCall("c", "a__b", {"x": 1})))

    deltas: list[Delta] = []

    async def main() -> Reply:
        return await Scripted(answer).ask(Request("m", "", [Message("user", (Text("hi there"),))]), deltas.append)

    reply = anyio.run(main)
    assert reply.stop == "calls"
    assert "".join(delta.value for delta in deltas if delta.of == "text") == "You said: hi there "
    assert [(delta.part, delta.call_id, delta.value) for delta in deltas if delta.of == "args"] == [
        (1, "c", '{"x": 1}')
    ]


def test_a_scripted_reply_is_given_as_it_is() -> None:
    wanted = Reply((Text("cut"),), "length")

    async def main() -> Reply:
        return await Scripted(lambda request: wanted).ask(Request("m", "", []), lambda delta: None)

    assert anyio.run(main) is wanted


@pytest.mark.parametrize(
    "items",
    [
        [],
        [USER, ASSISTANT, USER],
        [USER, call("a"), call("b"), output("a"), output("b"), ASSISTANT],
        [USER, ASSISTANT, call("a"), output("a"), call("a"), output("a"), USER],
        [USER, {"type": "reasoning"}, call("a"), output("a"), {"type": "reasoning"}, call("b"), output("b")],
    ],
)
def test_the_pairing_law_accepts_what_keeps_it(items: list[dict[str, Any]]) -> None:
    check_wire(items)


@pytest.mark.parametrize(
    "items",
    [
        [USER, call("a")],
        [USER, call("a"), USER, output("a")],
        [USER, call("a"), call("b"), output("b"), output("a")],
        [USER, call("a"), call("b"), output("a"), ASSISTANT, output("b")],
        [USER, call("a"), call("b"), output("a"), USER],
        [USER, call("a"), call("a"), output("a"), output("a")],
        [USER, call("a"), output("a"), output("a")],
        [USER, output("a")],
        [USER, call("a"), call("b"), output("a"), call("c"), output("b"), output("c")],
    ],
)
def test_the_pairing_law_refuses_what_breaks_it(items: list[dict[str, Any]]) -> None:
    with pytest.raises(AssertionError):
        check_wire(items)


@pytest.mark.parametrize(
    ("roles", "holds"),
    [
        ("user assistant:ab tool:ab assistant", True),
        ("user assistant:ab tool:ba", False),
        ("user assistant:ab tool:a", False),
        ("user assistant:a user tool:a", False),
        ("user assistant:a assistant:b tool:ab", False),
        ("user tool:a", False),
        ("user assistant:aa tool:aa", False),
        ("user assistant:a", False),
    ],
)
def test_the_pairing_law_of_messages(roles: str, holds: bool) -> None:
    messages: list[Message] = []
    for word in roles.split():
        role, _, ids = word.partition(":")
        parts: tuple[Part, ...] = tuple(ToolResult(i, ()) if role == "tool" else ToolCall(i, "a__b", {}) for i in ids)
        messages.append(Message(role, parts))  # type: ignore[arg-type]
    if holds:
        check_messages(messages)
    else:
        with pytest.raises(AssertionError):
            check_messages(messages)


def test_a_script_follows_the_results_that_came_in() -> None:
    decide = script([{"text": "Two.", "calls": [{"name": "a__b"}, {"name": "a__c", "id": "mine"}]}, {"text": "Done."}])
    assert decide({"input": [USER]}) == [Say("Two."), Call("a__b", {}), Call("a__c", {}, "mine")]
    assert decide({"input": [USER, call("1"), call("2"), output("1"), output("2")]}) == [Say("Done.")]
    assert len(decide({"input": [USER, call("1"), output("1"), USER]})) == 3


def test_the_model_server_runs_from_the_shell(tmp_path: Path) -> None:
    turns = tmp_path / "turns.json"
    turns.write_text(json.dumps([{"text": "from the shell"}]))
    server = Path(__file__).parent.parent / "model_server.py"
    process = subprocess.Popen([sys.executable, str(server), "--script", str(turns)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()

        async def main() -> Reply:
            with anyio.fail_after(20):
                client = OpenAIResponses(ProviderConfig("t", "responses", base_url), lambda _: ModelProfile())
                try:
                    return await client.ask(Request("m", "", [Message("user", (Text("x"),))]), lambda delta: None)
                finally:
                    await client.aclose()

        assert anyio.run(main).parts == (Text("from the shell"),)
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after-ms": "20", "retry-after": "9"}, 0.02),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_how_long_a_provider_wants_to_be_left_alone(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_waits_grow_and_stay_bounded() -> None:
    patience = Patience(first=1.0, longest=3.0)
    assert 1.0 <= patience.wait(1, None) <= 1.25
    assert 2.0 <= patience.wait(2, None) <= 2.5
    assert patience.wait(9, None) == 3.0
    assert 2.0 <= patience.wait(1, 2.0) <= 2.5
