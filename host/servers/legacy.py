"""Servers of the handshake era (before 2026-07-28), which ask a person in the middle of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.client.session import ClientRequestContext
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    RequestParams,
)

from host.core.source import ELICITATION, SAMPLING, Ask
from host.servers.patience import Patience

REFUSED = -1
"""What the specification's examples answer for a user's no."""


@dataclass(eq=False, slots=True)
class Running:
    """A call in flight, and the questions it has open."""

    ask: Ask
    patience: Patience
    questions: set[anyio.CancelScope] = field(default_factory=set)


class Questions:
    """Leads what a server asks to the one call that runs. The protocol of that era does not say which call a
    question belongs to, so with several in flight nobody is asked."""

    def __init__(self) -> None:
        self._running: list[Running] = []

    @contextmanager
    def of(self, ask: Ask, patience: Patience) -> Iterator[None]:
        """While a call runs. Its questions end with it."""
        running = Running(ask, patience)
        self._running.append(running)
        try:
            yield
        finally:
            self._running.remove(running)
            for scope in running.questions:
                scope.cancel()

    async def elicited(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Answer `elicitation/create`. Never raises: a question that cannot be put is a cancelled one."""
        try:
            return ElicitResult.model_validate(await self._asked(ELICITATION, params))
        except Exception:
            return ElicitResult(action="cancel")

    async def sampled(
        self, context: ClientRequestContext, params: CreateMessageRequestParams
    ) -> CreateMessageResult | ErrorData:
        """Answer `sampling/createMessage`. Never raises: no answer is a refusal. Where nothing could be written of it,
        whoever was asked has ended the session already."""
        try:
            return CreateMessageResult.model_validate(await self._asked(SAMPLING, params))
        except Exception:
            return ErrorData(code=REFUSED, message="the user, or the host's limits, did not allow it")

    async def _asked(self, method: str, params: RequestParams) -> dict[str, Any]:
        """The result to send; empty if nobody was asked, or the call ended meanwhile."""
        if len(self._running) != 1:
            return {}
        running = self._running[0]
        plain = params.model_dump(by_alias=True, mode="json", exclude_none=True, exclude={"meta"})
        with anyio.CancelScope() as scope, running.patience.stopped():
            running.questions.add(scope)
            try:
                return dict(await running.ask({"method": method, "params": plain}))
            finally:
                running.questions.discard(scope)
        return {}
