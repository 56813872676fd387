"""The three wires for tests: both directions, the API as it is played, and the client."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import speaks_chat
import speaks_messages
import speaks_responses
from anthropic._streaming import SSEDecoder as AnthropicDecoder
from openai._streaming import SSEDecoder

from host.core.events import Delta, plain
from host.core.settings import ModelProfile
from host.providers import chat_wire, messages_wire, responses_wire
from host.providers.anthropic_messages import AnthropicMessages
from host.providers.base import OnDelta, Reply, Request
from host.providers.client import Answer, Client
from host.providers.dialect import DIALECTS, fitted
from host.providers.memo import Memo
from host.providers.openai_chat import OpenAIChat
from host.providers.openai_responses import OpenAIResponses

GOLDEN = Path(__file__).parent.parent / "golden"


@dataclass(frozen=True)
class Wire:
    name: str
    client: type[Client]
    to_wire: Callable[[Request, ModelProfile, Memo], dict[str, Any]]
    answer: Callable[[OnDelta], Answer]
    speaks: Any
    maker: str

    def body(self, request: Request, profile: ModelProfile, memo: Memo | None = None) -> dict[str, Any]:
        """A request's body, its tools fitted to the wire's usual dialect."""
        dialect = DIALECTS[self.client.wire.dialect]
        tools = [replace(spec, input_schema=fitted(spec.input_schema, dialect)) for spec in request.tools]
        return self.to_wire(replace(request, tools=tools), profile, memo or Memo())

    def read(self, stream: Sequence[Any]) -> tuple[Reply, list[Delta]]:
        """What a whole stream of events becomes."""
        deltas: list[Delta] = []
        answer = self.answer(deltas.append)
        for event in stream:
            answer.feed(event)
        return answer.reply(), deltas

    def decoded(self, data: bytes) -> list[Any]:
        """The events in these bytes, as the SDK's own decoder finds them; the text may end inside a character."""
        decoder = AnthropicDecoder() if self.name == "messages" else SSEDecoder()
        frames = decoder.iter_bytes(iter([data.decode(errors="ignore").encode()]))
        return [frame.json() for frame in frames if not frame.data.startswith("[DONE]")]

    def golden(self, direction: str) -> list[Path]:
        found = sorted((GOLDEN / self.name).glob(f"{direction}_*.json"))
        assert found
        return found


def chat_answer(on_delta: OnDelta) -> Answer:
    numbers = count(1)
    return chat_wire.Accumulator(on_delta, lambda: f"call_made_{next(numbers)}")


RESPONSES = Wire(
    "responses",
    OpenAIResponses,
    responses_wire.to_wire,
    responses_wire.Accumulator,
    speaks_responses,
    "openai_responses",
)
CHAT = Wire("chat", OpenAIChat, chat_wire.to_wire, chat_answer, speaks_chat, "openai_chat")
MESSAGES = Wire(
    "messages", AnthropicMessages, messages_wire.to_wire, messages_wire.Accumulator, speaks_messages, "anthropic"
)
WIRES = (RESPONSES, CHAT, MESSAGES)


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(plain(value)))
