"""What is known of models, as data: defaults that [providers.NAME.models."MODEL"] overrides key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from host.core.settings import ModelProfile, ProviderConfig, Reasoning
from host.core.types import Usage

MILLION = 1_000_000
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$")


def _openai(context: int, price_in: float, price_out: float, cached: float, *, reasoning: bool = True) -> ModelProfile:
    kind: Reasoning = "encrypted" if reasoning else "none"
    return ModelProfile(
        context,
        None,
        price_in,
        price_out,
        price_cache_read=cached,
        images=True,
        reasoning=kind,
        output_key="max_completion_tokens",
    )


def _claude(context: int, max_output: int, price_in: float, price_out: float) -> ModelProfile:
    """Anthropic bills a cache read at a tenth of the input price, a five-minute write at five quarters of it."""
    return ModelProfile(context, max_output, price_in, price_out, price_in / 10, price_in * 5 / 4, images=True)


# List prices as published by mid-2026, the smaller window where there are two. They age: users override them.
MODELS: Mapping[str, ModelProfile] = {
    "gpt-5.6-sol": _openai(400_000, 5.0, 30.0, 0.5),
    "gpt-5.6-terra": _openai(400_000, 2.5, 15.0, 0.25),
    "gpt-5.6-luna": _openai(400_000, 1.0, 6.0, 0.1),
    "gpt-5.5": _openai(400_000, 5.0, 30.0, 0.5),
    "gpt-5.4": _openai(400_000, 2.5, 15.0, 0.25),
    "gpt-5.4-mini": _openai(400_000, 0.75, 4.5, 0.075),
    "gpt-5.4-nano": _openai(400_000, 0.2, 1.25, 0.02),
    "gpt-5.2": _openai(400_000, 1.75, 14.0, 0.175),
    "gpt-5.1": _openai(400_000, 1.25, 10.0, 0.125),
    "gpt-5": _openai(400_000, 1.25, 10.0, 0.125),
    "gpt-5-mini": _openai(400_000, 0.25, 2.0, 0.025),
    "gpt-5-nano": _openai(400_000, 0.05, 0.4, 0.005),
    "gpt-4.1": _openai(1_047_576, 2.0, 8.0, 0.5, reasoning=False),
    "gpt-4.1-mini": _openai(1_047_576, 0.4, 1.6, 0.1, reasoning=False),
    "gpt-4.1-nano": _openai(1_047_576, 0.1, 0.4, 0.025, reasoning=False),
    "gpt-4o": _openai(128_000, 2.5, 10.0, 1.25, reasoning=False),
    "gpt-4o-mini": _openai(128_000, 0.15, 0.6, 0.075, reasoning=False),
    "o3": _openai(200_000, 2.0, 8.0, 0.5),
    "o4-mini": _openai(200_000, 1.1, 4.4, 0.275),
    "claude-opus-4-7": _claude(200_000, 64_000, 5.0, 25.0),
    "claude-opus-4-6": _claude(200_000, 64_000, 5.0, 25.0),
    "claude-opus-4-5": _claude(200_000, 64_000, 5.0, 25.0),
    "claude-sonnet-4-6": _claude(200_000, 64_000, 3.0, 15.0),
    "claude-sonnet-4-5": _claude(200_000, 64_000, 3.0, 15.0),
    "claude-haiku-4-5": _claude(200_000, 64_000, 1.0, 5.0),
}

_GPT = ModelProfile(context=272_000, images=True, reasoning="encrypted", output_key="max_completion_tokens")

# What a name tells of a model that the table lacks: abilities and a cautious size, never a price.
FAMILIES: tuple[tuple[str, ModelProfile], ...] = (
    ("gpt-5", _GPT),
    ("gpt-6", _GPT),
    ("claude-", ModelProfile(context=200_000, max_output=32_000, images=True)),
    ("gemini-", ModelProfile(context=1_000_000, images=True, schema_dialect="plain")),
)


def profile(provider: ProviderConfig, model: str) -> ModelProfile:
    """What to assume of `model` at `provider`: the user's word, else the table's, else safe defaults."""
    return replace(known(model), window=provider.wire != "offline", **_own(provider.models.get(model, {})))


def known(model: str) -> ModelProfile:
    """The table's entry for a name; a vendor before it (`openai/`) and a snapshot date behind it do not matter."""
    name = _SNAPSHOT.sub("", model.rpartition("/")[2])
    family = next((found for prefix, found in FAMILIES if name.startswith(prefix)), ModelProfile())
    return MODELS.get(name, family)


def _own(keys: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(ModelProfile)}
    return {key: value for key, value in keys.items() if key in names and value is not None}


def priced(usage: Usage, model: ModelProfile) -> Usage:
    """The usage with its cost. A cache price that is not known counts as the input price."""
    read = model.price_in if model.price_cache_read is None else model.price_cache_read
    write = model.price_in if model.price_cache_write is None else model.price_cache_write
    fresh = max(0, usage.input - usage.cache_read - usage.cache_write)
    usd = fresh * model.price_in + usage.cache_read * read + usage.cache_write * write + usage.output * model.price_out
    return replace(usage, usd=usd / MILLION)
