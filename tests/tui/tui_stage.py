"""Runs the chat without a terminal: presses keys, turns the clock by hand, reads what is on the screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from textual.pilot import Pilot
from tui_fake import FakeDoor, FakeHandle

from host.core import events as ev
from host.frontends.tui.app import ChatApp
from host.frontends.tui.question import Panel


class Stage:
    """The app in a test, and what a person at it can do and see."""

    def __init__(self, app: ChatApp, pilot: Pilot[int], door: FakeDoor, now: list[float]) -> None:
        self.app, self.pilot, self.door, self._now = app, pilot, door, now

    @property
    def handle(self) -> FakeHandle:
        assert self.door.handle is not None
        return self.door.handle

    @property
    def prompt(self) -> str:
        return self.app.chat.prompt.text

    @property
    def panel(self) -> Panel:
        assert self.app.chat.panel is not None
        return self.app.chat.panel

    def wait(self, seconds: float) -> None:
        """Turn the clock on; nobody waits."""
        self._now[0] += seconds

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        names = {" ": "space", "/": "slash", "-": "minus", ".": "full_stop", "@": "at"}
        await self.press(*(names.get(character, character) for character in text))

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait, bounded, until something holds."""
        with anyio.move_on_after(10) as bound:
            while not true():
                await self.pilot.pause(0.005)
        assert not bound.cancelled_caught, "did not come true; the screen:\n" + self.text()

    async def sees(self, *words: str) -> None:
        await self.until(lambda: all(word in self.text() for word in words))

    async def misses(self, word: str) -> None:
        await self.until(lambda: word not in self.text())

    def lines(self) -> list[str]:
        """The visible screen, line by line."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    def text(self) -> str:
        return "\n".join(self.lines())

    async def ready(self) -> None:
        await self.until(lambda: self.app.link.opened)
        await self.pilot.pause(0.06)

    async def reviewing(self, request: str = "q1") -> None:
        """The panel of a question has the focus, and its keys are alive."""
        await self.until(lambda: self.app.chat.panel is not None and self.panel.asked.request_id == request)
        await self.until(lambda: self.panel.has_focus_within and self.panel.size.height)
        await self.pilot.pause()
        self.wait(1)

    def sent(self, kind: type[Any]) -> list[Any]:
        return [command for command in self.handle.commands if isinstance(command, kind)]

    @property
    def answers(self) -> list[ev.Answer]:
        return self.sent(ev.Answer)

    @property
    def says(self) -> list[str]:
        return [say.text for say in self.sent(ev.Say)]


def play(
    door: FakeDoor, scene: Callable[[Stage], Awaitable[None]], size: tuple[int, int] = (100, 30), **options: Any
) -> ChatApp:
    """Act a scene in the chat; the app as it was left."""
    now = [1000.0]
    app = ChatApp(door, clock=lambda: now[0], **options)

    async def main() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await scene(Stage(app, pilot, door, now))

    anyio.run(main)
    return app
