"""The strict law of calls and results: each call is answered once, at once, and in the order of the calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host.core.types import Message


def check_wire(items: Sequence[Mapping[str, Any]]) -> None:
    """Raises AssertionError unless the input items of a Responses request keep the law."""
    calls: list[str] = []
    answered: list[str] = []
    for place, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "function_call":
            assert not answered, _say(place, f"call {item['call_id']!r} begins before {calls} are all answered")
            assert item["call_id"] not in calls, _say(place, f"two calls have the id {item['call_id']!r}")
            assert item["name"], _say(place, "a call without a name")
            calls.append(item["call_id"])
        elif kind == "function_call_output":
            expected = calls[len(answered)] if len(answered) < len(calls) else None
            assert item["call_id"] == expected, _say(place, f"output of {item['call_id']!r}, due is {expected!r}")
            answered.append(item["call_id"])
        elif kind == "reasoning" or (kind == "message" and item.get("role") == "assistant"):
            assert not answered, _say(place, f"the assistant goes on before {calls} are all answered")
        else:
            assert not calls, _say(place, f"{kind} of {item.get('role')} stands before the outputs of {calls}")
        if calls and answered == calls:
            calls, answered = [], []
    assert not calls, _say(len(items), f"calls without an output: {calls[len(answered) :]}")


def check_chat(messages: Sequence[Mapping[str, Any]]) -> None:
    """The same law on the messages of a Chat Completions request: the tool messages follow their calls at once."""
    due: list[str] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            expected = due.pop(0) if due else None
            assert message["tool_call_id"] == expected, _say(
                place, f"output of {message['tool_call_id']!r}, due is {expected!r}"
            )
            assert isinstance(message["content"], str), _say(place, "an output that is not a text")
            continue
        assert not due, _say(place, f"{message['role']} stands before the outputs of {due}")
        due = [call["id"] for call in message.get("tool_calls") or ()]
        assert not due or message["role"] == "assistant", _say(place, f"{message['role']} makes calls")
        assert len(set(due)) == len(due), _say(place, f"two calls have one id: {due}")
        assert all(call["function"]["name"] for call in message.get("tool_calls") or ()), _say(place, "a nameless call")
    assert not due, _say(len(messages), f"calls without an output: {due}")


def check_turns(messages: Sequence[Mapping[str, Any]]) -> None:
    """The same law on the messages of a Messages request, with what that API insists on besides: roles take turns,
    results stand first in the turn after their calls, no text is blank, and no turn ends in a thought."""
    due: list[str] = []
    for place, message in enumerate(messages):
        assert message["role"] == ("assistant" if place % 2 else "user"), _say(place, f"out of turn: {message['role']}")
        kinds = [block["type"] for block in message["content"]]
        assert kinds, _say(place, "nothing is said")
        assert all(block["text"].strip() for block in message["content"] if block["type"] == "text"), _say(
            place, "blank"
        )
        ids = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        assert ids == due, _say(place, f"holds the results {ids}, due are {due}")
        assert kinds[: len(ids)] == ["tool_result"] * len(ids), _say(place, f"results do not come first: {kinds}")
        calls = [block for block in message["content"] if block["type"] == "tool_use"]
        assert not calls or message["role"] == "assistant", _say(place, "a user makes calls")
        assert all(isinstance(call["input"], dict) and call["name"] for call in calls), _say(
            place, "a call of no shape"
        )
        assert "thinking" not in kinds[-1], _say(place, "ends in a thought")
        due = [call["id"] for call in calls]
        assert len(set(due)) == len(due), _say(place, f"two calls have one id: {due}")
    assert not due, _say(len(messages), f"calls without a result: {due}")


def check_messages(messages: Sequence[Message]) -> None:
    """The same law on neutral messages: an answer with calls is followed by one message with all their results."""
    due: list[str] = []
    for place, message in enumerate(messages):
        ids = [part.call_id for part in message.parts if part.kind == "tool_result"]
        assert ids == due, f"messages[{place}] of {message.role} holds the results {ids}, due are {due}"
        assert bool(ids) == (message.role == "tool"), f"messages[{place}] of {message.role} holds the results {ids}"
        due = [call.id for call in message.calls]
        assert not due or message.role == "assistant", f"messages[{place}] of {message.role} makes calls"
        assert len(set(due)) == len(due), f"messages[{place}] repeats an id: {due}"
    assert not due, f"calls without a result: {due}"


def _say(place: int, what: str) -> str:
    return f"input[{place}]: {what}"
