"""A person signs in from the command line, and forgets it again."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import anyio

from host.core.errors import HostError
from host.core.settings import ServerConfig
from host.core.source import SignIn
from host.servers.auth import SignedIn
from host.servers.callback import first
from host.servers.connection import Connection
from host.servers.logs import ServerLog

SECONDS = 600.0
_FACT = re.compile(r"\$\{fact\.")

Show = Callable[[SignIn], Awaitable[None]]
Receive = Callable[[], Awaitable[str]]


class Caller:
    """The person who gave the command: is shown where to sign in, and may paste where that ended."""

    def __init__(self, show: Show, receive: Receive | None) -> None:
        self._show, self._receive = show, receive

    def here(self, server: str, scopes: str) -> bool:
        return True

    def knows(self, server: str, token: str) -> None:
        """Nothing that a server says is shown or kept by this command."""

    async def lead(self, where: SignIn) -> str:
        await self._show(where)
        return await first(where.visited, *([self._receive] if self._receive else []))


async def login(config: ServerConfig, show: Show, receive: Receive | None = None) -> None:
    """Sign in at a server and keep what it gives. `show` leads a person to an address; `receive`, for machines
    without a browser, returns the address that they were sent to in the end. Raises HostError."""
    if config.url is None or config.tokens is None:
        raise HostError(f"{config.name} is a program on this machine; there is nothing to sign in to")
    if any(name.lower() == "authorization" for name in config.headers):
        raise HostError(f"{config.name} is given its token by servers.toml; there is nothing to sign in to")
    if config.oauth.grant != "authorization_code":
        raise HostError(f'{config.name} signs in by itself (oauth.grant = "{config.oauth.grant}")')
    signed = SignedIn(config, Caller(show, receive))
    await signed.tokens.forget("tokens")
    given = {name: value for name, value in config.headers.items() if not _FACT.search(value)}
    connection = Connection(config, given, ServerLog(), auth=signed)
    reason = ""
    with anyio.move_on_after(SECONDS) as patience:

        def ready() -> None:
            patience.cancel()

        reason = await connection.run(ready)
    if signed.tokens.access is None:
        raise HostError(f"{config.name}: {signed.trouble or reason or 'it did not ask to sign in'}")


async def logout(config: ServerConfig) -> bool:
    """Forget what was signed in for; whether there was anything."""
    if config.url is None or config.tokens is None:
        return False
    tokens = SignedIn(config).tokens
    async with tokens.locked():
        there = tokens.access is not None
        await tokens.drop()
    return there
