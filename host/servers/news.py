"""What a server tells without being asked: that its lists or a resource changed, and what it logs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import mcp_types as types
from mcp import ClientSession, MCPError
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from host.core.source import What
from host.servers.logs import ServerLog, Wants

RELISTEN = (1.0, 60.0)
ANSWERS_WITHIN = 30.0
LISTS: tuple[What, ...] = ("tools", "resources", "prompts")

Tell = Callable[[What, str | None], None]
Ask = Callable[[types.Request[Any, Any]], Awaitable[Any]]


class News:
    """Keeps open what is wanted, and tells of each change: of a list, or of the resource with this URI."""

    def __init__(self, wants: Wants, log: ServerLog, tell: Tell) -> None:
        self._wants, self._log, self._tell = wants, log, tell
        self._pause = RELISTEN[0]

    async def heard(self, message: IncomingMessage) -> None:
        """The same notifications in both eras; in the modern one they come on the subscription."""
        match message:
            case types.ToolListChangedNotification():
                self._tell("tools", None)
            case types.ResourceListChangedNotification():
                self._tell("resources", None)
            case types.PromptListChangedNotification():
                self._tell("prompts", None)
            case types.ResourceUpdatedNotification(params=params):
                self._tell("resource", str(params.uri))
            case types.LoggingMessageNotification(params=params):
                self._log.said(params.level, params.logger, params.data)

    async def follow(self, client: ClientSession, offers: types.ServerCapabilities, ask: Ask) -> None:
        """As long as the connection lives, or the server has nothing to tell."""
        if client.protocol_version in MODERN_PROTOCOL_VERSIONS:
            await self._listen(client, offers)
        else:
            await self._subscribe(offers, ask)

    # --- since 2026-07-28: one subscription, opened anew when more is wanted

    async def _listen(self, client: ClientSession, offers: types.ServerCapabilities) -> None:
        refused: set[str] = set()
        while True:
            changed = self._wants.changed
            uris = [uri for uri in self._wants.uris if uri not in refused]
            wanted = offered(offers, uris)
            if not any(wanted.values()):
                await changed.wait()
                continue
            ended: bool | None = None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_when, changed, tasks.cancel_scope)
                ended = await self._listened(client, wanted)
                tasks.cancel_scope.cancel()
            if ended is None:
                continue
            if ended is False:
                if not wanted["resource_subscriptions"]:
                    return  # it does not offer what its capabilities say
                refused.update(uris)
                continue
            await anyio.sleep(self._pause)
            self._pause = min(self._pause * 2, RELISTEN[1])
            for what in LISTS:
                self._tell(what, None)

    async def _listened(self, client: ClientSession, wanted: dict[str, Any]) -> bool:
        """One subscription to its end; False if the server refuses it. Its events come to `heard`."""
        try:
            async with listen(client, **wanted) as events:
                async for _ in events:
                    self._pause = RELISTEN[0]
        except SubscriptionLost:
            return True
        except MCPError:
            return False
        return True

    # --- before: a request for each resource and for the level of the log

    async def _subscribe(self, offers: types.ServerCapabilities, ask: Ask) -> None:
        level, done = None, set[str]()
        while True:
            changed = self._wants.changed
            if offers.logging is not None and self._wants.level not in (None, level):
                level = self._wants.level
                params = types.SetLevelRequestParams.model_validate({"level": level})
                await self._quietly(ask, types.SetLevelRequest(params=params))
            if offers.resources is not None and offers.resources.subscribe:
                for uri in [uri for uri in self._wants.uris if uri not in done]:
                    done.add(uri)
                    await self._quietly(ask, types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri)))
            await changed.wait()

    async def _quietly(self, ask: Ask, request: types.Request[Any, Any]) -> None:
        """What a server refuses here costs only that; its log says so."""
        try:
            with anyio.move_on_after(ANSWERS_WITHIN):
                await ask(request)
        except (MCPError, ValidationError) as error:
            self._log.heard(f"[{request.method} failed: {error}]".encode())


def offered(offers: types.ServerCapabilities, uris: list[str]) -> dict[str, Any]:
    """The part of what is wanted that a server says it can tell."""
    resources, tools, prompts = offers.resources, offers.tools, offers.prompts
    return {
        "tools_list_changed": bool(tools and tools.list_changed),
        "prompts_list_changed": bool(prompts and prompts.list_changed),
        "resources_list_changed": bool(resources and resources.list_changed),
        "resource_subscriptions": uris if resources and resources.subscribe else [],
    }


async def _when(happened: anyio.Event, scope: anyio.CancelScope) -> None:
    await happened.wait()
    scope.cancel()
