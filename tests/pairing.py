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
