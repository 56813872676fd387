"""The page of answers given ahead: what is granted, and a key that takes it back."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from host.core import events as ev
from host.core.errors import HostError
from host.core.types import Grant
from host.frontends.tui.cells import Line, styled
from host.frontends.tui.draw import columns
from host.frontends.tui.drawn import Rows
from host.frontends.tui.link import Link
from host.frontends.tui.page import Page
from host.frontends.view import granted_words

FOR = {"session": "this session", "project": "a project", "me": "you, everywhere"}


class Grants(Page):
    """The grants of this session, then those that outlive it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("x,delete", "take_back", "Take back")]
    heading = "Grants"
    hints = "x take back · esc back"

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self.grants: list[Grant] = []
        self._gone: set[str] = set()
        self.list = Rows()

    def body(self) -> ComposeResult:
        yield self.list

    async def on_mount(self) -> None:
        self.list.focus()
        await self._fill()

    async def _fill(self) -> None:
        self.grants = list(self.link.view.state.grants)
        try:
            self.grants += await self.link.door.grants()
        except HostError as error:
            self.app.notify(str(error), severity="warning")
        self.grants = [grant for grant in self.grants if grant.id not in self._gone]
        lines = columns([_line(grant) for grant in self.grants]) if self.grants else []
        self.list.fill(lines, "nothing is granted")

    async def action_take_back(self) -> None:
        at = self.list.highlighted
        if at is None or at >= len(self.grants):
            return
        grant = self.grants[at]
        try:
            if grant.scope == "session":
                if reason := self.link.submit(ev.Change(revoke=grant.id)):
                    raise HostError(reason)
            else:
                await self.link.door.take_back(grant.id)
        except HostError as error:
            self.app.notify(str(error), severity="error")
        else:
            self._gone.add(grant.id)  # the session's own list follows when its event has come
        await self._fill()


def _line(grant: Grant) -> tuple[Line, ...]:
    where = grant.project if grant.scope == "project" else FOR[grant.scope]
    return (
        styled(grant.id, "$quiet"),
        styled(f"{grant.server}.{grant.tool}", "bold", 48),
        styled(where, "$accent"),
        styled(granted_words(grant), limit=200),
    )
