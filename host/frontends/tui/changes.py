"""The page of tools that changed: what was accepted, what it is now, and the key that accepts just that."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from host.core.events import Accept
from host.core.pins import Drift, difference
from host.frontends.tui.cells import BLANK, Lines, styled
from host.frontends.tui.draw import plural, wrapped
from host.frontends.tui.drawn import Drawn
from host.frontends.tui.link import Link
from host.frontends.tui.page import Page

STYLES = {"-": "$error", "+": "$success", "@": "$quiet"}


class Changes(Page):
    """One tool at a time. It is accepted only after its end was in sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f4", "back", "Back", show=False),
        Binding("a", "accept", "Accept"),
        Binding("j", "move(1)", "Next tool"),
        Binding("k", "move(-1)", "Previous tool"),
    ]
    heading = "Tools that changed"
    hints = "a accept this one · j k others · esc back"

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self.drifts: list[Drift] = []
        self.at = 0
        self.told = Drawn(self.lines)
        self.room = VerticalScroll(self.told, classes="page")

    def body(self) -> ComposeResult:
        yield self.room

    async def on_mount(self) -> None:
        self.room.focus()
        await self._look()

    async def _look(self) -> None:
        self.drifts = await self.link.handle.ask("drifts") if self.link.handle else []
        self.at = min(self.at, max(len(self.drifts) - 1, 0))
        self._draw()

    def _draw(self) -> None:
        self.room.scroll_home(animate=False)
        self.told.redraw()

    def lines(self, width: int) -> Lines:
        if not self.drifts:
            return [styled("every tool is as it was accepted", "$quiet")]
        drift = self.drifts[self.at]
        lines = [
            styled(f"{self.at + 1} of {plural(len(self.drifts), 'tool')}", "$quiet"),
            styled(f"{drift.server}.{drift.tool}", "bold"),
            *wrapped(f"{drift.why}. It is not offered and not run. What stands below is its server's own word.", width),
            BLANK,
        ]
        for line in difference(drift.before, drift.now):
            lines += wrapped(line, width, STYLES.get(line[:1], ""))
        return lines

    def action_move(self, step: int) -> None:
        if self.drifts:
            self.at = (self.at + step) % len(self.drifts)
            self._draw()

    async def action_accept(self) -> None:
        if not self.drifts:
            return
        if self.room.scroll_y < self.room.max_scroll_y:
            self.app.notify("scroll to its end first", timeout=2)
            return
        drift = self.drifts[self.at]
        if reason := self.link.submit(Accept(drift.server, drift.tool, drift.digest)):
            self.app.notify(reason, severity="warning")
        await self._look()
