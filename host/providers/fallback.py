"""Several models in one provider's place: the first is asked, and the next where it cannot answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from host.core.errors import ProviderError
from host.core.events import Delta
from host.core.settings import ModelProfile
from host.providers.base import OnDelta, Provider, Reply, Request

Found = tuple[Provider, str, ModelProfile]


class Fallback:
    """Asks models in their order. The next one is asked when a request failed for good before its first delta and
    another model may succeed; the reply says who answered, and its notes why the others did not."""

    def __init__(self, models: Sequence[str], find: Callable[[str], Awaitable[Found]]) -> None:
        self._models = models
        self._find = find

    async def ask(self, request: Request, on_delta: OnDelta) -> Reply:
        failures: dict[str, str] = {}
        streamed = False

        def seen(delta: Delta) -> None:
            nonlocal streamed
            streamed = True
            on_delta(delta)

        for model in self._models:
            provider, name, profile = await self._find(model)
            try:
                reply = await provider.ask(replace(request, model=name, max_output=profile.max_output), seen)
            except ProviderError as error:
                last = streamed or not (error.retryable or error.unavailable)
                if last and not failures:
                    raise
                failures[model] = str(error)
                if last:
                    break
            else:
                notes = {**reply.notes, "failed": failures} if failures else reply.notes
                return replace(reply, model=model, notes=notes)
        raise ProviderError("no model answered: " + "; ".join(failures.values()), retryable=True)

    async def aclose(self) -> None:
        """Nothing is held: the clients belong to whoever made them."""
