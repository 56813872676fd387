"""What only the Responses wire has: its items, the events it streams, and what goes back."""

import json
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from speaks_responses import events
from spoken import Call, End, Part, Refuse, Say
from wires import RESPONSES

from host.core.errors import ProviderError
from host.core.settings import ModelProfile
from host.core.types import Message, Opaque, Text, ToolCall, ToolResult
from host.providers.base import Request


@pytest.mark.parametrize("case", [json.loads(file.read_text()) for file in RESPONSES.golden("in")])
def test_what_the_model_said_goes_back_as_it_came(case: dict[str, Any]) -> None:
    reply, _ = RESPONSES.read(case["events"])
    wire = RESPONSES.body(Request("m", "", [Message("assistant", reply.parts)]), ModelProfile())
    sent = [
        item
        for item in case["events"][-1]["response"]["output"]
        if reply.stop != "length" or "call" not in item["type"]
    ]
    assert len(wire["input"]) == len(sent)
    for back, came in zip(wire["input"], sent, strict=True):
        if came["type"] == "function_call":
            assert back == {key: came[key] for key in ("type", "call_id", "name", "arguments")}
        elif came["type"] == "message":
            words = [{key: c[key] for key in ("type", "text", "refusal") if key in c} for c in came["content"]]
            assert back["content"] == words
            assert back.get("phase") == came.get("phase")
        else:
            assert json.dumps(back) == json.dumps(came)


def test_the_test_server_speaks_as_the_api_does() -> None:
    check = TypeAdapter(ResponseStreamEvent)
    for parts in (
        [Say("hello"), Call("a__b", {"x": 1})],
        [Refuse("no")],
        [Say("x"), End("incomplete", "max_output_tokens")],
    ):
        for event in events(parts):
            if not event["type"].startswith(
                ("response.created", "response.in_progress", "response.comp", "response.inc")
            ):
                check.validate_python(event | {"sequence_number": 1, "logprobs": []})


@pytest.mark.parametrize(
    ("parts", "about"),
    [
        ([Call("a__b", {}, "same"), Call("a__c", {}, "same")], "one id"),
        ([Call("", {}, "call_A")], "without a name"),
        ([End("failed", "server_error")], "server_error"),
    ],
)
def test_an_answer_that_cannot_be_used_is_an_error_that_may_be_tried_again(parts: list[Part], about: str) -> None:
    with pytest.raises(ProviderError, match=about) as caught:
        RESPONSES.read(list(events(parts)))
    assert caught.value.retryable


def test_a_failure_of_the_request_itself_is_not_tried_again() -> None:
    with pytest.raises(ProviderError, match="invalid_prompt") as caught:
        RESPONSES.read(list(events([End("failed", "invalid_prompt")])))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "event", [None, 3, [], {}, {"type": "response.output_item.done"}, {"type": "response.completed"}]
)
def test_an_event_of_an_impossible_shape_is_an_error_and_nothing_else(event: Any) -> None:
    with pytest.raises(ProviderError, match="impossible shape"):
        RESPONSES.read([event])


def test_an_event_of_a_kind_not_known_is_passed_over() -> None:
    stream = list(events([Say("ok")]))
    stream.insert(3, {"type": "response.of_the_future", "payload": [1]})
    assert RESPONSES.read(stream)[0].parts == (Text("ok"),)


def test_a_server_that_sends_items_only_at_the_end_is_understood() -> None:
    stream = [event for event in events([Say("ok"), Call("a__b", {}, "c")]) if "output_item" not in event["type"]]
    stream = [event for event in stream if "arguments" not in event["type"]]
    assert [type(part) for part in RESPONSES.read(stream)[0].parts] == [Text, ToolCall]


def test_reasoning_that_led_to_nothing_is_left_out_and_other_items_stay() -> None:
    reasoning, compaction = {"type": "reasoning", "id": "rs"}, {"type": "compaction", "id": "cmp"}
    parts = (Opaque("openai_responses", "reasoning", reasoning), Opaque("openai_responses", "compaction", compaction))
    assert RESPONSES.body(Request("m", "", [Message("assistant", parts)]), ModelProfile())["input"] == [compaction]


def test_results_of_one_step_go_out_in_their_order() -> None:
    calls = tuple(ToolCall(f"c{n}", "a__b", {}) for n in range(5))
    results = tuple(ToolResult(call.id, (Text(call.id),)) for call in calls)
    wire = RESPONSES.body(Request("m", "", [Message("assistant", calls), Message("tool", results)]), ModelProfile())
    assert [item["output"] for item in wire["input"][5:]] == ["c0", "c1", "c2", "c3", "c4"]
