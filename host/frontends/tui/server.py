"""The page of one server: where it stands, what it says to models, what it has besides tools, and what it logs."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.worker import Worker

from host.core import events as ev
from host.core.errors import HostError
from host.frontends.tui.bars import STATES
from host.frontends.tui.cells import BLANK, Line, Lines, joined, styled
from host.frontends.tui.draw import plural, wrapped
from host.frontends.tui.drawn import Drawn
from host.frontends.tui.link import Link
from host.frontends.tui.page import Page

LEVELS: tuple[ev.LogLevel, ...] = ("debug", "info", "warning", "error")
HAS = (("resources", "uri"), ("resource_templates", "uriTemplate"), ("prompts", "name"))


class Server(Page):
    """Drawn anew whenever something is heard of the server while the page is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r,R", "restart", "Restart"),
        Binding("l,L", "level", "Level of its log"),
        Binding("f2", "back", "Back", show=False),
    ]
    hints = "r restart · l level of its log · esc back"

    def __init__(self, link: Link, name: str) -> None:
        super().__init__()
        self.heading = f"Server {name}"
        self.link, self.server = link, name
        self.level: ev.LogLevel | None = None
        self.has: dict[str, list[Any]] = {}
        self.journal: list[str] = []
        self.table = Drawn(self.lines)

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="page") as page:
            page.can_focus = True
            yield self.table

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.set_interval(1.0, self.refresh_page)
        self.refresh_page()

    def refresh_page(self) -> None:
        self._looking: Worker[None] = self.run_worker(self._look, exclusive=True, exit_on_error=False)

    async def _look(self) -> None:
        """A server that starts has no lists yet; its log is there at once."""
        if self.link.handle is None:
            return
        try:
            self.journal = await self.link.handle.ask("journal", server=self.server)
        except HostError as error:
            self.journal = [str(error)]
        self.table.redraw()
        found = {name: (await self.link.lists(name)).get(self.server, []) for name, _ in HAS}
        if found != self.has:
            self.has = found
            self.table.redraw()

    def action_restart(self) -> None:
        if reason := self.link.submit(ev.Restart(self.server)):
            self.app.notify(reason)

    def action_level(self) -> None:
        self.level = LEVELS[(LEVELS.index(self.level) + 1) % len(LEVELS) if self.level else 0]
        if reason := self.link.submit(ev.Listen(self.server, self.level)):
            self.app.notify(reason)
        self.table.redraw()

    def lines(self, width: int) -> Lines:
        status = self.link.view.servers.get(self.server)
        if status is None:
            return [styled("this session has no such server", "$quiet")]
        glyph, style = STATES[status.state]
        facts = [plural(status.tools, "tool"), f"protocol {status.protocol or '–'}", *status.offers]
        lines = [joined((f"{glyph} {status.state}", style), ("  " + " · ".join(facts), "$quiet"))]
        lines += wrapped(status.detail, width, "$quiet") if status.detail else []
        if status.instructions:
            lines += [BLANK, styled("What it says to models (its word, not yours)", "bold")]
            lines += [styled("  ") + line for line in wrapped(status.instructions, width - 2, "$quiet")]
        for name, key in HAS:
            if items := self.has.get(name):
                lines += [BLANK, styled(f"{name.replace('_', ' ').capitalize()} ({len(items)})", "bold")]
                lines += [self._item(one, key).truncate(width, ellipsis=True) for one in items]
        level = f" from {self.level} on" if self.level else ""
        lines += [BLANK, styled(f"Log{level}", "bold")]
        lines += [styled("  ") + part for line in self.journal for part in wrapped(line, width - 2, "$quiet")]
        return lines if self.journal else [*lines, styled("  nothing yet", "$quiet")]

    @staticmethod
    def _item(one: dict[str, Any], key: str) -> Line:
        about = " · ".join(str(one[k]) for k in ("title", "mimeType", "description") if one.get(k))
        return joined("  ", styled(str(one.get(key)), "$accent", 60), "  ", (about, "$quiet"))
