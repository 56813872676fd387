"""The client of the Messages API: Anthropic's, and every server that speaks it."""

from __future__ import annotations

from anthropic import AnthropicError, APIConnectionError, APIStatusError, AsyncAnthropic, AsyncStream

from host.providers.client import Client, Sdk, Wire
from host.providers.messages_wire import Accumulator, to_wire


class AnthropicMessages(Client):
    sdk = Sdk(
        AsyncAnthropic,
        AsyncStream[object],
        "https://api.anthropic.com/v1",
        AnthropicError,
        APIStatusError,
        APIConnectionError,
    )
    wire = Wire("/messages", "anthropic", to_wire, Accumulator)
