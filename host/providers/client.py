"""What the clients of all wires share: one SDK client a process, one way to ask, and every failure in our words."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from httpx2 import HTTPError

from host.core.errors import ProviderError
from host.core.events import Delta, dumps
from host.core.settings import ModelProfile, ProviderConfig, SchemaDialect
from host.core.types import ToolSpec
from host.providers.base import OnDelta, Reply, Request
from host.providers.dialect import DIALECTS, Unfit, fitted
from host.providers.failures import Place, Refused, blamed
from host.providers.memo import Memo
from host.providers.profiles import priced
from host.providers.retry import USUAL, Patience, with_retries

NO_KEY = "none"
LINGER_SECONDS = 0.5
MOST_REFUSED = 8
MEMOS = 64


class Answer(Protocol):
    """Takes what one request brings, gives out deltas, and holds the reply. Only what is finished counts: a call of
    which a part arrived is never in the reply."""

    @property
    def complete(self) -> bool:
        """The answer is whole; what may still come are figures."""
        ...

    def feed(self, event: Any) -> None:
        """Take one event of a stream. Raises ProviderError for one that says, or shows, that the answer failed."""
        ...

    def take(self, whole: Any) -> None:
        """Take an answer that came in one piece. Raises ProviderError."""
        ...

    def reply(self) -> Reply:
        """The whole answer. Raises ProviderError if it stopped short or its calls cannot be told apart."""
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """One way of speaking with a model: where it is posted to, and both directions, pure."""

    path: str
    dialect: SchemaDialect
    to_wire: Callable[[Request, ModelProfile, Memo], dict[str, Any]]
    answer: Callable[[OnDelta], Answer]


@dataclass(frozen=True, slots=True)
class Sdk:
    """What both SDKs have under names of their own."""

    client: Callable[..., Any]
    stream: Any
    base_url: str
    failure: type[Exception]
    by_status: type[Exception]
    broken: type[Exception]


class Client:
    """One provider's client, made when it is first needed and kept for the process.

    It goes through the SDK's door for endpoints without types: the wire is ours, and building the SDK's models costs
    more than all the rest of a request.
    """

    sdk: ClassVar[Sdk]
    wire: ClassVar[Wire]

    def __init__(
        self, config: ProviderConfig, profile_of: Callable[[str], ModelProfile], patience: Patience = USUAL
    ) -> None:
        self._config = config
        self._profile_of = profile_of
        self._patience = patience
        self._fitted: dict[tuple[str, ...], ToolSpec | str] = {}
        self._memos: dict[tuple[str, str], Memo] = {}
        self._made: Any = None
        self._making = anyio.Lock()
        url = urlsplit(config.base_url or self.sdk.base_url)
        port = f":{url.port}" if url.port else ""
        address = f"{url.scheme}://{url.hostname}{port}{url.path.rstrip('/')}{self.wire.path}"
        self._place = Place(config.name, address, config.api_key)

    async def ask(self, request: Request, on_delta: OnDelta) -> Reply:
        profile = self._profile_of(request.model)
        tools, aside = self._offered(request, profile)
        client = await self._client()
        streamed = False

        def seen(delta: Delta) -> None:
            nonlocal streamed
            streamed = True
            on_delta(delta)

        async def attempt(number: int) -> Reply:
            reply = await self._attempt(client, body, seen, self.wire_for(profile))
            return replace(reply, attempts=number, usage=priced(reply.usage, profile))

        refusals = 0
        while True:
            content = self._body(replace(request, tools=tools), profile)
            body = dumps(content)
            try:
                reply = await with_retries(attempt, lambda: not streamed, self._patience)
            except Refused as error:
                sent = [tool.get("name") or tool["function"]["name"] for tool in content.get("tools", ())]
                name = blamed(error.words, sent)
                bad = next((spec for spec in tools if spec.name == name), None)
                if bad is None or refusals == MOST_REFUSED:
                    raise
                refusals += 1
                why = f"the provider refused its definition: {error.words}".strip()
                self._fitted[request.model, bad.name, bad.digest] = why
                tools, aside = self._offered(request, profile)
            else:
                return replace(reply, notes={"set_aside": aside} if aside else {})

    def wire_for(self, profile: ModelProfile) -> Wire:
        """How this model is spoken with, at the path of the wire."""
        return self.wire

    async def aclose(self) -> None:
        if self._made is not None:
            await self._made.close()

    def _offered(self, request: Request, profile: ModelProfile) -> tuple[list[ToolSpec], dict[str, str]]:
        """The tools as the provider takes them, and why each of the others is set aside: one bad tool never costs
        the request."""
        dialect = profile.schema_dialect or self.wire_for(profile).dialect
        tools: list[ToolSpec] = []
        aside: dict[str, str] = {}
        for spec in request.tools:
            found = self._fitted.get((request.model, spec.name, spec.digest)) or self._fit(spec, dialect)
            if spec.digest:
                self._fitted[request.model, spec.name, spec.digest] = found
            if isinstance(found, str):
                aside[spec.name] = found
            else:
                tools.append(found)
        return tools, aside

    def _fit(self, spec: ToolSpec, dialect: SchemaDialect) -> ToolSpec | str:
        try:
            return replace(spec, input_schema=fitted(spec.input_schema, DIALECTS[dialect]))
        except Unfit as error:
            return str(error)

    def _body(self, request: Request, profile: ModelProfile) -> dict[str, Any]:
        key = request.session, request.model
        memo = self._memos.pop(key, None) or Memo()
        body = self.wire_for(profile).to_wire(request, profile, memo)
        memo.sent()
        if request.session:
            self._memos[key] = memo
            if len(self._memos) > MEMOS:
                del self._memos[next(iter(self._memos))]  # the one longest unused
        return body

    async def _client(self) -> Any:
        async with self._making:
            if self._made is None:
                # In a thread, for it reads the system's certificates.
                self._made = await anyio.to_thread.run_sync(self._make)
            return self._made

    def _make(self) -> Any:
        """The SDK insists on a key; servers on loopback need none."""
        base_url = self._config.base_url or self.sdk.base_url
        return self.sdk.client(api_key=self._config.api_key or NO_KEY, base_url=base_url, max_retries=0)

    async def _attempt(self, client: Any, body: bytes, on_delta: OnDelta, wire: Wire) -> Reply:
        answer = wire.answer(on_delta)
        try:
            stream = await client.post(wire.path, content=body, cast_to=object, stream=True, stream_cls=self.sdk.stream)
            async with stream:
                if self._in_one_piece(stream.response.headers.get("content-type", "")):
                    answer = wire.answer(_unheard)  # it is all there at once: nothing streams
                    answer.take(json.loads(await stream.response.aread()))
                else:
                    await self._read(stream, answer)
            return answer.reply()
        except self.sdk.failure as error:
            raise self._explained(error) from error
        except HTTPError as error:
            raise self._place.broken(error) from error
        except ProviderError as error:
            raise self._place.error(str(error), retryable=error.retryable) from None
        except (ValueError, RecursionError) as error:
            what = f"the answer holds something that is not JSON ({error})"
            raise self._place.error(what, retryable=True) from error

    async def _read(self, stream: Any, answer: Answer) -> None:
        """Feed the answer until it is complete. What follows are figures and the end, which lets the connection be
        used again; they are waited for a moment only, and their loss does not matter."""
        while not answer.complete and (event := await anext(stream, None)) is not None:
            answer.feed(event)
        with anyio.move_on_after(LINGER_SECONDS), suppress(self.sdk.failure, HTTPError, ProviderError, ValueError):
            while (event := await anext(stream, None)) is not None:
                answer.feed(event)

    def _in_one_piece(self, content_type: str) -> bool:
        """Whether the server answered with JSON: because it was asked to, or because it does not stream."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind and kind not in ("text/event-stream", "application/json"):
            raise ProviderError(
                f"the answer is {kind}, not an event stream; check that base_url ends with the version (/v1)"
            )
        return kind == "application/json"

    def _explained(self, error: Any) -> ProviderError:
        if isinstance(error, self.sdk.by_status):
            return self._place.by_status(error)
        if isinstance(error, self.sdk.broken):
            return self._place.broken(error)
        return self._place.in_stream(error)


def _unheard(delta: Delta) -> None:
    """Where deltas of an answer in one piece go."""
