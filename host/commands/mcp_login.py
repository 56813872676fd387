"""`agent-host mcp login | logout`: sign in at a server in a browser, here or on another machine; and forget it."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from collections.abc import Mapping
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from host.commands.mcp import one_name
from host.commands.mcp_inspect import chosen
from host.commands.start import begin, terminal_ask
from host.core.errors import HostError
from host.core.text import safe
from host.servers.login import login, logout

UNAVAILABLE = 7


def main(options: argparse.Namespace) -> int:
    begun = begin(options, terminal_ask(options), talks=False)
    server = chosen(begun, one_name(options, ""))
    if options.action == "logout":
        told = "forgotten" if logout(server) else "nothing was kept"
        sys.stdout.write(f"{server.name}: {told}\n")
        return 0
    try:
        anyio.run(login, server, _open, _pasted)
    except HostError as error:
        sys.stderr.write(f"agent-host: {safe(str(error))}\n")
        return UNAVAILABLE
    sys.stdout.write(f"{server.name}: signed in\n")
    return 0


async def _open(url: str) -> None:
    """Show the whole address, which the sign-in has judged, and open it where there is a screen."""
    sys.stderr.write(
        f"Sign in at {safe(urlsplit(url).hostname or '')}:\n\n  {safe(url)}\n\n"
        "If your browser is on another machine, paste the address it ends at and press Enter.\n"
    )
    sys.stderr.flush()
    if sees(os.environ, sys.platform):
        await to_thread.run_sync(webbrowser.open, url)


def sees(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser that is opened here is seen by anybody."""
    return platform == "darwin" or any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


async def _pasted() -> str:
    """A line that is pasted; where nothing can be, this waits for good."""
    line = b""
    try:
        while not line.endswith(b"\n"):
            await anyio.wait_readable(sys.stdin)
            if not (more := os.read(sys.stdin.fileno(), 8192)):
                break
            line += more
    except (OSError, ValueError):
        line = b""
    if not line.strip():
        await anyio.sleep_forever()
    return line.decode("utf-8", "replace").strip()
