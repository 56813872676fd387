"""Models that make no tool calls: the tools stand in the prompt, and each answer is an object of an enforced form."""

import json
from typing import Any

import pytest
from jsonschema_rs import validator_for
from model_server import ModelServer
from spoken import Say
from test_clients import ask
from wires import CHAT

from host.core.settings import ModelProfile
from host.core.types import Message, Text, ToolCall, ToolResult, ToolSpec
from host.providers.base import Request

SCHEMA = ModelProfile(tool_mode="schema")
ORDER = {"type": "string", "pattern": "^O-\\d+$"}
TOOLS = [
    ToolSpec("crm__get_order", "crm", "get_order", "One order.", {
        "type": "object", "properties": {"order_id": ORDER, "note": {"type": "string"}}, "required": ["order_id"]
    }),
    ToolSpec("crm__find_customer", "crm", "find_customer", "Find by mail.", {
        "type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]
    }),
]  # fmt: skip


def user(text: str) -> Message:
    return Message("user", (Text(text),), 1)


def asked(server: ModelServer, *messages: Message, **more: Any) -> tuple[Any, list[str]]:
    request = Request("small", "Be kind.", messages, TOOLS, **more)
    reply, deltas = ask(CHAT, server.base_url, request, profile=SCHEMA)
    return reply, [delta.value for delta in deltas]


def forms(server: ModelServer) -> list[dict[str, Any]]:
    return server.requests[-1]["response_format"]["json_schema"]["schema"]["oneOf"]


def test_an_answer_of_the_form_becomes_a_call_and_nothing_of_it_is_shown():
    with ModelServer(lambda body: [Say('{"tool": "crm__get_order", "arguments": {"order_id": "O-7"}}')]) as server:
        reply, shown = asked(server, user("Where is O-7?"))
    assert reply.stop == "calls" and shown == []
    (call,) = reply.parts
    assert (call.name, call.arguments) == ("crm__get_order", {"order_id": "O-7"}) and call.id
    assert "tools" not in server.requests[-1]
    system = server.requests[-1]["messages"][0]["content"]
    assert system.startswith("Be kind.") and "crm__get_order: One order." in system


def test_a_reply_streams_as_words_and_its_frame_is_not_shown():
    text = 'It is "on its way":\n tomorrow. 📦'
    with ModelServer(lambda body: [Say(json.dumps({"reply": text}))]) as server:
        reply, shown = asked(server, user("Where is O-7?"))
    assert reply.stop == "done" and [part.text for part in reply.parts] == [text]
    assert "".join(shown) == text and len(shown) > 1


@pytest.mark.parametrize(("said", "offered"), [("Where is o-7 or O-9?", ["O-7", "O-9"]), ("Where is my order?", None)])
def test_a_name_can_only_be_one_that_was_said(said: str, offered: list[str] | None):
    with ModelServer(lambda body: [Say('{"reply": "?"}')]) as server:
        asked(server, user(said), Message("assistant", (Text("Perhaps O-1?"),), 2), user("No."))
    found = [form["properties"].get("tool", {}).get("const") for form in forms(server)]
    assert found == ["crm__get_order", "crm__find_customer", None][offered is None :]
    if offered:
        arguments = forms(server)[0]["properties"]["arguments"]
        assert arguments["properties"]["order_id"]["enum"] == offered
        answer = {"tool": "crm__get_order", "arguments": {"order_id": "O-1"}}
        form = validator_for({"oneOf": forms(server)})
        assert not form.is_valid(answer) and form.is_valid({"reply": "Which one?"})


def test_a_result_is_told_in_words_and_its_names_may_be_used():
    before = [
        user("The order of ann@example.com?"),
        Message("assistant", (ToolCall("c1", "crm__find_customer", {"query": "ann@example.com"}),), 2),
        Message("tool", (ToolResult("c1", (Text('{"orders": ["O-12"]}'),)),), 3),
    ]
    with ModelServer(lambda body: [Say('{"reply": "O-12"}')]) as server:
        asked(server, *before)
    said = server.requests[-1]["messages"]
    assert [message["role"] for message in said] == ["system", "user", "assistant", "user"]
    assert json.loads(said[2]["content"]) == {
        "tool": "crm__find_customer",
        "arguments": {"query": "ann@example.com"},
    }
    assert "O-12" in said[3]["content"]
    assert forms(server)[0]["properties"]["arguments"]["properties"]["order_id"]["enum"] == ["O-12"]


def test_a_server_that_does_not_enforce_the_form_is_still_understood():
    with ModelServer(lambda body: [Say("It left yesterday.")]) as server:
        reply, _ = asked(server, user("Where is O-7?"))
    assert reply.stop == "done" and reply.parts == (Text("It left yesterday."),)


def test_a_structured_answer_is_the_reply():
    wanted = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with ModelServer(lambda body: [Say('{"reply": {"n": 3}}')]) as server:
        reply, _ = asked(server, user("How many?"), json_schema=wanted)
    assert json.loads(reply.parts[0].text) == {"n": 3}
    assert forms(server)[-1]["properties"]["reply"]["properties"] == {"n": {"type": "integer"}}
