"""The Chat Completions wire, both ways and pure: a Request becomes a body, chunks become a Reply.

What of a message our nouns cannot say travels in an Opaque: of type "message" (reasoning as the server streamed it,
that the text is a refusal), or of type "tool_call" just before a call (whatever else a server hangs on it).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from host.core.events import Delta
from host.core.settings import ModelProfile
from host.core.types import Blob, Message, Opaque, Part, Stop, Text, ToolCall, ToolResult, ToolSpec, Usage
from host.providers.answers import call, out_of_order, replied, shaped, stopped_short
from host.providers.base import OnDelta, Reply, Request
from host.providers.failures import failed
from host.providers.memo import Memo
from host.providers.pictures import not_shown, shows

MAKER = "openai_chat"
Item = dict[str, Any]
_REASONING = ("reasoning_content", "reasoning", "reasoning_details")
_GROWING = ("content", "refusal", "tool_calls")
_STOPS: dict[str, Stop] = {"length": "length", "max_tokens": "length", "content_filter": "refusal"}


def to_wire(request: Request, profile: ModelProfile, memo: Memo) -> Item:
    """The body of POST /chat/completions, with those keys only that every compatible server knows."""
    body: Item = {"model": request.model, "messages": list(_messages(request, profile, memo)), "stream": profile.stream}
    if profile.stream:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [_tool(spec) for spec in request.tools]
        if not profile.parallel_calls:
            body["parallel_tool_calls"] = False
    if (bound := request.max_output or profile.max_output) is not None:
        body[profile.output_key] = bound
    if request.json_schema is not None:
        answer = {"name": "answer", "schema": dict(request.json_schema), "strict": False}
        body["response_format"] = {"type": "json_schema", "json_schema": answer}
    return body


def _tool(spec: ToolSpec) -> Item:
    function = {"name": spec.name, "description": spec.description, "parameters": dict(spec.input_schema)}
    return {"type": "function", "function": function}


def _messages(request: Request, profile: ModelProfile, memo: Memo) -> Iterator[Item]:
    """The conversation. What comes from the user's side between two answers is one message: many servers insist
    that the roles take turns."""
    if request.system:
        yield {"role": "system", "content": request.system}
    said: list[Item] = []

    def written(message: Message) -> tuple[list[Item], list[Item]]:
        return _written(message, profile)

    for message in request.messages:
        items, words = memo.of(message, written)
        if said and message.role == "assistant":
            yield {"role": "user", "content": _whole(said)}
            said = []
        yield from items
        said += words
    if said:
        yield {"role": "user", "content": _whole(said)}


def _written(message: Message, profile: ModelProfile) -> tuple[list[Item], list[Item]]:
    """The messages that one of ours becomes, and what it adds to the user's next one."""
    match message.role:
        case "user":
            return [], [_content(part, profile) for part in message.parts if isinstance(part, (Text, Blob))]
        case "assistant":
            item = _assistant(message)
            return [item] if item else [], []
        case "tool":
            results = [part for part in message.parts if isinstance(part, ToolResult)]
            return [_result(result, profile) for result in results], list(_pictures(results, profile))


def _content(part: Text | Blob, profile: ModelProfile) -> Item:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if shows(part, profile):
        return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{part.data}"}}
    return {"type": "text", "text": not_shown(part)}


def _whole(content: list[Item]) -> str | list[Item]:
    """A text where there is nothing but text: older servers take no list."""
    if all(item["type"] == "text" for item in content):
        return "\n\n".join(item["text"] for item in content)
    return content


def _assistant(message: Message) -> Item | None:
    text = ""
    about: Item = {}
    extras: Item = {}
    calls: list[Item] = []
    for part in message.parts:
        match part:
            case Opaque(maker="openai_chat", type="message", body=body):
                about |= body
            case Opaque(maker="openai_chat", type="tool_call", body=body):
                extras = body
            case Text():
                text += part.text
            case ToolCall():
                # Many servers read the text anew to put it into their own prompt, and refuse what is not JSON.
                function = {"name": part.name, "arguments": "{}" if part.malformed else part.text or "{}"}
                calls.append({"id": part.id, "type": "function", "function": function} | extras)
                extras = {}
    refused = about.get("refusal") is True
    item: Item = {"role": "assistant", "content": None if refused or not text else text}
    item |= {key: value for key, value in about.items() if key != "refusal"} | ({"refusal": text} if refused else {})
    if calls:
        item["tool_calls"] = calls
    return item if text or calls else None


def _result(result: ToolResult, profile: ModelProfile) -> Item:
    """A tool message holds text only and has no flag for an error, so lines say what is wrong and what follows."""
    lines = ["[error]"] if result.is_error else []
    for part in result.content:
        if isinstance(part, Text):
            lines.append(part.text)
        elif shows(part, profile):
            lines.append(f"[{part.media_type}: shown in the message after the results]")
        else:
            lines.append(not_shown(part))
    return {"role": "tool", "tool_call_id": result.call_id, "content": "\n".join(lines)}


def _pictures(results: Iterable[ToolResult], profile: ModelProfile) -> Iterator[Item]:
    for result in results:
        blobs = [part for part in result.content if isinstance(part, Blob) and shows(part, profile)]
        if blobs:
            yield {"type": "text", "text": f"[from the result of {result.call_id}, not from the user]"}
            yield from (_content(blob, profile) for blob in blobs)


@dataclass(slots=True)
class _Piece:
    """Something of the answer that grows: what it is, and where it stands among the parts. A call has the id that
    it goes by, and the one that the server has `given`."""

    of: Literal["message", "text", "refusal", "call"]
    part: int
    text: str = ""
    about: Item = field(default_factory=dict)
    id: str | None = None
    given: str | None = None
    name: str | None = None
    index: int | None = None


class Accumulator:
    """A client's Answer. `new_id` gives ids to the calls of servers that give none or one twice."""

    def __init__(self, on_delta: OnDelta, new_id: Callable[[], str]) -> None:
        self._on_delta = on_delta
        self._new_id = new_id
        self._pieces: list[_Piece] = []
        self._finish: str | None = None
        self._late = False
        self._usage: Item = {}

    @property
    def complete(self) -> bool:
        return self._finish is not None

    def feed(self, event: Any) -> None:
        with shaped():
            self._take(event)

    def take(self, whole: Any) -> None:
        with shaped():
            if whole.get("error"):
                raise failed(whole["error"])
            choice = whole["choices"][0]
            message = dict(choice["message"])
            message["tool_calls"] = [{"index": n} | one for n, one in enumerate(message.get("tool_calls") or ())]
            finish = choice.get("finish_reason") or "stop"
            self._take(whole | {"choices": [{"delta": message, "finish_reason": finish}]})

    def _take(self, chunk: Item) -> None:
        self._usage = chunk.get("usage") or self._usage
        for choice in (chunk.get("choices") or ())[:1]:
            self._usage = choice.get("usage") or self._usage
            if choice.get("error"):
                raise failed(choice["error"])
            delta = choice.get("delta") or {}
            self._late = self._late or (self.complete and any(delta.get(key) for key in _GROWING))
            if not self.complete:
                self._grow(delta)
            self._finish = choice.get("finish_reason") or self._finish

    def _grow(self, delta: Item) -> None:
        if thought := {key: delta[key] for key in _REASONING if delta.get(key)}:
            about = self._piece("message").about
            for key, value in thought.items():
                about[key] = about[key] + value if key in about else value
        self._say("text", _words(delta.get("content")))
        self._say("refusal", delta.get("refusal") or "")
        for fragment in delta.get("tool_calls") or ():
            self._call(fragment)

    def _piece(self, of: Literal["message", "text", "refusal"]) -> _Piece:
        """The answer's one piece of this kind, begun if it is not there yet."""
        found = next((piece for piece in self._pieces if piece.of == of), None)
        return found or self._begin(of)

    def _begin(self, of: Literal["message", "text", "refusal", "call"], extras: Item | None = None) -> _Piece:
        before = sum(1 + (p.of == "refusal" or (p.of == "call" and bool(p.about))) for p in self._pieces)
        piece = _Piece(of, before + (of == "refusal" or bool(extras)), about=extras or {})
        self._pieces.append(piece)
        return piece

    def _say(self, of: Literal["text", "refusal"], words: str) -> None:
        if words:
            piece = self._piece(of)
            self._on_delta(Delta(piece.part, len(piece.text), "text", words))
            piece.text += words

    def _call(self, fragment: Item) -> None:
        function = fragment.get("function") or {}
        piece = self._meant(fragment, function)
        piece.name = piece.name or function.get("name")
        words = function.get("arguments")
        if isinstance(words, (dict, list)):
            words = json.dumps(words, ensure_ascii=False)
        if words:
            self._on_delta(Delta(piece.part, len(piece.text), "args", words, piece.id))
            piece.text += words

    def _meant(self, fragment: Item, function: Item) -> _Piece:
        """The call that a fragment belongs to. Servers tell calls apart by index, by id, or by beginning anew."""
        index, id, name = fragment.get("index"), fragment.get("id"), function.get("name")
        calls = [piece for piece in self._pieces if piece.of == "call"]
        same = [piece for piece in calls if piece.index == index]
        if same and not _anew(same[-1], id, name):
            return same[-1]
        extras = {key: value for key, value in fragment.items() if key not in ("index", "id", "type", "function")}
        piece = self._begin("call", {key: value for key, value in extras.items() if value is not None})
        piece.index, piece.given = index, id
        piece.id = self._new_id() if not id or any(other.given == id for other in calls) else id
        return piece

    @shaped()
    def reply(self) -> Reply:
        if self._finish is None:
            raise stopped_short()
        if self._late:
            raise out_of_order()
        parts = [part for piece in self._pieces for part in _parts(piece, self._stopped)]
        return replied(parts, self._stop(), _usage(self._usage))

    @property
    def _stopped(self) -> bool:
        """The answer was cut, so that what its calls hold does not count."""
        return self._finish in _STOPS

    def _stop(self) -> Stop:
        kinds = {piece.of for piece in self._pieces}
        if self._finish in ("error", "cancelled", "abort"):
            raise failed(f"the server ended it with {self._finish!r}")
        if self._finish in _STOPS:
            return _STOPS[self._finish]
        return "calls" if "call" in kinds else "refusal" if "refusal" in kinds else "done"


def _words(content: Any) -> str:
    """Text as it is, or the text among the items of a list."""
    if isinstance(content, list):
        return "".join(item.get("text") or "" for item in content if item.get("type") == "text")
    return content or ""


def _anew(piece: _Piece, id: str | None, name: str | None) -> bool:
    """Whether a fragment with this id and name begins a call of its own beside `piece`."""
    if id and piece.given:
        return id != piece.given
    return bool(name and piece.name) and (name != piece.name or _finished(piece.text))


def _finished(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parts(piece: _Piece, stopped: bool) -> Iterator[Part]:
    if piece.of == "message":
        yield Opaque(MAKER, "message", piece.about)
    elif piece.of == "call":
        if not stopped:
            if piece.about:
                yield Opaque(MAKER, "tool_call", piece.about)
            yield call(piece.id, piece.name, piece.text)
    else:
        if piece.of == "refusal":
            yield Opaque(MAKER, "message", {"refusal": True})
        yield Text(piece.text)


def _usage(usage: Item) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        usage.get("prompt_tokens") or 0,
        usage.get("completion_tokens") or 0,
        details.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0,
        details.get("cache_write_tokens") or 0,
    )
