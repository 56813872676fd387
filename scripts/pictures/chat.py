"""A picture of the terminal chat: the real program on a real session of the demo, up to its first question."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import anyio
from textual.pilot import Pilot

from host.arguments import parse
from host.commands import demo
from host.commands.providers import Providers
from host.commands.serve import run_options
from host.commands.start import begin
from host.engine.host import Host
from host.frontends.tui.app import ChatApp

NAME = "customer-support"
PROMPTS = ("Show me ticket T-01", "Refund 120 for O-1001")
SIZE = (104, 40)
FONTS = "DejaVu Sans Mono, Menlo, Consolas, monospace"
SECONDS = 60


async def until(pilot: Pilot[int], true: Callable[[], object]) -> None:
    with anyio.fail_after(SECONDS):
        while not true():
            await pilot.pause(0.05)


async def ready(app: ChatApp) -> bool:
    """Whether the session is open and its servers are up: starting them is not part of the picture."""
    handle = app.link.handle
    return handle is not None and all(status.state == "ready" for status in await handle.ask("servers"))


async def ended(app: ChatApp, turns: int) -> bool:
    """Whether so many turns have ended, or a question waits for the person."""
    handle = app.link.handle
    return handle is not None and (app.chat.panel is not None or (await handle.ask("state")).turns >= turns)


async def draw() -> str:
    """The screen as SVG."""
    folder = demo.scratch(NAME, again=False)
    os.chdir(folder)
    options = parse(["-p", NAME, "--config", str(folder / "servers.toml"), "-m", "offline/recorded"])
    begun = begin(options, None)
    providers = Providers(begun.config)
    async with Host(begun.config, run_options(options, begun, attended=True), providers.of) as host:
        app = ChatApp(host, profile=NAME, title=NAME)
        async with app.run_test(size=SIZE) as pilot:
            with anyio.fail_after(SECONDS):
                while not await ready(app):
                    await pilot.pause(0.05)
            for turns, prompt in enumerate(PROMPTS, 1):
                app.chat.prompt.text = prompt
                await pilot.press("enter")
                with anyio.fail_after(SECONDS):
                    while not await ended(app, turns):
                        await pilot.pause(0.05)
            await until(pilot, lambda: app.chat.panel is not None and app.chat.panel.size.height)
            await pilot.pause(1)
            svg = app.export_screenshot(title="agent-host")
        await app.link.close()
    await providers.close()
    return svg


def offline(svg: str) -> str:
    """Without the fonts that it would fetch from the network: a picture asks nobody for anything."""
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family: [^;]*;", f"font-family: {FONTS};", svg)


def main() -> None:
    file = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as home:
        os.environ["AGENT_HOST_HOME"] = home
        svg = offline(anyio.run(draw))
        os.chdir(file.parent)
    if file.suffix == ".png":
        from cairosvg import svg2png

        svg2png(svg.replace(FONTS, FONTS.partition(",")[0]).encode(), write_to=str(file), scale=1.5)
    else:
        file.write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
