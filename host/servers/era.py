"""Which era a server is of: asked by `server/discover`, raced against silence, or known from an earlier run.

A server that answers with an error is shaken hands with. One that says nothing may be of the handshake era and deaf
to what it does not know, or slow to start: after a while it is shaken hands with as well, and its first answer counts.
"""

from __future__ import annotations

import math
from typing import Literal

import anyio
import mcp_types as types
from mcp import MCPError
from mcp.client.session import ClientSession
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from host.core.source import Era

PROBE_SECONDS = 2.5

Probe = Literal["unasked", "answered", "refused", "silent"]
"""How a server took the question."""


def era_of(protocol: str) -> Era:
    return "modern" if protocol in MODERN_PROTOCOL_VERSIONS else "handshake"


async def settle(session: ClientSession, known: Era | None) -> Probe:
    """Agree on a protocol with the server, `known` being its era when it was last seen. Raises MCPError."""
    if known == "handshake":
        return await _shake_hands(session)
    return await _ask(session, math.inf if known == "modern" else PROBE_SECONDS)


async def _shake_hands(session: ClientSession) -> Probe:
    """As it did the last time; a server that no longer takes it is asked."""
    try:
        await session.initialize()
    except MCPError as error:
        if (found := await discovered(session)) is None:
            raise error from None
        session.adopt(found)
        return "answered"
    return "unasked"


async def _ask(session: ClientSession, patience: float) -> Probe:
    asked = anyio.Event()
    refusal: MCPError | None = None
    silent = False
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            found = await discovered(session)
            if found is not None and session.protocol_version is None:
                session.adopt(found)
                tasks.cancel_scope.cancel()
            asked.set()

        tasks.start_soon(ask)
        with anyio.move_on_after(patience):
            await asked.wait()
        silent = not asked.is_set()
        try:
            await session.initialize()
            tasks.cancel_scope.cancel()
        except MCPError as error:
            refusal = error  # a question that is still open may be answered yet
    if session.protocol_version is None:
        assert refusal is not None
        # It is of today, then, but was so slow to start that its answer came too late for us.
        lives = refusal.code != types.CONNECTION_CLOSED
        if (found := await discovered(session) if lives else None) is None:
            raise refusal
        session.adopt(found)
    if era_of(session.protocol_version or "") == "modern":
        return "answered"
    return "silent" if silent else "refused"


async def discovered(session: ClientSession) -> types.DiscoverResult | None:
    """What a server of today says of itself; None if it is of the handshake era, or gone. Raises MCPError where it
    is of today and speaks no version that we do."""
    version = LATEST_MODERN_VERSION
    for last in (False, True):
        try:
            found = types.DiscoverResult.model_validate(await session.send_discover(version))
        except ValidationError:
            return None
        except MCPError as error:
            speaks = _supported(error)
            mutual = [each for each in MODERN_PROTOCOL_VERSIONS if each in speaks]
            if mutual and not last:
                version = mutual[-1]
                continue
            if speaks and not mutual and not set(speaks) & set(HANDSHAKE_PROTOCOL_VERSIONS):
                raise
            return None
        return found if set(found.supported_versions) & set(MODERN_PROTOCOL_VERSIONS) else None
    return None


def _supported(error: MCPError) -> list[str]:
    """The versions that a server named in refusing ours."""
    if error.code != types.UNSUPPORTED_PROTOCOL_VERSION:
        return []
    try:
        return types.UnsupportedProtocolVersionErrorData.model_validate(error.error.data).supported
    except ValidationError:
        return []
