"""The Responses wire against golden files, in both directions, and a stream cut at every byte."""

import json
from pathlib import Path
from typing import Any

import pytest
from model_server import Call, End, Refuse, Say, events, sse
from openai._streaming import SSEDecoder
from openai.types.responses import ResponseStreamEvent
from pairing import check_wire
from pydantic import TypeAdapter

from host.core.errors import ProviderError
from host.core.events import Delta, adapter, plain
from host.core.settings import ModelProfile
from host.core.types import Message, Opaque, Text, ToolCall, ToolResult
from host.providers.base import Reply, Request
from host.providers.responses_wire import Accumulator, parameters, to_wire

GOLDEN = Path(__file__).parent.parent / "golden" / "responses"


def golden(direction: str) -> list[Any]:
    files = sorted(GOLDEN.glob(f"{direction}_*.json"))
    assert files
    return [pytest.param(json.loads(file.read_text()), id=file.stem) for file in files]


def read(stream: list[dict[str, Any]]) -> tuple[Reply, list[Delta]]:
    deltas: list[Delta] = []
    answer = Accumulator(deltas.append)
    for event in stream:
        answer.feed(event)
    return answer.reply(), deltas


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(plain(value)))


@pytest.mark.parametrize("case", golden("out"))
def test_a_request_becomes_exactly_this_body(case: dict[str, Any]) -> None:
    request = adapter(Request).validate_python(case["request"])
    wire = to_wire(request, ModelProfile(**case["profile"]))
    assert wire == case["wire"]
    assert json.dumps(wire["input"]) == json.dumps(case["wire"]["input"]), "the order of keys is part of the bytes"
    check_wire(wire["input"])


@pytest.mark.parametrize("case", golden("in"))
def test_a_stream_becomes_exactly_this_reply(case: dict[str, Any]) -> None:
    reply, deltas = read(case["events"])
    assert as_json(reply) == case["reply"]
    assert as_json(deltas) == case["deltas"]


@pytest.mark.parametrize("case", golden("in"))
def test_streamed_text_is_the_text_of_the_reply_at_the_places_it_says(case: dict[str, Any]) -> None:
    reply, deltas = read(case["events"])
    streamed: dict[int, str] = {}
    for delta in deltas:
        assert delta.offset == len(streamed.get(delta.part, ""))
        streamed[delta.part] = streamed.get(delta.part, "") + delta.value
    for number, part in enumerate(reply.parts):
        if isinstance(part, Text) or (isinstance(part, ToolCall) and part.text):
            assert streamed.pop(number) == part.text
    assert not streamed or reply.stop == "length"


@pytest.mark.parametrize("case", golden("in"))
def test_what_the_model_said_goes_back_as_it_came(case: dict[str, Any]) -> None:
    reply, _ = read(case["events"])
    wire = to_wire(Request("m", "", [Message("assistant", reply.parts)]), ModelProfile())
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


def test_a_stream_cut_at_any_byte_gives_the_whole_reply_or_none() -> None:
    whole = b"".join(sse([Say("Héllo."), Call("a__b", {"x": "é"}, "call_A"), Call("a__c", {}, "call_B")]))
    full, all_deltas = read(decoded(whole))
    assert [call.id for call in Message("assistant", full.parts).calls] == ["call_A", "call_B"]
    for cut in range(len(whole) + 1):
        deltas: list[Delta] = []
        answer = Accumulator(deltas.append)
        for event in decoded(whole[:cut]):
            answer.feed(event)
        assert deltas == all_deltas[: len(deltas)]
        if cut == len(whole):
            assert answer.reply() == full
        else:
            with pytest.raises(ProviderError) as caught:
                answer.reply()
            assert caught.value.retryable


def decoded(data: bytes) -> list[Any]:
    """The events in these bytes, as the SDK's own decoder finds them; the text may end inside a character."""
    return [frame.json() for frame in SSEDecoder().iter_bytes(iter([data.decode(errors="ignore").encode()]))]


@pytest.mark.parametrize(
    ("parts", "about"),
    [
        ([Call("a__b", {}, "same"), Call("a__c", {}, "same")], "one id"),
        ([Call("", {}, "call_A")], "without a name"),
        ([End("failed", "server_error")], "server_error"),
    ],
)
def test_an_answer_that_cannot_be_used_is_an_error_that_may_be_tried_again(parts: list[Any], about: str) -> None:
    with pytest.raises(ProviderError, match=about) as caught:
        read(list(events(parts)))
    assert caught.value.retryable


def test_a_failure_of_the_request_itself_is_not_tried_again() -> None:
    with pytest.raises(ProviderError, match="invalid_prompt") as caught:
        read(list(events([End("failed", "invalid_prompt")])))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "event", [None, 3, [], {}, {"type": "response.output_item.done"}, {"type": "response.completed"}]
)
def test_an_event_of_an_impossible_shape_is_an_error_and_nothing_else(event: Any) -> None:
    with pytest.raises(ProviderError, match="impossible shape"):
        read([event])


def test_an_event_of_a_kind_not_known_is_passed_over() -> None:
    stream = list(events([Say("ok")]))
    stream.insert(3, {"type": "response.of_the_future", "payload": [1]})
    assert read(stream)[0].parts == (Text("ok"),)


def test_a_server_that_sends_items_only_at_the_end_is_understood() -> None:
    stream = [event for event in events([Say("ok"), Call("a__b", {}, "c")]) if "output_item" not in event["type"]]
    stream = [event for event in stream if "arguments" not in event["type"]]
    assert [type(part) for part in read(stream)[0].parts] == [Text, ToolCall]


def test_reasoning_that_led_to_nothing_is_left_out_and_other_items_stay() -> None:
    reasoning, compaction = {"type": "reasoning", "id": "rs"}, {"type": "compaction", "id": "cmp"}
    parts = (Opaque("openai_responses", "reasoning", reasoning), Opaque("openai_responses", "compaction", compaction))
    assert to_wire(Request("m", "", [Message("assistant", parts)]), ModelProfile())["input"] == [compaction]


def test_results_of_one_step_go_out_in_their_order() -> None:
    calls = tuple(ToolCall(f"c{n}", "a__b", {}) for n in range(5))
    results = tuple(ToolResult(call.id, (Text(call.id),)) for call in calls)
    wire = to_wire(Request("m", "", [Message("assistant", calls), Message("tool", results)]), ModelProfile())
    assert [item["output"] for item in wire["input"][5:]] == ["c0", "c1", "c2", "c3", "c4"]


def test_a_schema_is_changed_on_a_copy_only() -> None:
    schema = {"oneOf": [{"properties": {"a": {"type": "string"}}}], "additionalProperties": False}
    before = json.dumps(schema)
    shown = parameters(schema)
    assert shown == {"additionalProperties": False, "type": "object", "properties": {"a": {"type": "string"}}}
    assert json.dumps(schema) == before
