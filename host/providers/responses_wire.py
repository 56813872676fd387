"""The Responses wire, both ways and pure: a Request becomes a body, stream events become a Reply.

What of a message our nouns cannot say (its phase, that it is a refusal) travels in an Opaque of type "message" just
before the Text; items of other kinds (reasoning, compaction …) are an Opaque each and go back as they came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from host.core.events import Delta
from host.core.settings import ModelProfile
from host.core.types import Blob, Message, Opaque, Part, Stop, Text, ToolCall, ToolResult, ToolSpec, Usage
from host.providers.answers import call, replied, shaped, stopped_short
from host.providers.base import OnDelta, Reply, Request
from host.providers.failures import failed
from host.providers.late import Late, brought, found_late, results
from host.providers.memo import Memo
from host.providers.pictures import not_shown, shows

MAKER = "openai_responses"
Item = dict[str, Any]


def to_wire(request: Request, profile: ModelProfile, memo: Memo) -> dict[str, Any]:
    """The body of POST /responses. Nothing is kept at the provider: the whole conversation is sent each time."""

    def items(message: Message) -> list[Item]:
        return list(_items(message, profile))

    late = found_late(request, profile)
    tools = [_tool(spec) for spec in request.tools if spec.name not in late]
    body: dict[str, Any] = {
        "model": request.model,
        "input": [item for m in request.messages for item in (*memo.of(m, items), *_additional(m, late))],
        "store": False,
        "stream": profile.stream,
    }
    if request.system:
        body["instructions"] = request.system
    if request.tools:
        body["tools"] = tools
        body["parallel_tool_calls"] = profile.parallel_calls
    if profile.reasoning == "encrypted":
        body["include"] = ["reasoning.encrypted_content"]
    if request.session:
        body["prompt_cache_key"] = request.session
    if (bound := request.max_output or profile.max_output) is not None:
        body["max_output_tokens"] = bound
    if request.json_schema is not None:
        answer = {"type": "json_schema", "name": "answer", "schema": dict(request.json_schema), "strict": False}
        body["text"] = {"format": answer}
    return body


def _tool(spec: ToolSpec) -> Item:
    return {
        "type": "function",
        "name": spec.name,
        "description": spec.description,
        "parameters": dict(spec.input_schema),
        "strict": False,
    }


def _additional(message: Message, late: Late) -> Iterator[Item]:
    """The tools that the results of a step bring stand behind them."""
    if late and (specs := [spec for result in results(message) for spec in brought(result, late)]):
        yield {"type": "additional_tools", "role": "developer", "tools": [_tool(spec) for spec in specs]}


def _items(message: Message, profile: ModelProfile) -> Iterator[Item]:
    match message.role:
        case "user":
            content = [_content(part, profile) for part in message.parts if isinstance(part, (Text, Blob))]
            yield {"type": "message", "role": "user", "content": content}
        case "tool":
            for part in message.parts:
                if isinstance(part, ToolResult):
                    yield {"type": "function_call_output", "call_id": part.call_id, "output": _output(part, profile)}
        case "assistant":
            yield from _said(message)


def _said(message: Message) -> Iterator[Item]:
    """An assistant's parts in their order. Reasoning at the end is left out: the API takes it only with what
    it led to."""
    about: Item = {}
    last = max((n for n, part in enumerate(message.parts) if not isinstance(part, Opaque)), default=-1)
    for number, part in enumerate(message.parts):
        match part:
            case Opaque(maker="openai_responses", type="message", body=body):
                about = body
            case Opaque(maker="openai_responses", type=type, body=body) if number < last or type != "reasoning":
                yield body
            case Text(text=text) if text:
                yield _message(text, about)
                about = {}
            case ToolCall(id=id, name=name):
                yield {"type": "function_call", "call_id": id, "name": name, "arguments": part.text}


def _message(text: str, about: Item) -> Item:
    content = {"type": "refusal", "refusal": text} if about.get("refusal") else {"type": "output_text", "text": text}
    phase = {"phase": about["phase"]} if "phase" in about else {}
    return {"type": "message", "role": "assistant", "content": [content]} | phase


def _output(result: ToolResult, profile: ModelProfile) -> str | list[Item]:
    """A text, or a list where there is a picture. The wire has no flag for an error, so a line says it."""
    content = [_content(part, profile) for part in result.content]
    if result.is_error:
        content.insert(0, {"type": "input_text", "text": "[error]"})
    if any(item["type"] != "input_text" for item in content):
        return content
    return "\n".join(item["text"] for item in content)


def _content(part: Text | Blob, profile: ModelProfile) -> Item:
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    if shows(part, profile):
        return {"type": "input_image", "image_url": f"data:{part.media_type};base64,{part.data}"}
    return {"type": "input_text", "text": not_shown(part)}


class Accumulator:
    """A client's Answer: of the items of a stream only the finished ones count."""

    def __init__(self, on_delta: OnDelta) -> None:
        self._on_delta = on_delta
        self._heads: dict[int, Item] = {}
        self._done: dict[int, tuple[Part, ...]] = {}
        self._parts: dict[tuple[int, int], int] = {}
        self._lengths: dict[tuple[int, int], int] = {}
        self._end: Item | None = None
        self._cut = False

    @property
    def complete(self) -> bool:
        return self._end is not None

    def feed(self, event: Any) -> None:
        with shaped():
            self._take(event)

    def take(self, whole: Any) -> None:
        with shaped():
            if whole.get("error"):
                raise failed(whole["error"])
            self._take({"type": f"response.{whole.get('status', 'completed')}", "response": whole})
            self._done = {number: tuple(_parts(item)) for number, item in enumerate(whole["output"])}

    def _take(self, event: Item) -> None:
        match event["type"]:
            case "response.output_item.added":
                self._heads[event["output_index"]] = event["item"]
            case "response.output_item.done":
                self._done[event["output_index"]] = tuple(_parts(event["item"]))
            case "response.output_text.delta":
                self._emit(event, "text", refusal=False)
            case "response.refusal.delta":
                self._emit(event, "text", refusal=True)
            case "response.function_call_arguments.delta":
                self._emit(event, "args", refusal=False)
            case "response.completed" | "response.incomplete":
                self._end, self._cut = event["response"], event["type"] == "response.incomplete"
                for number, item in enumerate(self._end.get("output") or ()):
                    self._done.setdefault(number, tuple(_parts(item)))
            case "response.failed":
                raise failed(event["response"].get("error") or {})
            case "error":
                raise failed(event.get("error") or event)

    def _emit(self, event: Item, of: Any, *, refusal: bool) -> None:
        key = (event["output_index"], event.get("content_index", 0))
        head = self._heads.get(key[0], {})
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = self._before(key) + (refusal or bool(head.get("phase")))
        offset = self._lengths.get(key, 0)
        self._lengths[key] = offset + len(event["delta"])
        self._on_delta(Delta(part, offset, of, event["delta"], head["call_id"] if of == "args" else None))

    def _before(self, key: tuple[int, int]) -> int:
        """How many parts of the reply stand before this piece."""
        finished = sum(len(parts) for number, parts in self._done.items() if number < key[0])
        streaming = [part for seen, part in self._parts.items() if seen < key and seen[0] not in self._done]
        return max([finished, *(part + 1 for part in streaming)])

    @shaped()
    def reply(self) -> Reply:
        if self._end is None:
            raise stopped_short()
        parts = [part for number in sorted(self._done) for part in self._done[number]]
        return replied(parts, self._stop(parts), _usage(self._end.get("usage") or {}))

    def _stop(self, parts: list[Part]) -> Stop:
        assert self._end is not None
        if self._cut:
            why = (self._end.get("incomplete_details") or {}).get("reason")
            return "refusal" if why == "content_filter" else "length"
        if any(isinstance(part, ToolCall) for part in parts):
            return "calls"
        refused = any(
            isinstance(part, Opaque) and part.type == "message" and part.body.get("refusal") for part in parts
        )
        return "refusal" if refused else "done"


def _parts(item: Item) -> Iterator[Part]:
    """The parts of one finished item."""
    match item["type"]:
        case "message":
            for content in item["content"]:
                yield from _spoken(content, item.get("phase"))
        case "function_call" if item.get("status") == "incomplete":
            return
        case "function_call":
            yield call(item.get("call_id"), item.get("name"), item.get("arguments") or "")
        case type:
            yield Opaque(MAKER, type, item)


def _spoken(content: Item, phase: str | None) -> Iterator[Part]:
    refused = content["type"] == "refusal"
    text = content["refusal"] if refused else content.get("text", "")
    about = ({"phase": phase} if phase else {}) | ({"refusal": True} if refused else {})
    if not text:
        return
    if about:
        yield Opaque(MAKER, "message", about)
    yield Text(text)


def _usage(usage: Item) -> Usage:
    details = usage.get("input_tokens_details") or {}
    return Usage(
        usage.get("input_tokens") or 0,
        usage.get("output_tokens") or 0,
        details.get("cached_tokens") or 0,
        details.get("cache_write_tokens") or 0,
    )
