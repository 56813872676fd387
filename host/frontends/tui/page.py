"""A page over the chat."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen

from host.frontends.tui.bars import Bar
from host.frontends.tui.cells import styled


class Page(Screen[str | None]):
    """A page over the chat, with its name, what its keys do, and a way back."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back")]
    AUTO_FOCUS = None
    heading = ""
    hints = "esc back"

    def compose(self) -> ComposeResult:
        with Vertical(classes="column"):
            bar = Bar("header")
            bar.show(styled(self.heading, "bold"), styled(self.hints, "$quiet"))
            yield bar
            yield from self.body()

    def body(self) -> ComposeResult:
        yield from ()

    def action_back(self) -> None:
        self.dismiss(None)
