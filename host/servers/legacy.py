"""Servers of the handshake era (before 2026-07-28), which ask a person in the middle of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult

from host.core.source import Ask
from host.servers.patience import Patience


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
        if len(self._running) != 1:
            return ElicitResult(action="cancel")
        running = self._running[0]
        plain = params.model_dump(by_alias=True, mode="json", exclude_none=True, exclude={"meta"})
        with anyio.CancelScope() as scope, running.patience.stopped():
            running.questions.add(scope)
            try:
                answer = await running.ask({"method": "elicitation/create", "params": plain})
                return ElicitResult.model_validate(dict(answer))
            except Exception:
                return ElicitResult(action="cancel")
            finally:
                running.questions.discard(scope)
        return ElicitResult(action="cancel")
