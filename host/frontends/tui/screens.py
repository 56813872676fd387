"""The pages beside the chat: sessions, servers, tools, help. Esc goes back from each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from host.core.schema import unenforced
from host.core.types import SessionRow, ToolSpec
from host.frontends.handle import Door
from host.frontends.tui.bars import STATES
from host.frontends.tui.cells import BLANK, Line, Lines, joined, styled
from host.frontends.tui.commands import COMMANDS, TYPING, label
from host.frontends.tui.draw import columns, money, plural, wrapped
from host.frontends.tui.drawn import Drawn, Rows
from host.frontends.tui.fields import LineField
from host.frontends.tui.link import Link
from host.frontends.tui.page import Page
from host.frontends.tui.prose import hang

NEW = "+new"
SESSION_STATES = {
    "waiting": ("⚑", "needs you", "$warning"),
    "working": ("◐", "working", "$primary"),
    "idle": ("✓", "done", "$success"),
    "interrupted": ("■", "unfinished", "$warning"),
    "damaged": ("✗", "damaged", "$error"),
}


class Sessions(Page):
    """Earlier sessions, youngest first. Gives back the id of the chosen one, or `NEW`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,N", "new", "New session"),
        Binding("slash", "filter", "Filter"),
        Binding("down", "to_list", "Into the list", show=False),
        Binding("ctrl+s", "back", "Back", show=False),
    ]
    heading = "Sessions"
    hints = "enter open · n new · / filter · esc back"

    def __init__(self, door: Door, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self._door = door
        self._now = now
        self.rows: list[SessionRow] = []
        self.shown: list[SessionRow] = []
        self.filter = LineField(classes="filter", placeholder="filter")
        self.list = Rows()

    def body(self) -> ComposeResult:
        yield self.filter
        yield self.list

    async def on_mount(self) -> None:
        self.list.focus()
        self.rows = await self._door.sessions()
        self._fill()

    def on_input_changed(self) -> None:
        self._fill()

    def _fill(self) -> None:
        words = self.filter.value.lower().split()
        rows = [
            row
            for row in self.rows
            if all(w in f"{row.title} {row.profile} {row.model} {row.id} {row.state}".lower() for w in words)
        ]
        lines = columns([self._line(row) for row in rows]) if rows else []
        self.shown = rows
        self.list.fill(lines, "no session fits" if self.rows else "no sessions yet")

    def _line(self, row: SessionRow) -> tuple[Line, ...]:
        glyph, word, style = SESSION_STATES.get(row.state, ("·", row.state, "$quiet"))
        return (
            styled(f"{glyph} {word}", style, 14),
            styled(ago(row.at, self._now()), "$quiet"),
            styled(row.profile, "$accent", 18),
            styled(row.title or "(nothing said yet)", limit=52),
            styled(f"{plural(row.turns, 'turn')}" + (f" · {money(row.usd)}" if row.usd else ""), "$quiet"),
        )

    def on_option_list_option_selected(self, event: Rows.OptionSelected) -> None:
        event.stop()
        self.dismiss(self.shown[event.option_index].id)

    def on_input_submitted(self, event: LineField.Submitted) -> None:
        event.stop()
        self.list.action_select()

    def action_new(self) -> None:
        self.dismiss(NEW)

    def action_filter(self) -> None:
        self.filter.focus()

    def action_to_list(self) -> None:
        self.list.focus()

    def action_back(self) -> None:
        """From the filter to the list, from the list to the chat."""
        if self.filter.has_focus:
            self.list.focus()
        else:
            self.dismiss(None)


class Servers(Page):
    """Where each server stands; drawn anew while the page is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "back", "Back", show=False),
        Binding("down,j", "move(1)", "Next server", show=False),
        Binding("up,k", "move(-1)", "Previous server", show=False),
        Binding("enter", "open", "Open a server", show=False),
    ]
    heading = "Servers"
    hints = "↑ ↓ and enter open one · esc back"

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self.place = 0
        self.table = Drawn(self.lines)

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="page", can_focus=False):
            yield self.table

    def refresh_page(self) -> None:
        self.table.redraw()

    def action_move(self, step: int) -> None:
        self.place = (self.place + step) % max(len(self.link.view.servers), 1)
        self.table.redraw()

    def action_open(self) -> None:
        from host.frontends.tui.server import Server

        names = list(self.link.view.servers)
        if names:
            self.app.push_screen(Server(self.link, names[self.place % len(names)]))

    def lines(self, width: int) -> Lines:
        statuses = list(self.link.view.servers.values())
        rows = []
        for number, one in enumerate(statuses):
            glyph, style = STATES[one.state]
            rows.append(
                (
                    joined("▸ " if number == self.place else "  ", (f"{glyph} {one.state}", style)),
                    styled(one.server, "bold", 24),
                    styled(plural(one.tools, "tool") if one.tools else "–"),
                    styled(one.protocol or "–", "$quiet", 12),
                    styled(one.sandbox, "$error" if one.sandbox == "off" else "$quiet"),
                )
            )
        lines: Lines = []
        for one, line in zip(statuses, columns(rows) if rows else [], strict=True):
            lines.append(line)
            if one.detail:
                lines += [styled(" " * 14) + part for part in wrapped(one.detail, width - 14, "$quiet")]
            for tool, why in one.quarantined.items():
                words = f"⚠ set aside: {tool}: {why}"
                lines += [styled(" " * 14) + part for part in wrapped(words, width - 14, "$warning")]
        return lines or [styled("this session has no servers", "$quiet")]


class Tools(Page):
    """The tools the model is offered: what people said each does, and how it describes itself."""

    heading = "Tools"
    hints = "type to filter · esc back"

    def __init__(self, tools: Sequence[ToolSpec], query: str) -> None:
        super().__init__()
        self.tools = tools
        self.filter = LineField(query, classes="filter", placeholder="filter")
        self.table = Drawn(self.lines)

    def body(self) -> ComposeResult:
        yield self.filter
        with VerticalScroll(classes="page", can_focus=False):
            yield self.table

    def on_mount(self) -> None:
        self.filter.focus()

    def on_input_changed(self) -> None:
        self.table.redraw()

    def key_down(self) -> None:
        self.query_one(VerticalScroll).scroll_down(animate=False)

    def key_up(self) -> None:
        self.query_one(VerticalScroll).scroll_up(animate=False)

    def key_pagedown(self) -> None:
        self.query_one(VerticalScroll).scroll_page_down(animate=False)

    def key_pageup(self) -> None:
        self.query_one(VerticalScroll).scroll_page_up(animate=False)

    def lines(self, width: int) -> Lines:
        words = self.filter.value.lower().split()
        found = [t for t in self.tools if all(w in f"{t.name} {t.title or ''} {t.description}".lower() for w in words)]
        lines: Lines = [
            styled(f"{len(found)} of {plural(len(self.tools), 'tool')}", "$quiet"),
            BLANK,
        ]
        for tool in found:
            lines.append(joined((tool.name, "bold"), "  ", effect(tool)))
            for pattern in unenforced(tool.input_schema):
                lines += [styled("  ") + line for line in wrapped(f"not checked: {pattern}", width - 2, "$warning")]
            lines += [
                styled("  ") + line
                for line in wrapped(tool.description.strip() or "no description", width - 2, "$quiet")
            ]
            lines.append(BLANK)
        return lines


def effect(tool: ToolSpec) -> Line:
    """What a tool does to the world, and whether a person has said so."""
    words = {"read": ("reads", "$success"), "write": ("writes", "$warning"), "destructive": ("may destroy", "$error")}[
        tool.effect
    ]
    reach = " · open" if tool.open else " · closed"
    return joined(words, (reach, "$quiet"), ("" if tool.confirmed else " · unconfirmed", "$warning"))


class Help(Page):
    """Keys and commands, from the one table of both."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1", "back", "Back", show=False)]
    heading = "Keys and commands"

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="page") as page:
            page.can_focus = True
            yield Drawn(self.lines)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    @staticmethod
    def lines(width: int) -> Lines:
        rows = [
            (
                styled(f"/{c.name} {c.argument}".rstrip(), "bold $accent"),
                styled(", ".join(label(key) for key in c.keys)),
                c.help + ("" if c.during_turn else " (not while a turn runs)"),
            )
            for c in COMMANDS
        ]
        typing = [(styled(key, "bold $accent"), what) for key, what in TYPING]
        return [*_table(rows, width), BLANK, styled("While writing", "bold"), *_table(typing, width)]


def _table(rows: Sequence[tuple[Any, ...]], width: int) -> Lines:
    """Cells under each other, and behind them words that take as many lines as they need."""
    heads = columns([(*row[:-1], BLANK) for row in rows])
    return [
        line
        for head, row in zip(heads, rows, strict=True)
        for line in hang(head, wrapped(row[-1], width - head.cell_length, "$quiet"))
    ]


def ago(at: str, now: datetime) -> str:
    """How long ago, in one word."""
    try:
        seconds = int((now - datetime.fromisoformat(at)).total_seconds())
    except ValueError:
        return ""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "now"
