"""The lines around the chat: where we are, what runs, what is queued, and what greets an empty session."""

from __future__ import annotations

from textual.widget import Widget

from host.frontends.tui.cells import BLANK, Drawing, Line, Lines, drawing, joined, styled
from host.frontends.tui.draw import count, money, plural, wrapped
from host.frontends.tui.drawn import flow
from host.frontends.tui.link import Link
from host.frontends.view import NoticeBlock

MODES = {
    "read-only": ("◇", "$success"),
    "ask": ("◆", "$accent"),
    "auto": ("▲", "$warning"),
    "bypass": ("!", "bold $error"),
}
STATES = {
    "waiting": ("○", "$quiet"),
    "starting": ("◐", "$primary"),
    "ready": ("●", "$success"),
    "failed": ("✗", "$error"),
    "restarting": ("◐", "$warning"),
    "disabled": ("○", "$quiet"),
    "closed": ("○", "$quiet"),
}
HINTS = ("Enter sends", "/ commands", "F1 keys", "F2 servers", "Ctrl+S sessions", "Shift+Tab mode")


class Bar(Widget):
    """One line with a left and a right end; the left one gives way."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._ends = BLANK, BLANK

    def show(self, left: Line, right: Line) -> None:
        if (left, right) != self._ends:
            self._ends = left, right
            self.refresh()

    def render(self) -> Drawing:
        left, right = self._ends
        room = max(self.content_size.width - right.cell_length - 1, 0)
        return drawing([joined(left.truncate(room, ellipsis=True, pad=True), " ", right)])


def header(link: Link, title: str) -> tuple[Line, Line]:
    """Profile and session on the left, mode and servers on the right."""
    state = link.view.state
    name = styled(state.profile or link.profile or title, "bold", 40)
    session = link.handle.session if link.handle else ""
    left = joined(("◆ ", "bold $primary"), name)
    if session:
        left = joined(left, (" · session ", "$quiet"), styled(session, "$quiet", 18))
    return left, joined(mode(state.mode), "   ", servers(link))


def mode(name: str) -> Line:
    glyph, style = MODES.get(name, ("◆", "$accent"))
    return styled(f"{glyph} {name}", style)


def servers(link: Link) -> Line:
    """How many servers are ready, and whether one failed or set tools aside."""
    known = [status for status in link.view.servers.values() if status.state != "disabled"]
    if not known:
        return styled("no servers", "$quiet")
    failed = sum(status.state == "failed" for status in known)
    aside = sum(bool(status.quarantined) for status in known)
    ready = link.view.ready
    style, glyph = ("$success", "●") if ready == len(known) else ("$error", "✗") if failed else ("$primary", "◐")
    words = f"{glyph} {ready}/{len(known)} servers"
    return joined((words, style), (f" ⚠ {aside} changed", "$warning") if aside else "")


def status(link: Link, reviewing: bool) -> tuple[Line, Line]:
    """What goes on and what it cost on the left, the keys that matter now on the right."""
    view = link.view
    state = view.state
    waiting = len(link.questions)
    if waiting:
        now = styled(f"⚑ {plural(waiting, 'question')} for you", "bold $warning")
    elif link.busy:
        now = styled("◐ working", "$primary")
    elif link.ended:
        now = styled("■ ended", "$warning")
    elif not link.opened:
        now = styled("◐ opening", "$primary")
    else:
        now = styled("○ ready", "$quiet")
    facts = [f"{count(view.context)} context"] if view.context else []
    facts += [money(state.usage.usd)] if state.usage.usd else []
    facts += [plural(view.tools, "tool")] if view.tools else []
    model = joined((" · ", "$quiet"), styled(state.model, "$quiet", 30)) if state.model else BLANK
    left = joined(now, model, ("".join(f" · {fact}" for fact in facts), "$quiet"))
    if waiting and not reviewing:
        hint = styled("F5 to review", "bold $warning")
    elif reviewing:
        hint = styled("F5 back to the prompt", "$quiet")
    elif link.busy:
        hint = styled("esc stops · enter queues · F1 help", "$quiet")
    else:
        hint = styled("F1 help", "$quiet")
    return left, hint


def queued(link: Link, width: int) -> Lines:
    """The prompts that wait for the turn to end."""
    why = "sent when the turn ends" if link.opened else "sent when the session is open"
    lines = [styled(f"queued ({len(link.queue)}) · {why} · ↑ edits the last", "$quiet")]
    for text in link.queue[-3:]:
        lines.append(joined(("┃ ", "$primary"), text).truncate(width, ellipsis=True))
    return lines


def welcome(link: Link, title: str, width: int) -> Lines:
    """An empty session: what it is made of, and the keys to begin with."""
    state = link.view.state
    lines = [joined(("◆ ", "bold $primary"), (title, "bold")), BLANK]
    if state.model:
        lines.append(joined(("model    ", "$quiet"), styled(state.model, limit=60)))
    if state.profile:
        lines.append(joined(("profile  ", "$quiet"), styled(state.profile, limit=60)))
    for number, one in enumerate(link.view.servers.values()):
        glyph, style = STATES[one.state]
        told = plural(one.tools, "tool") if one.state == "ready" else one.detail
        head = "servers  " if number == 0 else " " * 9
        lines.append(
            joined(
                (head, "$quiet"),
                (f"{glyph} ", style),
                styled(f"{one.server:<16}", limit=24),
                " ",
                (f"{one.state:<11}{told}", "$quiet"),
            )
        )
    for block in link.view.blocks.values():
        if isinstance(block, NoticeBlock):
            lines += [BLANK, *wrapped(block.text, width, "$error" if block.tone == "error" else "$warning")]
    lines += [BLANK, *flow((styled(hint, "$quiet") for hint in HINTS), width)]
    return [line.truncate(width, ellipsis=True) for line in lines]
