"""Chat Completions for models that make no calls of their own (`tool_mode = "schema"`): the tools are told in words,
and each answer must be one JSON object, a call or a reply. A thing with a name of a known form, such as C-001, can
only be one that stands in the conversation: no name is made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic_core import from_json

from host.core.events import Delta
from host.core.settings import ModelProfile
from host.core.types import Message, Part, Text, ToolCall, ToolResult, ToolSpec
from host.providers import chat_wire
from host.providers.answers import replied
from host.providers.base import OnDelta, Reply, Request
from host.providers.dialect import DIALECTS, Unfit, fitted
from host.providers.memo import Memo
from host.providers.planner_slots import slots
from host.providers.planner_values import matching

Schema = dict[str, Any]
HOW = """\
You can use tools. Answer with one JSON object and nothing else: {"tool": NAME, "arguments": {...}} to use a tool, of \
which you are then shown the result, or {"reply": TEXT} to answer the user. Use a tool whenever one helps; reply when \
you have what the user wants, or must ask them.

The tools:
"""


def to_wire(request: Request, profile: ModelProfile, memo: Memo) -> Schema:
    """The body of POST /chat/completions, without tools: they stand in the system prompt and in the answer's form."""
    if not request.tools:
        return chat_wire.to_wire(request, profile, memo)
    seen = "\n".join(_seen(request.messages))
    forms = [(spec, form) for spec in request.tools if (form := _form(spec, seen)) is not None]
    told = HOW + "\n".join(f"- {spec.name}: {spec.description} Arguments: {json.dumps(form)}" for spec, form in forms)
    plain = replace(
        request,
        system=f"{request.system}\n\n{told}" if request.system else told,
        messages=[memo.of(message, _told) for message in request.messages],
        tools=(),
        json_schema={"oneOf": [*(_call(spec.name, form) for spec, form in forms), _reply(request.json_schema)]},
    )
    return chat_wire.to_wire(plain, profile, memo)


def _seen(messages: Sequence[Message]) -> Iterator[str]:
    """What was said by anyone but the model."""
    for message in messages:
        for part in message.parts if message.role != "assistant" else ():
            for inner in part.content if isinstance(part, ToolResult) else (part,):
                if isinstance(inner, Text):
                    yield inner.text


def _form(spec: ToolSpec, seen: str) -> Schema | None:
    """The arguments' schema with the names that may be given; None if one is needed and there is none."""
    form = dict(spec.input_schema)
    properties = dict(form.get("properties") or {})
    for slot in slots(form):
        if slot.type != "string" or slot.choices or not slot.shaped:
            continue
        if values := matching(slot, seen):
            properties[slot.name] = {**slot.schema, "enum": values}
        elif slot.required:
            return None
        else:
            del properties[slot.name]
    return form | {"properties": properties}


def _call(name: str, form: Schema) -> Schema:
    return _object({"tool": {"const": name}, "arguments": form})


def _reply(wanted: Mapping[str, Any] | None) -> Schema:
    try:
        return _object({"reply": {"type": "string"} if wanted is None else fitted(wanted, DIALECTS["plain"])})
    except Unfit:
        return _object({"reply": {}})


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _told(message: Message) -> Message:
    """A message in the words of this mode."""
    match message.role:
        case "assistant":
            calls = [part for part in message.parts if isinstance(part, ToolCall)]
            lines = [_json({"tool": call.name, "arguments": dict(call.arguments or {})}) for call in calls]
            return replace(message, parts=(Text("\n".join(lines or [_json({"reply": message.text})])),))
        case "tool":
            return replace(message, role="user", parts=tuple(_results(message)))
    return message


def _results(message: Message) -> Iterator[Part]:
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield Text("[The result of the call, an error]" if part.is_error else "[The result of the call]")
            yield from part.content


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class Accumulator(chat_wire.Accumulator):
    """The answer's object, as it grows and when it is whole. Of a reply the words are given out, of a call nothing."""

    def __init__(self, on_delta: OnDelta, new_id: Callable[[], str]) -> None:
        super().__init__(self._grown, new_id)
        self._give, self._id = on_delta, new_id
        self._text = self._given = ""

    def _grown(self, delta: Delta) -> None:
        if delta.of != "text":
            return self._give(delta)
        self._text += delta.value
        words = _read(self._text, partial=True).get("reply")
        if isinstance(words, str) and len(words) > len(self._given):
            self._give(Delta(delta.part, len(self._given), "text", words[len(self._given) :]))
            self._given = words
        return None

    def reply(self) -> Reply:
        answer = super().reply()
        if answer.stop not in ("done", "length"):
            return answer
        text = "".join(part.text for part in answer.parts if isinstance(part, Text))
        said = _read(text, partial=answer.stop == "length")
        if answer.stop == "done" and isinstance(said.get("tool"), str):
            arguments = said.get("arguments")
            called = ToolCall(self._id(), said["tool"], arguments if isinstance(arguments, dict) else {})
            return replied((called,), "calls", answer.usage)
        words = said.get("reply", "" if "tool" in said else text)
        others = [part for part in answer.parts if not isinstance(part, Text)]
        parts = [*others, Text(words if isinstance(words, str) else _json(words))]
        return replace(answer, parts=tuple(part for part in parts if not isinstance(part, Text) or part.text))


def _read(text: str, partial: bool = False) -> Schema:
    """The object in an answer; {} where the server did not enforce the form."""
    try:
        found = from_json(text.strip(), allow_inf_nan=False, allow_partial="trailing-strings" if partial else False)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
