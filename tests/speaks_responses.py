"""The Responses API, as the real one speaks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pairing import check_wire
from spoken import Call, End, Part, Raw, Refuse, Say, ending, frame, pieces, written

PATH = "/v1/responses"


def check(body: dict[str, Any]) -> None:
    check_wire(body["input"])


def results(body: dict[str, Any]) -> list[dict[str, Any]]:
    items = body["input"]
    last = max((n for n, item in enumerate(items) if item.get("role") == "user"), default=-1)
    return [item for item in items[last + 1 :] if item.get("type") == "function_call_output"]


def sse(parts: Sequence[Part], number: int = 1, model: str = "test-model") -> Iterator[bytes]:
    """The frames of one answer, ids made from its number."""
    for sequence, event in enumerate(events(parts, number, model)):
        yield frame(event | {"sequence_number": sequence}, event["type"])


def whole(parts: Sequence[Part], number: int = 1, model: str = "test-model") -> dict[str, Any]:
    """The answer in one piece: what the last event of a stream holds."""
    response: dict[str, Any] = list(events(parts, number, model))[-1]["response"]
    return response


def events(parts: Sequence[Part], number: int = 1, model: str = "test-model") -> Iterator[dict[str, Any]]:
    """The stream events of one answer, in the order in which the real API sends them."""
    end = ending(parts)
    output = [_item(part, f"{number}_{i}") for i, part in enumerate(parts) if not isinstance(part, End)]
    base = {"id": f"resp_{number}", "object": "response", "created_at": 1, "status": "in_progress", "model": model}
    base |= {"output": [], "error": None, "incomplete_details": None, "usage": None}
    yield {"type": "response.created", "response": base}
    yield {"type": "response.in_progress", "response": base}
    for index, item in enumerate(output):
        yield from _item_events(index, item)
    if end and end.status == "failed":
        failure = {"code": end.reason, "message": f"the test says {end.reason}"}
        yield {"type": "response.failed", "response": base | {"status": "failed", "error": failure}}
        return
    status = end.status if end else "completed"
    final = base | {"status": status, "output": output, "usage": _usage(output)}
    if end:
        final["incomplete_details"] = {"reason": end.reason}
    yield {"type": f"response.{status}", "response": final}


def _item(part: Part, tail: str) -> dict[str, Any]:
    message = {"type": "message", "id": f"msg_{tail}", "role": "assistant", "status": "completed"}
    match part:
        case Say(text):
            return message | {"content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}
        case Refuse(text):
            return message | {"content": [{"type": "refusal", "refusal": text}]}
        case Call(name, _, id):
            call = {"type": "function_call", "id": f"fc_{tail}", "call_id": id or f"call_{tail}", "name": name}
            return call | {"arguments": written(part), "status": "completed"}
        case Raw(item):
            return item
        case _:
            raise TypeError(f"not a part: {part!r}")


def _item_events(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    at = {"output_index": index, "item_id": item.get("id")}
    started = item | {"status": "in_progress"} if "status" in item else item
    if item["type"] == "function_call":
        yield {"type": "response.output_item.added", "output_index": index, "item": started | {"arguments": ""}}
        for piece in pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **at, **done}
    elif item["type"] == "message":
        yield {"type": "response.output_item.added", "output_index": index, "item": started | {"content": []}}
        for number, content in enumerate(item["content"]):
            yield from _content_events(at | {"content_index": number}, content)
    else:
        yield {"type": "response.output_item.added", "output_index": index, "item": started}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _content_events(at: dict[str, Any], content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    key, kind = ("refusal", "refusal") if content["type"] == "refusal" else ("text", "output_text")
    yield {"type": "response.content_part.added", **at, "part": content | {key: ""}}
    for piece in pieces(content[key]):
        yield {"type": f"response.{kind}.delta", **at, "delta": piece}
    yield {"type": f"response.{kind}.done", **at, key: content[key]}
    yield {"type": "response.content_part.done", **at, "part": content}


def _usage(output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 10 * len(output)}
    return usage | {"output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 100 + 10 * len(output)}
