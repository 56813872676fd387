"""The models' clients: one a provider and process, its SDK imported in a thread when it is first needed."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from anyio import to_thread

from host.core.errors import ConfigError
from host.core.settings import Config, Profile, ProviderConfig
from host.providers.base import Provider
from host.providers.fallback import Fallback, Found
from host.providers.profiles import profile as known_profile

_CLIENTS = {
    "responses": ("host.providers.openai_responses", "OpenAIResponses"),
    "chat": ("host.providers.openai_chat", "OpenAIChat"),
    "messages": ("host.providers.anthropic_messages", "AnthropicMessages"),
}


class Providers:
    """Makes clients and closes them. `of` is what the engine asks."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._made: dict[tuple[str, str], Provider] = {}

    async def of(self, model: str, profile: Profile) -> Found:
        """The client for `provider/model`, the provider's own name of the model, and what is known of it. With
        models to fall back on, the client asks those in its stead where it cannot answer."""
        found = await self._one(model, profile)
        others = [other for other in profile.fallback if other != model]
        if not others:
            return found
        return Fallback([model, *others], partial(self._one, profile=profile)), *found[1:]

    async def _one(self, model: str, profile: Profile) -> Found:
        name, _, own = model.partition("/")
        config = self._config.providers.get(name)
        if config is None:
            raise ConfigError(f"model {model}: no provider {name}; known: {', '.join(sorted(self._config.providers))}")
        recording = profile.recording if config.wire == "offline" else None
        key = (name, str(recording))
        if key not in self._made:
            make = await to_thread.run_sync(partial(_maker, config))
            if key not in self._made:  # another session may have been first while this one waited
                self._made[key] = make(config, profile)
        return self._made[key], own, known_profile(config, own)

    async def warm(self) -> None:
        """Import what the chosen model needs while servers start, then let the collector run again."""
        config = self._config.providers.get((self._config.model or "").partition("/")[0])
        try:
            if config is not None:
                await to_thread.run_sync(partial(_maker, config))
        finally:
            gc.freeze()  # what is imported stays for good: no collection need look at it again
            gc.enable()

    async def close(self) -> None:
        for provider in self._made.values():
            await provider.aclose()


def _maker(config: ProviderConfig) -> Callable[[ProviderConfig, Profile], Provider]:
    """Import the provider's module; how to make its client."""
    if config.wire == "offline":
        offline: Any = import_module("host.providers.offline")
        return lambda config, profile: offline.Offline(profile.recording)
    module, name = _CLIENTS[config.wire]
    client: Any = getattr(import_module(module), name)
    return lambda config, profile: client(config, partial(known_profile, config))
