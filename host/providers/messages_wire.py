"""The Messages wire, both ways and pure: a Request becomes a body, stream events become a Reply.

Blocks of kinds that are not ours (thinking with its signature, redacted thinking …) are an Opaque each and go back as
they came. What hangs on a text or a call besides (citations, its caller) is an Opaque of type "text" behind the text,
of type "tool_use" before the call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from host.core.events import Delta
from host.core.settings import ModelProfile
from host.core.types import Blob, Message, Opaque, Part, Stop, Text, ToolCall, ToolResult, ToolSpec, Usage
from host.providers.answers import call, out_of_order, replied, shaped, stopped_short
from host.providers.base import OnDelta, Reply, Request
from host.providers.failures import failed
from host.providers.late import Late, brought, found_late, results
from host.providers.memo import Memo
from host.providers.pictures import not_shown, shows

MAKER = "anthropic"
Item = dict[str, Any]
_OUTPUT = 8_192
_SMALLEST_THOUGHT = 1_024
_MARK = {"cache_control": {"type": "ephemeral"}}
_THOUGHTS = ("thinking", "redacted_thinking")
_STOPS: dict[str, Stop] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "refusal": "refusal",
}


def to_wire(request: Request, profile: ModelProfile, memo: Memo) -> Item:
    """The body of POST /messages. Breakpoints of the prompt cache stand after the tools, after the system prompt and
    at the last message."""
    bound = request.max_output or profile.max_output or min(_OUTPUT, profile.context // 2)
    late = found_late(request, profile)
    messages = _messages(request, profile, memo, dict(late))
    if messages:
        _mark(messages[-1]["content"])
    body: Item = {"model": request.model, "max_tokens": bound, "messages": messages, "stream": profile.stream}
    if request.system:
        body["system"] = [{"type": "text", "text": request.system} | _MARK]
    if request.tools:
        body["tools"] = [_tool(spec) for spec in request.tools if spec.name not in late]
        if body["tools"]:
            _mark(body["tools"])
        body["tools"] += [_tool(spec) | {"defer_loading": True} for spec in late.values()]
        if not profile.parallel_calls:
            body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
    if profile.reasoning == "adaptive":
        body["thinking"] = {"type": "adaptive"}
    elif profile.reasoning == "budget" and bound > 2 * _SMALLEST_THOUGHT:
        body["thinking"] = {"type": "enabled", "budget_tokens": bound // 2}
    if request.json_schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": _strict(request.json_schema)}}
    return body


def _tool(spec: ToolSpec) -> Item:
    return {"name": spec.name, "description": spec.description, "input_schema": dict(spec.input_schema)}


def _mark(blocks: list[Item]) -> None:
    blocks[-1] = blocks[-1] | _MARK


def _strict(schema: Any) -> Any:
    """The schema of an answer in the words this API knows, if they can say it."""
    from anthropic import transform_schema

    try:
        return transform_schema(dict(schema))
    except (ValueError, TypeError, AssertionError):
        return dict(schema)


def _messages(request: Request, profile: ModelProfile, memo: Memo, late: Late) -> list[Item]:
    """Turns of user and assistant, one after the other. Results come first in a user's turn, words behind them."""
    turns: list[Item] = []

    def blocks(message: Message) -> list[Item]:
        return _said(message) if message.role == "assistant" else list(_heard(message, profile))

    for message in request.messages:
        role = "assistant" if message.role == "assistant" else "user"
        content = memo.of(message, blocks)
        if late and message.role == "tool":
            content = _referring(content, message, late)
        if content and turns and turns[-1]["role"] == role:
            turns[-1]["content"] += content
        elif content:
            turns.append({"role": role, "content": [*content]})
    return turns


def _referring(blocks: Sequence[Item], message: Message, late: Late) -> list[Item]:
    """The results of a step with references to the tools that they bring."""
    bring = {result.call_id: [spec.name for spec in brought(result, late)] for result in results(message)}
    refer = {id: [{"type": "tool_reference", "tool_name": name} for name in names] for id, names in bring.items()}
    return [
        block | {"content": [*block["content"], *refer.get(block["tool_use_id"], [])]}
        if block["type"] == "tool_result"
        else block
        for block in blocks
    ]


def _heard(message: Message, profile: ModelProfile) -> Iterator[Item]:
    """What comes from the user's side. An error's result holds words only, so its pictures follow the results."""
    behind: list[Item] = []
    for part in message.parts:
        match part:
            case Text() | Blob():
                yield from _content(part, profile)
            case ToolResult(call_id=id):
                pictures = [b for b in part.content if isinstance(b, Blob) and part.is_error and shows(b, profile)]
                inside = [p for p in part.content if p not in pictures]
                content = [block for p in inside for block in _content(p, profile)]
                result: Item = {"type": "tool_result", "tool_use_id": id, "content": content}
                yield result | ({"is_error": True} if part.is_error else {})
                behind += [block for picture in pictures for block in _content(picture, profile)]
    yield from behind


def _content(part: Text | Blob, profile: ModelProfile) -> Iterator[Item]:
    """The API takes no text that is blank."""
    if isinstance(part, Blob) and shows(part, profile):
        yield {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}
    elif isinstance(part, Blob):
        yield {"type": "text", "text": not_shown(part)}
    elif part.text.strip():
        yield {"type": "text", "text": part.text}


def _said(message: Message) -> list[Item]:
    """An assistant's parts in their order. Thoughts at the end are left out: the API takes them only with what they
    led to."""
    blocks: list[Item] = []
    about: Item = {}
    for part in message.parts:
        match part:
            case Opaque(maker="anthropic", type="text", body=body) if blocks and blocks[-1]["type"] == "text":
                blocks[-1] |= body
            case Opaque(maker="anthropic", type="tool_use", body=body):
                about = body
            case Opaque(maker="anthropic", body=body):
                blocks.append(body)
            case Text(text=text) if text.strip():
                blocks.append({"type": "text", "text": text})
            case ToolCall(id=id, name=name, arguments=arguments):
                blocks.append({"type": "tool_use", "id": id, "name": name, "input": arguments} | about)
                about = {}
    while blocks and blocks[-1]["type"] in _THOUGHTS:
        blocks.pop()
    return blocks


class Accumulator:
    """A client's Answer: of the blocks of a stream only those that were ended count."""

    def __init__(self, on_delta: OnDelta) -> None:
        self._on_delta = on_delta
        self._open: dict[int, Item] = {}
        self._json: dict[int, str] = {}
        self._done: dict[int, list[Part]] = {}
        self._stop_reason: str | None = None
        self._details: Item = {}
        self._usage: Item = {}
        self._late = False

    @property
    def complete(self) -> bool:
        return self._stop_reason is not None

    def feed(self, event: Any) -> None:
        with shaped():
            self._take(event)

    def take(self, whole: Any) -> None:
        with shaped():
            if whole.get("type") == "error":
                raise failed(whole["error"])
            for index, block in enumerate(whole["content"]):
                self._done[index] = _parts(block, json.dumps(block.get("input"), ensure_ascii=False))
            self._end(whole | {"stop_reason": whole.get("stop_reason") or "end_turn"}, whole.get("usage"))

    def _take(self, event: Item) -> None:
        self._late = self._late or (self.complete and event["type"].startswith("content_block"))
        match event["type"]:
            case "message_start":
                self._usage |= event["message"].get("usage") or {}
            case "content_block_start":
                self._start(event["index"], event["content_block"])
            case "content_block_delta":
                self._grow(event["index"], event["delta"])
            case "content_block_stop":
                index = event["index"]
                self._done[index] = _parts(self._open.pop(index), self._json.pop(index, ""))
            case "message_delta":
                self._end(event["delta"], event.get("usage"))
            case "error":
                raise failed(event["error"])

    def _start(self, index: int, block: Item) -> None:
        if index in self._open or index in self._done:
            raise out_of_order()
        self._open[index] = dict(block)
        if block["type"] == "text":
            self._open[index]["text"] = ""
            self._grow(index, {"type": "text_delta", "text": block.get("text") or ""})

    def _grow(self, index: int, delta: Item) -> None:
        block = self._open[index]
        match delta["type"]:
            case "text_delta":
                self._emit(index, "text", len(block["text"]), delta["text"])
                block["text"] += delta["text"]
            case "input_json_delta":
                sofar = self._json.get(index, "")
                if block["type"] == "tool_use":
                    self._emit(index, "args", len(sofar), delta["partial_json"], block.get("id"))
                self._json[index] = sofar + delta["partial_json"]
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + delta["thinking"]
            case "signature_delta":
                block["signature"] = block.get("signature", "") + delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]

    def _emit(self, index: int, of: Any, offset: int, value: str, call_id: str | None = None) -> None:
        if value:
            before = sum(len(parts) for number, parts in self._done.items() if number < index)
            self._on_delta(Delta(before + bool(_extras(self._open[index])), offset, of, value, call_id))

    def _end(self, delta: Item, usage: Item | None) -> None:
        self._usage |= {key: value for key, value in (usage or {}).items() if value is not None}
        self._stop_reason = delta.get("stop_reason") or self._stop_reason
        self._details = delta.get("stop_details") or self._details

    @shaped()
    def reply(self) -> Reply:
        if self._stop_reason is None:
            raise stopped_short()
        if self._late or self._open:
            raise out_of_order()
        parts = [part for index in sorted(self._done) for part in self._done[index]]
        calls = any(isinstance(part, ToolCall) for part in parts)
        stop = _STOPS.get(self._stop_reason, "calls" if calls else "done")
        if stop == "refusal" and not any(isinstance(part, Text) for part in parts) and self._details:
            parts.append(Text(self._details.get("explanation") or "The model refused to answer."))
        return replied(parts, stop, _counted(self._usage))


def _extras(block: Item) -> Item:
    """What hangs on a call besides; that it was called directly is the rule."""
    if block["type"] != "tool_use":
        return {}
    known = ("type", "id", "name", "input")
    return {
        key: value
        for key, value in block.items()
        if key not in known and value is not None and (key, value) != ("caller", {"type": "direct"})
    }


def _parts(block: Item, written: str) -> list[Part]:
    """The parts of one finished block; `written` is the JSON text that streamed for it."""
    match block["type"]:
        case "text" if not block["text"]:
            return []
        case "text":
            about = {"citations": block["citations"]} if block.get("citations") else {}
            return [Text(block["text"]), *([Opaque(MAKER, "text", about)] if about else [])]
        case "tool_use":
            text = written or json.dumps(block.get("input") or {}, ensure_ascii=False)
            made = call(block.get("id"), block.get("name"), text)
            extras = _extras(block)
            return [*([Opaque(MAKER, "tool_use", extras)] if extras else []), made]
        case type:
            return [Opaque(MAKER, type, block | ({"input": json.loads(written)} if "input" in block else {}))]


def _counted(usage: Item) -> Usage:
    """The API counts what it read from the cache and wrote to it beside the input; we count it within."""
    read = usage.get("cache_read_input_tokens") or 0
    write = usage.get("cache_creation_input_tokens") or 0
    fresh = usage.get("input_tokens") or 0
    return Usage(fresh + read + write, usage.get("output_tokens") or 0, read, write)
