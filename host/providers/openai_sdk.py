"""What the openai SDK has of what a client needs."""

from __future__ import annotations

from openai import APIConnectionError, APIStatusError, AsyncOpenAI, AsyncStream, OpenAIError

from host.providers.client import Sdk

SDK = Sdk(
    AsyncOpenAI,
    AsyncStream[object],
    "https://api.openai.com/v1",
    OpenAIError,
    APIStatusError,
    APIConnectionError,
)
