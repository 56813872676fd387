"""The approval panel: what would be sent, to whom, at what risk; run once, edit, deny, tell why, or stop the turn."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from host.core.events import Answer, Asked, Interrupt
from host.core.text import safe
from host.frontends.tui.draw import arguments, wrapped
from host.frontends.tui.drawn import Drawn
from host.frontends.tui.fields import LineField, TextField
from host.frontends.tui.question import Clock, Keys, Panel, Submit

EFFECTS = {
    "read": ("reads", "$success"),
    "write": ("writes", "$warning"),
    "destructive": ("may destroy", "bold $error"),
}


class Approval(Panel):
    """Letters act only while the panel itself has the focus, never from a text field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "run_once", "Run once"),
        Binding("e", "edit", "Edit arguments"),
        Binding("n", "deny", "Deny"),
        Binding("d", "deny_why", "Deny and tell why"),
        Binding("s", "grant", "Allow these arguments this session"),
        Binding("j", "move(1)", "Next request"),
        Binding("k", "move(-1)", "Previous request"),
        Binding("down", "scroll(1)", "Down"),
        Binding("up", "scroll(-1)", "Up"),
        Binding("pagedown,space", "scroll(10)", "Page down"),
        Binding("pageup", "scroll(-10)", "Page up"),
        Binding("end", "scroll(100000)", "End"),
        Binding("home", "scroll(-100000)", "Home"),
        Binding("f10", "send_edited", "Run with the edited arguments"),
        Binding("ctrl+g", "external", "Edit in $EDITOR"),
        Binding("escape", "leave", "Back, or stop the whole turn"),
    ]

    def __init__(self, asked: Asked, place: tuple[int, int], submit: Submit, clock: Clock) -> None:
        super().__init__(asked, place, submit, clock)
        self.seen = False
        self.risk = Drawn(self._risk, classes="risk")
        self.text = Drawn(self._arguments)
        self.room = VerticalScroll(self.text, classes="arguments", can_focus=False)
        self.more = Drawn(classes="more")
        self.hints = Keys()
        self.editor = TextField(classes="editor", show_line_numbers=False)
        self.reason = LineField(
            classes="reason", placeholder="what the model should do instead; Enter denies and tells it"
        )

    def compose(self) -> ComposeResult:
        self.editor.display = self.reason.display = False
        yield self.risk
        yield self.room
        yield self.more
        yield self.editor
        yield self.reason
        yield self.problem
        yield self.hints

    def on_mount(self) -> None:
        super().on_mount()
        asked = self.asked
        name = safe(f"{asked.server}.{asked.remote_name}" if asked.remote_name else asked.server)
        verb = "Approve? " if asked.about == "approval" else "Let the server ask the model? "
        self.border_title = Content.assemble((verb, "$warning"), (name, "bold"))
        self.watch(self.room, "scroll_y", self._scrolled, init=False)
        self._review()

    @property
    def flexible(self) -> Iterable[Widget]:
        return self.room, self.editor

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._scrolled)

    def _arguments(self, width: int) -> list[Content]:
        lines = arguments(self.asked.arguments or {}, width)
        lines += wrapped(self.asked.message, width) if self.asked.message else []
        return lines or [Content.styled("no arguments", "$quiet")]

    def _risk(self, width: int) -> list[Content]:
        asked = self.asked
        effect, style = EFFECTS.get(asked.effect or "destructive", EFFECTS["destructive"])
        reach = ("can carry data out", "$warning") if asked.open is not False else ("stays inside", "$success")
        head = Content.assemble(
            ("RISK  ", "$quiet"), (effect, style), " · ", reach, " · server ", (safe(asked.server), "bold")
        )
        why = "; ".join([*(f"rule {rule}" for rule in asked.rules or ()), asked.reason or ""]).strip("; ")
        told = wrapped(why or "no reason given", width - 6, "$quiet")
        first = Content.styled("WHY   ", "$quiet")
        return [head, *((first if n == 0 else Content(" " * 6)) + line for n, line in enumerate(told))]

    def _scrolled(self) -> None:
        """Mark what is out of sight; a destructive call can be run only after its end was seen."""
        if not self.room.size.height or not self.text.size.height:
            return
        hidden = self.text.size.height - int(self.room.scroll_y) - self.room.size.height
        self.seen = self.seen or hidden <= 0
        whole = "▴ all lines shown" if self.text.size.height > self.room.size.height else ""
        below = f"▾ {hidden} more lines below · ↓ PgDn" if hidden > 0 else whole
        self.more.show(lambda width: [Content.styled(below, "$warning")])
        self.more.display = bool(below) and self.room.display
        if not self.editor.display and not self.reason.display:
            self._hint()
            self.call_after_refresh(self.fit)

    @property
    def _locked(self) -> bool:
        return not self.seen and self.asked.effect in (None, "destructive")

    def _hint(self) -> None:
        run = ("y", "run once") if not self._locked else ("–", "scroll to the end to run")
        grant = [("s", "allow these arguments this session")] if self.asked.grantable else []
        edit = [("e", "edit arguments")] if self.asked.about == "approval" else []
        others = [("j k", "other requests")] if self.place[1] > 1 else []
        self.hints.offer(
            run, *edit, ("n", "deny"), ("d", "deny and tell why"), *grant, *others, ("esc", "stop the turn")
        )

    def place_at(self, number: int, total: int) -> None:
        super().place_at(number, total)
        if not self.editor.display and not self.reason.display:
            self._hint()

    # --- keys

    @property
    def _reviewing(self) -> bool:
        """The panel itself listens: it has the focus, and no field does."""
        return self.armed and self.has_focus

    def action_run_once(self) -> None:
        if self._reviewing and self._locked:
            self.tell("this tool may destroy: scroll to the end of its arguments first")
        elif self._reviewing:
            self.send(Answer("accept", self.asked.request_id))

    def action_deny(self) -> None:
        if self._reviewing:
            self.send(Answer("decline", self.asked.request_id))

    def action_grant(self) -> None:
        if self._reviewing and self.asked.grantable and not self._locked:
            remember = {"for": "session", "arguments": "exact"}
            self.send(Answer("accept", self.asked.request_id, remember=remember))

    def action_deny_why(self) -> None:
        if self._reviewing:
            self._show(self.reason)
            self.hints.offer(("enter", "deny and tell the model"), ("esc", "back"))

    def action_edit(self) -> None:
        if self._reviewing and self.asked.about == "approval":
            self.editor.text = visible_json(self.asked.arguments or {})
            self._show(self.editor)
            self.hints.offer(("F10", "run with these, marked edited by you"), ("ctrl+g", "$EDITOR"), ("esc", "back"))

    def action_send_edited(self) -> None:
        if self.armed and self.editor.display and (edited := self._edited()) is not None:
            same = edited == self.asked.arguments
            self.send(Answer("accept", self.asked.request_id, content=None if same else edited))

    def action_leave(self) -> None:
        if self.editor.display or self.reason.display:
            self._review()
            self.focus()
        elif self.armed:
            self.send(Interrupt())

    def action_scroll(self, lines: int) -> None:
        if self.has_focus:
            self.room.scroll_relative(y=lines, animate=False)

    def action_move(self, step: int) -> None:
        if self.has_focus:
            super().action_move(step)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.armed:
            self.send(Answer("decline", self.asked.request_id, reason=event.value.strip() or None))

    def on_text_area_changed(self) -> None:
        if self.editor.display:
            self._edited()

    def action_external(self) -> None:
        """Hand the arguments to the user's editor and take them back."""
        if not self.armed or not self.editor.display:
            return
        try:
            with self.app.suspend():
                self.editor.text = _in_editor(self.editor.text)
        except SuspendNotSupported:
            self.tell("this terminal cannot be handed to an editor; edit here")
        except OSError as error:
            self.tell(f"the editor did not start: {error}; set EDITOR")
        self.app.refresh(layout=True)

    # --- the three faces: review, editor, reason

    def _show(self, field: TextField | LineField) -> None:
        field.display = True
        self.room.display = field is not self.editor
        self.more.display = False
        field.focus()

    def _review(self) -> None:
        self.editor.display = self.reason.display = False
        self.room.display = True
        self.tell("")
        self._hint()
        self.call_after_refresh(self._scrolled)

    def _edited(self) -> dict[str, Any] | None:
        """The editor's arguments; None, with what is wrong shown, where they are not a JSON object."""
        try:
            value = json.loads(self.editor.text)
        except (ValueError, RecursionError) as error:
            self.tell(f"not valid JSON: {error}")
            return None
        if not isinstance(value, dict):
            self.tell("arguments are a JSON object: { … }")
            return None
        self.tell("")
        return value


def visible_json(value: Any) -> str:
    """JSON to edit, in which every character that could deceive the eye is written as an escape."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(c if c.isascii() or safe(c) == c else json.dumps(c)[1:-1] for c in text)


def _in_editor(text: str) -> str:
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arguments.json"
        file.write_text(text, encoding="utf-8")
        subprocess.run([*command, str(file)], check=False)
        return file.read_text(encoding="utf-8")
