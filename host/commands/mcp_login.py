"""`agent-host mcp login | logout`: sign in at a server in a browser, here or on another machine; and forget it."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from collections.abc import Mapping

import anyio
from anyio import to_thread

from host.commands.mcp import one_name
from host.commands.mcp_inspect import chosen
from host.commands.start import begin, terminal_ask
from host.core.errors import HostError
from host.core.settings import ServerConfig
from host.core.source import SignIn
from host.frontends.plain import say, show, tell
from host.servers.login import login, logout

UNAVAILABLE = 7


def main(options: argparse.Namespace) -> int:
    begun = begin(options, terminal_ask(options), talks=False, starts=False)
    server = chosen(begun, one_name(options, ""))
    if options.action == "logout":
        told = "forgotten" if anyio.run(logout, server) else "nothing was kept"
        say(f"{server.name}: {told}")
        return 0
    try:
        anyio.run(_login, server)
    except HostError as error:
        tell(str(error))
        return UNAVAILABLE
    say(f"{server.name}: signed in")
    return 0


async def _login(server: ServerConfig) -> None:
    shown: list[SignIn] = []

    async def told(where: SignIn) -> None:
        shown.append(where)
        _show(where)

    await login(server, told, lambda: _receive(shown))


def _show(where: SignIn) -> None:
    """Show the host and the whole address, which the sign-in has judged. Nothing is opened before it was seen."""
    opens = sees(os.environ, sys.platform) and sys.stdin.isatty()
    rights = [f"It asks for: {where.scopes}"] if where.scopes else []
    elsewhere = "If your browser is on another machine, paste the address it ends at and press Enter."
    how = f"Press Enter to open it here. {elsewhere}" if opens else elsewhere
    show(f"Sign in at {where.host}:", "", f"  {where.url}", "", *rights, how)


def sees(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser that is opened here is seen by anybody."""
    return platform == "darwin" or any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


async def _receive(shown: list[SignIn]) -> str:
    """The line that is pasted, after the address was opened for each that is empty."""
    while not (line := await _line()):
        if shown and sees(os.environ, sys.platform):
            await to_thread.run_sync(webbrowser.open, shown[-1].url)
    return line


async def _line() -> str:
    """A line of the terminal; where there is none to come, this waits for good."""
    line = b""
    try:
        while not line.endswith(b"\n"):
            await anyio.wait_readable(sys.stdin)
            if not (more := os.read(sys.stdin.fileno(), 8192)):
                break
            line += more
    except (OSError, ValueError):
        line = b""
    if not line.endswith(b"\n"):
        await anyio.sleep_forever()
    return line.decode("utf-8", "replace").strip()
