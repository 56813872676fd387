"""The client of the Responses API: OpenAI's, and every server that speaks it."""

from __future__ import annotations

from host.providers.client import Client, Wire
from host.providers.openai_sdk import SDK
from host.providers.responses_wire import Accumulator, to_wire


class OpenAIResponses(Client):
    sdk = SDK
    wire = Wire("/responses", "openai", to_wire, Accumulator)
