"""The chat: transcript, questions, queue and prompt. It draws what the link says changed and runs the commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.timer import Timer

from host.core import events as ev
from host.frontends.tui.bars import Bar, header, queued, status, welcome
from host.frontends.tui.commands import COMMANDS, find
from host.frontends.tui.completing import choices
from host.frontends.tui.drawn import Drawn
from host.frontends.tui.prompt import Prompt
from host.frontends.tui.question import DEAD, Clock, Panel
from host.frontends.tui.transcript import Transcript
from host.frontends.view import NoticeBlock

if TYPE_CHECKING:
    from host.frontends.tui.address import Browse
    from host.frontends.tui.link import Link

FRAME = 0.05
MODES: tuple[str, ...] = ("read-only", "ask", "auto")


class Chat(Screen[None]):
    """The first screen and the last one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key, f"command('{c.name}', '{key}')", c.help, priority=c.name != "stop")
            for c in COMMANDS
            if not c.typing
            for key in c.keys
        ),
        Binding("tab", "app.focus_next", "Focus next", show=False),
        Binding("j,down", "cursor(1)", "Next card", show=False),
        Binding("k,up", "cursor(-1)", "Previous card", show=False),
        Binding("pageup", "page(-1)", "Scroll up", show=False),
        Binding("pagedown", "page(1)", "Scroll down", show=False),
        Binding("ctrl+c", "copy_or_quit", "Copy, or leave", show=False),
    ]
    AUTO_FOCUS = "#prompt"

    def __init__(
        self, link: Link, title: str, clock: Clock, browse: Browse, follow: Callable[[str | None], None]
    ) -> None:
        super().__init__(id="chat")
        self.link = link
        self.heading = title
        self.follow = follow
        self._clock = clock
        self._browse = browse
        self._dirty: list[str] = []
        self._pending = False
        self.panel: Panel | None = None
        self.offer: Timer | None = None
        self.transcript = Transcript(link.view)
        self.prompt = Prompt(clock, self._unqueue, lambda word, text: choices(link, word, text))
        self.welcome = Drawn(lambda width: welcome(link, title, width), id="welcome")
        self.queue = Drawn(lambda width: queued(link, width), id="queue")

    def compose(self) -> ComposeResult:
        with Vertical(classes="column"):
            yield Bar("header")
            yield self.welcome
            yield self.transcript
            yield Vertical(id="dock")
            with Vertical(id="foot"):
                yield self.queue
                yield self.prompt.completions
                yield self.prompt
            yield Bar("status")

    def on_mount(self) -> None:
        self.draw()

    # --- drawing

    def changed(self, keys: Sequence[str]) -> None:
        """Draw these blocks soon: what streams is gathered for a frame."""
        self._dirty += keys
        if not self._pending:
            self._pending = True
            self.set_timer(FRAME, self.draw)

    def draw(self) -> None:
        """Bring the screen to what the link says."""
        self._pending = False
        dirty, self._dirty = self._dirty, []
        link = self.link
        if self.transcript.view is not link.view:
            self.transcript.restart(link.view)
            dirty = list(link.view.blocks)
        with self.app.batch_update():
            self.transcript.sync(dirty)
            self._review()
            empty = all(isinstance(block, NoticeBlock) for block in link.view.blocks.values())
            self.transcript.display = not empty
            for drawn, wanted in ((self.welcome, empty), (self.queue, bool(link.queue))):
                drawn.display = wanted
                if wanted:
                    drawn.redraw()
            self.prompt.set_class(link.busy, "busy")
            self._bars()

    def _bars(self) -> None:
        reviewing = self.panel is not None and self.panel.has_focus_within
        self.query_one("#header", Bar).show(*header(self.link, self.heading))
        self.query_one("#status", Bar).show(*status(self.link, reviewing))

    def on_descendant_focus(self) -> None:
        self._bars()

    # --- questions

    def _review(self) -> None:
        """Show one open question; the panel takes the focus only from a prompt that is empty and idle."""
        questions = self.link.questions
        ids = [asked.request_id for asked in questions]
        if self.panel is not None and self.panel.asked.request_id in ids:
            self.panel.place_at(ids.index(self.panel.asked.request_id) + 1, len(ids))
            self.panel.beside(alike(self.panel.asked, questions))
        elif questions:
            self._open(questions, 0)
        elif self.panel is not None:
            self._close_panel()

    def _open(self, questions: list[ev.Asked], number: int, chosen: bool = False) -> None:
        focus = chosen or self._may_take_focus()
        if self.panel is not None:
            self.panel.remove()
        self.panel = self._panel(questions[number], (number + 1, len(questions)))
        self.panel.beside(alike(questions[number], questions))
        self.query_one("#dock").mount(self.panel)
        if focus:
            self.panel.focus()
        elif self.focused is None:
            self.prompt.focus()
        if not focus:
            self.offer = self.set_timer(DEAD, self._offer_focus)

    def _offer_focus(self) -> None:
        """A prompt that was used when the panel came and is empty and idle by now gives the focus away, once."""
        panel, self.offer = self.panel, None
        if panel is None or panel.has_focus_within or panel.left or self.prompt.text:
            return
        if self._may_take_focus():
            panel.begin()
            panel.focus()
        else:
            self.offer = self.set_timer(DEAD, self._offer_focus)

    def _may_take_focus(self) -> bool:
        reviewing = self.panel is not None and self.panel.has_focus_within
        return reviewing or (self.prompt.has_focus and not self.prompt.text and self.prompt.idle >= DEAD)

    def _panel(self, asked: ev.Asked, place: tuple[int, int]) -> Panel:
        """The panel for a kind of question; what has no form and no address is a plain yes or no."""
        link = self.link
        match asked.about:
            case "form":
                from host.frontends.tui.form import Form

                return Form(asked, place, link.submit, self._clock)
            case "url" | "sign_in":
                from host.frontends.tui.address import Address

                return Address(asked, place, link.submit, self._clock, self._browse)
            case _:
                from host.frontends.tui.approval import Approval

                return Approval(asked, place, link.submit, self._clock)

    def _close_panel(self) -> None:
        assert self.panel is not None
        if self.panel.has_focus_within:
            self.prompt.focus()
        self.panel.remove()
        self.panel = None

    def on_panel_move(self, event: Panel.Move) -> None:
        event.stop()
        questions = self.link.questions
        ids = [asked.request_id for asked in questions]
        if self.panel is not None and len(ids) > 1 and self.panel.asked.request_id in ids:
            self._open(questions, (ids.index(self.panel.asked.request_id) + event.step) % len(ids), chosen=True)

    # --- the prompt

    def on_prompt_sent(self, event: Prompt.Sent) -> None:
        event.stop()
        text = event.text
        name, _, argument = text[1:].partition(" ") if text.startswith("/") else ("", "", "")
        if find(name):
            self.run_command(name, argument.strip())
        elif name and "/" not in name and name.partition(":")[0] not in self.link.view.servers:
            self.link.note(
                f"there is no command /{name}; /help lists them, a space before the slash sends it", "warning"
            )
            self.prompt.put(text)
        elif text:
            self.transcript.anchor()
            self.link.say(text)
        elif self.link.unfinished:
            self.link.go()

    def on_prompt_page(self, event: Prompt.Page) -> None:
        event.stop()
        self.transcript.page(event.pages)

    def _unqueue(self) -> str | None:
        if not self.link.queue:
            return None
        text = self.link.queue.pop()
        self.changed(())
        return text

    # --- commands

    def action_command(self, name: str, key: str = "") -> None:
        self.run_command(name, "", key)

    def run_command(self, name: str, argument: str = "", key: str = "") -> None:
        """Run a command of the table, by its slash or by its key."""
        command = find(name)
        assert command is not None
        if not command.during_turn and self.link.busy:
            self.app.notify(f"/{name} waits until the turn has ended; Esc stops it", severity="warning")
            return
        match name:
            case "new":
                self.follow(None)
            case "resume" if argument:
                self.run_worker(self._resume(argument), exit_on_error=False)
            case "resume":
                self._sessions()
            case "servers":
                self._servers()
            case "server":
                self._server(argument)
            case "changes":
                self._changes()
            case "tools":
                self.run_worker(self._tools(argument), exit_on_error=False)
            case "mode":
                self._mode(argument)
            case "grants":
                self._grants()
            case "review":
                self._toggle_review()
            case "stop":
                self._stop()
            case "cards":
                self._cards(key)
            case "expand":
                self.transcript.unfold_all()
            case "redraw":
                self.app.refresh(layout=True)
            case "help":
                self._help()
            case "quit":
                self.app.exit(0)

    def _sessions(self) -> None:
        from host.frontends.tui.screens import NEW, Sessions

        def chosen(id: str | None) -> None:
            if id is not None:
                self.follow(None if id == NEW else id)

        self.app.push_screen(Sessions(self.link.door), chosen)

    async def _resume(self, id: str) -> None:
        """Leave the open session only for one that is there."""
        if any(row.id == id for row in await self.link.door.sessions()):
            self.follow(id)
        else:
            self.link.note(f"no session {id}; /resume lists them", "warning")

    def _servers(self) -> None:
        from host.frontends.tui.screens import Servers

        self.app.push_screen(Servers(self.link))

    def _server(self, name: str) -> None:
        from host.frontends.tui.server import Server

        if name in self.link.view.servers:
            self.app.push_screen(Server(self.link, name))
        else:
            self.link.note(f"name a server: {', '.join(self.link.view.servers) or 'there is none'}", "warning")

    def _changes(self) -> None:
        from host.frontends.tui.changes import Changes

        self.app.push_screen(Changes(self.link))

    async def _tools(self, query: str) -> None:
        from host.frontends.tui.screens import Tools

        tools = await self.link.handle.ask("tools") if self.link.handle else []
        self.app.push_screen(Tools(tools, query))

    def _grants(self) -> None:
        from host.frontends.tui.granted import Grants

        self.app.push_screen(Grants(self.link))

    def _help(self) -> None:
        from host.frontends.tui.screens import Help

        self.app.push_screen(Help())

    def _mode(self, wanted: str) -> None:
        now = self.link.view.state.mode
        mode = wanted or MODES[(MODES.index(now) + 1) % len(MODES) if now in MODES else 0]
        match mode:
            case "read-only" | "ask" | "auto":
                reason = self.link.submit(ev.Change(mode=mode))
            case _:
                reason = f"there is no mode {mode!r}; there are {', '.join(MODES)}"
        if reason:
            self.link.note(reason, "warning")

    def _toggle_review(self) -> None:
        if self.panel is None:
            self.app.notify("nothing waits for an answer", timeout=2)
        elif self.panel.has_focus_within:
            self.panel.left = True
            self.prompt.focus()
        else:
            self.panel.focus()

    def _stop(self) -> None:
        """Back to the prompt from a card; from the prompt, stop the turn."""
        if not self.prompt.has_focus:
            self.prompt.focus()
        elif self.link.stop_reading():
            pass
        elif self.link.busy and (reason := self.link.submit(ev.Interrupt())):
            self.app.notify(reason)

    def _cards(self, key: str) -> None:
        """Alt+Up edits the queue where there is one; else these keys walk the cards."""
        if key == "alt+up" and self.prompt.has_focus and not self.prompt.text and (text := self._unqueue()):
            self.prompt.put(text)
        elif key == "f6" and not self.prompt.has_focus:
            self.prompt.focus()
        else:
            self.action_cursor(1 if key == "alt+down" else -1)

    def action_cursor(self, step: int) -> None:
        if self.panel is not None and self.panel.has_focus_within:
            return
        if not self.transcript.move_cursor(step):
            self.prompt.focus()

    def action_page(self, pages: int) -> None:
        self.transcript.page(pages)

    def action_copy_or_quit(self) -> None:
        """Copy what is selected; else as in the prompt, to which the focus returns."""
        self.prompt.focus()
        self.prompt.clear_or_quit()


def alike(asked: ev.Asked, questions: Sequence[ev.Asked]) -> list[ev.Asked]:
    """The other approvals that the same answer of the model asks for: they are seen, and may be settled, together."""
    kind = (asked.about, asked.step)
    return [q for q in questions if q is not asked and q.about == "approval" and (q.about, q.step) == kind]
