"""Each wire against golden files, in both directions, and its streams cut, torn and shuffled."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoken import Call, End, Part, Raw, Refuse, Say
from wires import MESSAGES, WIRES, Wire, as_json

from host.core.errors import ProviderError
from host.core.events import Delta, adapter
from host.core.settings import ModelProfile
from host.core.types import Message, Opaque, Text, ToolCall, ToolResult
from host.providers.base import Reply, Request
from host.providers.memo import Memo

PARTS: list[Part] = [Say("Héllo."), Call("a__b", {"x": "é", "path": "/tmp"}, "call_A"), Call("a__c", {}, "call_B")]
DONE = "response.output_item.done"
every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


def cases(direction: str) -> pytest.MarkDecorator:
    found = [
        pytest.param(wire, json.loads(file.read_text()), id=f"{wire.name}-{file.stem}")
        for wire in WIRES
        for file in wire.golden(direction)
    ]
    return pytest.mark.parametrize(("wire", "case"), found)


@cases("out")
def test_a_request_becomes_exactly_this_body(wire: Wire, case: dict[str, Any]) -> None:
    request = adapter(Request).validate_python(case["request"])
    body = wire.body(request, ModelProfile(**case["profile"]))
    assert body == case["wire"]
    key = "input" if wire.name == "responses" else "messages"
    assert json.dumps(body[key]) == json.dumps(case["wire"][key]), "the order of keys is part of the bytes"
    wire.speaks.check(body)


@cases("out")
def test_a_conversation_written_before_is_written_the_same_again_and_may_change(
    wire: Wire, case: dict[str, Any]
) -> None:
    request = adapter(Request).validate_python(case["request"])
    profile, memo = ModelProfile(**case["profile"]), Memo()
    for size in [*range(1, len(request.messages) + 1), len(request.messages)]:
        part = replace(request, messages=request.messages[:size])
        assert wire.body(part, profile, memo) == wire.body(part, profile)
        memo.sent()
    other = replace(request, messages=[Message("user", (Text("another beginning"),)), *request.messages[1:]])
    assert wire.body(other, profile, memo) == wire.body(other, profile)


@cases("in")
def test_a_stream_becomes_exactly_this_reply(wire: Wire, case: dict[str, Any]) -> None:
    reply, deltas = wire.read(case["events"])
    assert as_json(reply) == case["reply"]
    assert as_json(deltas) == case["deltas"]


@cases("in")
def test_streamed_text_is_the_text_of_the_reply_at_the_places_it_says(wire: Wire, case: dict[str, Any]) -> None:
    reply, deltas = wire.read(case["events"])
    streamed: dict[int, str] = {}
    for delta in deltas:
        assert delta.offset == len(streamed.get(delta.part, ""))
        streamed[delta.part] = streamed.get(delta.part, "") + delta.value
    for number, part in enumerate(reply.parts):
        if isinstance(part, (Text, ToolCall)) and number in streamed:
            assert streamed.pop(number) == (part.text if isinstance(part, (Text, ToolCall)) else "")
    assert not streamed or reply.stop == "length"


@every_wire
def test_an_answer_in_one_piece_is_the_same_answer(wire: Wire) -> None:
    thought = {"type": "redacted_thinking", "data": "x"} if wire is MESSAGES else {"reasoning_content": "Hm."}
    raw = Raw({"type": "reasoning", "id": "r"} if wire.name == "responses" else thought)
    for parts in (
        [raw, *PARTS],
        [Say("ok")],
        [Refuse("no")],
        [Say("cut"), Call("a__b", "{"), End("incomplete", "max_output_tokens")],
    ):
        answer = wire.answer(lambda _: None)
        answer.take(json.loads(json.dumps(wire.speaks.whole(parts))))
        assert answer.reply() == wire.read(wire.decoded(b"".join(wire.speaks.sse(parts))))[0]


@every_wire
@pytest.mark.parametrize("whole", [None, 3, [], {}, {"choices": []}, {"content": [{}]}, {"output": [{}]}])
def test_an_answer_of_an_impossible_shape_is_an_error_and_nothing_else(wire: Wire, whole: Any) -> None:
    answer = wire.answer(lambda _: None)
    with pytest.raises(ProviderError, match="impossible shape"):
        answer.take(whole)


@every_wire
def test_what_only_its_maker_understands_goes_back_to_it_byte_for_byte_and_to_nobody_else(wire: Wire) -> None:
    file = next(file for file in wire.golden("in") if file.stem == "in_opaque")
    reply, _ = wire.read(json.loads(file.read_text())["events"])
    assert any(isinstance(part, Opaque) for part in reply.parts)
    said = Message("assistant", reply.parts)
    results = Message("tool", tuple(ToolResult(call.id, (Text("ok"),)) for call in said.calls))
    request = Request("m", "", [Message("user", (Text("hi"),)), said, results])
    bodies = [part.body for part in reply.parts if isinstance(part, Opaque)]
    secrets = [json.dumps(value) for body in bodies for key, value in body.items() if key in _TELLING]
    assert secrets
    for other in WIRES:
        sent = json.dumps(other.body(request, ModelProfile()))
        for secret in secrets:
            assert (secret in sent) == (other is wire)


_TELLING = ("encrypted_content", "phase", "reasoning_content", "signature", "thinking", "data")


def test_thoughts_stand_where_they_stood_and_untouched() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "a+/=", "of_the_future": {"b": 1, "a": None}}
    hidden = {"type": "redacted_thinking", "data": "z+/="}
    between = {"type": "thinking", "thinking": "more", "signature": "b"}
    parts: list[Part] = [Raw(thinking), Raw(hidden), Say("First."), Raw(between), Call("a__b", {}, "c")]
    reply, _ = MESSAGES.read(MESSAGES.decoded(b"".join(MESSAGES.speaks.sse(parts))))
    said = [Message("user", (Text("x"),)), Message("assistant", reply.parts), Message("tool", (ToolResult("c", ()),))]
    content = MESSAGES.body(Request("m", "", said), ModelProfile())["messages"][1]["content"]
    assert json.dumps(content[:2]) == json.dumps([thinking, hidden])
    assert json.dumps(content[3]) == json.dumps(between)
    assert [block["type"] for block in content] == ["thinking", "redacted_thinking", "text", "thinking", "tool_use"]


def test_the_cache_has_breakpoints_after_tools_after_system_and_at_the_last_message_only() -> None:
    file = next(file for file in MESSAGES.golden("out") if file.stem == "out_parallel_calls")
    case = json.loads(file.read_text())
    request = adapter(Request).validate_python(case["request"] | {"system": "You help."})
    before = json.dumps(case["request"])
    body = MESSAGES.body(request, ModelProfile())
    assert json.dumps(body).count("cache_control") == 3
    assert "cache_control" in body["tools"][-1]
    assert "cache_control" in body["system"][-1]
    assert "cache_control" in body["messages"][-1]["content"][-1]
    assert json.dumps(as_json(request) | {"system": "", "session": ""}).count("cache_control") == 0
    assert json.dumps(case["request"]) == before


def outcome(wire: Wire, events: list[Any]) -> tuple[Reply | None, list[Delta]]:
    """The reply of a stream, or None where it is refused as a whole; nothing else may be raised."""
    deltas: list[Delta] = []
    answer = wire.answer(deltas.append)
    try:
        for event in events:
            answer.feed(event)
        return answer.reply(), deltas
    except ProviderError as error:
        assert error.retryable
        return None, deltas


@every_wire
def test_a_stream_cut_at_any_byte_gives_every_call_whole_or_no_reply(wire: Wire) -> None:
    whole = b"".join(wire.speaks.sse(PARTS))
    full, all_deltas = wire.read(wire.decoded(whole))
    assert [call.id for call in Message("assistant", full.parts).calls] == ["call_A", "call_B"]
    replies = []
    for cut in range(len(whole) + 1):
        reply, deltas = outcome(wire, wire.decoded(whole[:cut]))
        assert deltas == all_deltas[: len(deltas)]
        assert reply is None or (reply.parts, reply.stop) == (full.parts, full.stop)
        replies.append(reply)
    assert replies[-1] == full
    assert replies[len(whole) // 2] is None


def calls_of(reply: Reply | None) -> list[ToolCall]:
    return [part for part in reply.parts if isinstance(part, ToolCall)] if reply else []


def may_run(reply: Reply | None) -> set[tuple[str, str]]:
    """The calls of a reply that would be carried out."""
    calls = calls_of(reply)
    return {(call.name, json.dumps(call.arguments)) for call in calls if not call.malformed}


MEANT = {("a__b", json.dumps({"x": "é", "path": "/tmp"})), ("a__c", "{}")}


@every_wire
def test_no_two_pieces_of_a_stream_that_changed_places_make_a_partial_call(wire: Wire) -> None:
    whole = wire.decoded(b"".join(wire.speaks.sse(PARTS)))
    for first, second in pairwise(range(len(whole))):
        shuffled = list(whole)
        shuffled[first], shuffled[second] = shuffled[second], shuffled[first]
        assert may_run(outcome(wire, shuffled)[0]) <= MEANT, (whole[first], whole[second])


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def mutated(value: Any, draw: Any) -> Any:
    """The value with one thing somewhere inside it replaced."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        return value | {key: mutated(value[key], draw)}
    if isinstance(value, list) and value and draw(st.booleans()):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], mutated(value[place], draw), *value[place + 1 :]]
    return draw(json_values)


@every_wire
@given(data=st.data())
def test_a_malformed_stream_is_refused_or_read_and_never_a_crash(wire: Wire, data: st.DataObject) -> None:
    events = wire.decoded(b"".join(wire.speaks.sse(PARTS)))
    place = data.draw(st.integers(0, len(events) - 1))
    events[place] = mutated(events[place], data.draw)
    try:
        reply, _ = wire.read(events)
    except ProviderError:
        return
    assert all(isinstance(call.arguments, dict) and call.id and call.name for call in calls_of(reply))


@pytest.mark.parametrize(
    ("name", "key", "value"), [("chat", "finish_reason", ["stop"]), ("responses", "output_index", None)]
)
def test_an_impossible_value_is_refused_also_where_it_shows_only_at_the_end(name: str, key: str, value: Any) -> None:
    wire = next(each for each in WIRES if each.name == name)
    events = wire.decoded(b"".join(wire.speaks.sse(PARTS)))
    holders = [holder for event in events for holder in (event, *event.get("choices", ()))]
    done = [holder for holder in holders if holder.get(key) is not None and holder.get("type") in (None, DONE)]
    done[-1][key] = value
    with pytest.raises(ProviderError, match="impossible shape"):
        wire.read(events)


@every_wire
def test_a_call_without_a_name_is_an_error_that_may_be_tried_again(wire: Wire) -> None:
    with pytest.raises(ProviderError, match="without a name") as caught:
        wire.read(wire.decoded(b"".join(wire.speaks.sse([Call("", {}, "call_A")]))))
    assert caught.value.retryable


@every_wire
@pytest.mark.parametrize(("kind", "passing"), [("api_error", True), ("server_error", True), ("invalid_prompt", False)])
def test_an_error_in_place_of_an_answer_says_whether_it_may_be_tried_again(
    wire: Wire, kind: str, passing: bool
) -> None:
    answer = wire.answer(lambda _: None)
    with pytest.raises(ProviderError, match=f"the test says {kind}") as caught:
        answer.take({"type": "error", "error": {"type": kind, "message": f"the test says {kind}"}})
    assert caught.value.retryable == passing
