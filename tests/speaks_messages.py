"""The Messages API, as Anthropic speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pairing import check_turns
from spoken import Call, Part, Raw, Refuse, Say, ending, frame, pieces, written

PATH = "/v1/messages"
STOPS = {"max_output_tokens": "max_tokens", "content_filter": "refusal", "pause": "pause_turn"}


def check(body: dict[str, Any]) -> None:
    assert isinstance(body.get("max_tokens"), int), "max_tokens is required"
    check_turns(body["messages"])


def results(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body["messages"]
    spoken = [n for n, message in enumerate(messages) if any(block["type"] == "text" for block in _heard(message))]
    since = messages[max(spoken, default=-1) + 1 :]
    return [block for message in since for block in _heard(message) if block["type"] == "tool_result"]


def _heard(message: dict[str, Any]) -> list[dict[str, Any]]:
    return message["content"] if message["role"] == "user" else []


def sse(parts: Sequence[Part], number: int = 1, model: str = "test-model") -> Iterator[bytes]:
    for event in events(parts, number, model):
        yield frame(event, event["type"])


def events(parts: Sequence[Part], number: int = 1, model: str = "test-model") -> Iterator[dict[str, Any]]:
    """The stream events of one answer, in the order in which the real API sends them."""
    answer = whole(parts, number, model)
    begun = answer | {"content": [], "stop_reason": None, "usage": answer["usage"] | {"output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, (block, text) in enumerate(_blocks(parts, number)):
        yield from _block(index, block, text)
    end = ending(parts)
    if end and end.status == "failed":
        yield {"type": "error", "error": {"type": end.reason, "message": f"the test says {end.reason}"}}
        return
    delta = {key: answer[key] for key in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": answer["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}


def _block(index: int, block: dict[str, Any], text: str) -> Iterator[dict[str, Any]]:
    empty = {"tool_use": {"input": {}}, "text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}
    deltas: list[dict[str, Any]] = []
    match block["type"]:
        case "tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(text))]
        case "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(text)]
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
    yield {"type": "content_block_start", "index": index, "content_block": block | empty.get(block["type"], {})}
    yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
    yield {"type": "content_block_stop", "index": index}


def whole(parts: Sequence[Part], number: int = 1, model: str = "test-model") -> dict[str, Any]:
    end = ending(parts)
    stop = "tool_use" if any(isinstance(part, Call) for part in parts) else "end_turn"
    if any(isinstance(part, Refuse) for part in parts):
        stop = "refusal"
    if end:
        stop = STOPS.get(end.reason, stop)
    usage = {"input_tokens": 60, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 0}
    usage["output_tokens"] = 10 * len(parts)
    content = [block for block, _ in _blocks(parts, number)]
    answer = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model, "content": content}
    return answer | {"stop_reason": stop, "stop_sequence": None, "usage": usage}


def _blocks(parts: Sequence[Part], number: int) -> Iterator[tuple[dict[str, Any], str]]:
    """Each block, and the text that streams for it."""
    for place, part in enumerate(parts):
        match part:
            case Say(text) | Refuse(text):
                yield {"type": "text", "text": text}, text
            case Raw(item):
                yield item, ""
            case Call(name, arguments, id):
                known = arguments if isinstance(arguments, dict) else _object(arguments)
                block = {"type": "tool_use", "id": id or f"call_{number}_{place}", "name": name, "input": known}
                yield block, written(part)


def _object(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {}
