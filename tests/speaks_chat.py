"""Chat Completions, as OpenAI and compatible servers speak it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pairing import check_chat
from spoken import Call, Part, Raw, Refuse, Say, ending, frame, pieces, written

PATH = "/v1/chat/completions"
FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}


def check(body: dict[str, Any]) -> None:
    check_chat(body["messages"])


def results(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body["messages"]
    last = max((n for n, message in enumerate(messages) if message["role"] == "user"), default=-1)
    return [message for message in messages[last + 1 :] if message["role"] == "tool"]


def sse(parts: Sequence[Part], number: int = 1, model: str = "test-model") -> Iterator[bytes]:
    for chunk in chunks(parts, number, model):
        yield frame(chunk)
    yield b"data: [DONE]\n\n"


def chunks(parts: Sequence[Part], number: int = 1, model: str = "test-model") -> Iterator[dict[str, Any]]:
    """The chunks of one answer: a call's first has its id and name, the last has the figures and no choice."""
    base = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1, "model": model}

    def grown(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return base | {"choices": [choice], "usage": None}

    yield grown({"role": "assistant", "content": ""})
    end = ending(parts)
    calls = 0
    for place, part in enumerate(parts):
        match part:
            case Say(text):
                yield from (grown({"content": piece}) for piece in pieces(text))
            case Refuse(text):
                yield from (grown({"refusal": piece}) for piece in pieces(text))
            case Raw(item):
                yield grown(item)
            case Call():
                call = _call(part, number, place) | {"index": calls}
                arguments = call["function"].pop("arguments")
                yield grown({"tool_calls": [call | {"function": call["function"] | {"arguments": ""}}]})
                for piece in pieces(arguments):
                    yield grown({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]})
                calls += 1
    if end and end.status == "failed":
        yield {"error": {"code": end.reason, "message": f"the test says {end.reason}"}}
        return
    yield grown({}, FINISH[end.reason] if end else "tool_calls" if calls else "stop")
    yield base | {"choices": [], "usage": _usage(parts)}


def whole(parts: Sequence[Part], number: int = 1, model: str = "test-model") -> dict[str, Any]:
    end = ending(parts)
    if end and end.status == "failed":
        return {"error": {"code": end.reason, "message": f"the test says {end.reason}"}}
    texts = [part.text for part in parts if isinstance(part, Say)]
    refusals = [part.text for part in parts if isinstance(part, Refuse)]
    calls = [_call(part, number, place) for place, part in enumerate(parts) if isinstance(part, Call)]
    message = {"role": "assistant", "content": "".join(texts) or None, "refusal": "".join(refusals) or None}
    for part in parts:
        message |= part.item if isinstance(part, Raw) else {}
    message |= {"tool_calls": calls} if calls else {}
    finish = FINISH[end.reason] if end else "tool_calls" if calls else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    answer = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1, "model": model}
    return answer | {"choices": [choice], "usage": _usage(parts)}


def _call(part: Call, number: int, place: int) -> dict[str, Any]:
    function = {"name": part.name, "arguments": written(part)}
    return {"id": part.id or f"call_{number}_{place}", "type": "function", "function": function}


def _usage(parts: Sequence[Part]) -> dict[str, Any]:
    output = 10 * len(parts)
    return {
        "prompt_tokens": 100,
        "completion_tokens": output,
        "total_tokens": 100 + output,
        "prompt_tokens_details": {"cached_tokens": 40},
    }
