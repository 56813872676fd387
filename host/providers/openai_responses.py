"""The client of the Responses API: OpenAI's, and every server that speaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI, AsyncStream, OpenAIError

from host.core.errors import ProviderError
from host.core.events import Delta
from host.core.settings import ModelProfile, ProviderConfig
from host.providers.base import OnDelta, Reply, Request
from host.providers.profiles import priced
from host.providers.responses_wire import Accumulator, passing, to_wire
from host.providers.retry import USUAL, Patience, retry_after, with_retries

__all__ = ["Accumulator", "OpenAIResponses", "to_wire"]

NO_KEY = "none"
DRAIN_SECONDS = 0.2


class OpenAIResponses:
    """One provider's client, made when it is first needed and kept for the process.

    It goes through the SDK's door for endpoints without types: the wire is ours, and building the SDK's models costs
    more than all the rest of a request.
    """

    def __init__(
        self, config: ProviderConfig, profile_of: Callable[[str], ModelProfile], patience: Patience = USUAL
    ) -> None:
        self._config = config
        self._profile_of = profile_of
        self._patience = patience
        self._made: AsyncOpenAI | None = None
        self._making = anyio.Lock()

    async def ask(self, request: Request, on_delta: OnDelta) -> Reply:
        profile = self._profile_of(request.model)
        body = to_wire(request, profile)
        client = await self._client()
        streamed = False

        def seen(delta: Delta) -> None:
            nonlocal streamed
            streamed = True
            on_delta(delta)

        async def attempt(number: int) -> Reply:
            reply = await self._attempt(client, body, seen)
            return replace(reply, attempts=number, usage=priced(reply.usage, profile))

        return await with_retries(attempt, lambda: not streamed, self._patience)

    async def aclose(self) -> None:
        if self._made is not None:
            await self._made.close()

    async def _client(self) -> AsyncOpenAI:
        async with self._making:
            if self._made is None:
                # In a thread, for it reads the system's certificates.
                self._made = await anyio.to_thread.run_sync(self._make)
            return self._made

    def _make(self) -> AsyncOpenAI:
        """The SDK insists on a key; servers on loopback need none."""
        return AsyncOpenAI(api_key=self._config.api_key or NO_KEY, base_url=self._config.base_url, max_retries=0)

    async def _attempt(self, client: AsyncOpenAI, body: dict[str, Any], on_delta: OnDelta) -> Reply:
        answer = Accumulator(on_delta)
        try:
            stream: AsyncStream[object] = await client.post(
                "/responses", body=body, cast_to=object, stream=True, stream_cls=AsyncStream[object]
            )
            async with stream:
                self._check_kind(stream.response.headers.get("content-type", ""))
                while not answer.ended and (event := await anext(stream, None)) is not None:
                    answer.feed(event)
                await _drain(stream)
            return answer.reply()
        except OpenAIError as error:
            raise self._explained(error) from error
        except ProviderError as error:
            raise self._at_endpoint(str(error), retryable=error.retryable) from None
        except ValueError as error:
            raise self._at_endpoint(f"the stream holds something that is not JSON ({error})", retryable=True) from error

    def _check_kind(self, content_type: str) -> None:
        kind = content_type.partition(";")[0].strip().lower()
        if kind and kind != "text/event-stream":
            raise ProviderError(
                f"the answer is {kind}, not an event stream; check that base_url ends with the version (/v1)"
            )

    def _explained(self, error: OpenAIError) -> ProviderError:
        """The SDK's error in our terms: may it be asked again, was the key refused, and what to do."""
        match error:
            case APIStatusError(status_code=401 | 403 as status):
                key = "was refused" if self._config.api_key else "is missing"
                return self._at_endpoint(
                    f"the key {key} (HTTP {status}: {_said(error)}); set api_key in [providers.{self._config.name}] "
                    "or the provider's environment variable",
                    auth=True,
                )
            case APIStatusError(status_code=404):
                return self._at_endpoint(f"not found (HTTP 404: {_said(error)}); check the model's name and base_url")
            case APIStatusError(status_code=status):
                transient = status in (408, 409, 429) or status >= 500
                hint = "; try again later" if transient else ""
                return self._at_endpoint(
                    f"HTTP {status}: {_said(error)}{hint}",
                    retryable=transient and getattr(error, "code", None) != "insufficient_quota",
                    wait=retry_after(error.response.headers),
                )
            case APIConnectionError():
                cause = error.__cause__ or error
                return self._at_endpoint(
                    f"no connection or a broken one ({type(cause).__name__}: {cause}); check the network, "
                    "base_url, and that the server runs",
                    retryable=True,
                )
            case APIError(code=code, type=type_):
                return self._at_endpoint(
                    f"the stream reported an error: {_said(error)}", retryable=passing(code, type_)
                )
            case _:
                return self._at_endpoint(_said(error))

    def _at_endpoint(
        self, what: str, *, retryable: bool = False, auth: bool = False, wait: float | None = None
    ) -> ProviderError:
        """An error that names the endpoint, and no secret even if the server repeats one."""
        url = urlsplit(str(self._made.base_url) if self._made else "")
        place = f"{url.scheme}://{url.hostname}{f':{url.port}' if url.port else ''}{url.path.rstrip('/')}"
        if self._config.api_key:
            what = what.replace(self._config.api_key, "…")
        text = f"provider {self._config.name} at {place}/responses: {what}"
        return ProviderError(text, retryable=retryable, auth=auth, retry_after=wait)


async def _drain(stream: AsyncStream[object]) -> None:
    """Read what follows the answer, so that the connection can be used again; its loss no longer matters."""
    with anyio.move_on_after(DRAIN_SECONDS):
        try:
            while await anext(stream, None) is not None:
                pass
        except (OpenAIError, ValueError):
            return


def _said(error: OpenAIError) -> str:
    """The server's own words, on one line and not too many."""
    body = error.body if isinstance(error, APIError) else None
    words = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(words or error).split())[:300]
