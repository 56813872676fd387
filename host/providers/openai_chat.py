"""The client of Chat Completions: OpenAI's, and every compatible server."""

from __future__ import annotations

import secrets
from dataclasses import replace

from host.core.settings import ModelProfile
from host.providers import schema_mode
from host.providers.base import OnDelta
from host.providers.chat_wire import Accumulator, to_wire
from host.providers.client import Client, Wire
from host.providers.openai_sdk import SDK


def new_id() -> str:
    """An id for a call of a server that gives none."""
    return f"call_{secrets.token_hex(8)}"


def answer(on_delta: OnDelta) -> Accumulator:
    return Accumulator(on_delta, new_id)


def answer_in_schema(on_delta: OnDelta) -> Accumulator:
    return schema_mode.Accumulator(on_delta, new_id)


class OpenAIChat(Client):
    sdk = SDK
    wire = Wire("/chat/completions", "openai", to_wire, answer)
    in_schema = replace(wire, dialect="plain", to_wire=schema_mode.to_wire, answer=answer_in_schema)

    def wire_for(self, profile: ModelProfile) -> Wire:
        return self.in_schema if profile.tool_mode == "schema" else self.wire
