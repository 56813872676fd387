"""The approval panel: what would be sent, to whom, at what risk; run once, edit, deny, tell why, or stop the turn."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from host.core.events import Action, Answer, Asked, Interrupt
from host.core.text import safe
from host.frontends.tui.cells import BLANK, Lines, joined, styled
from host.frontends.tui.drawn import Drawn
from host.frontends.tui.facts import facts, sent
from host.frontends.tui.fields import LineField, TextField
from host.frontends.tui.grant import Terms
from host.frontends.tui.question import Clock, Keys, Panel, Submit


class Approval(Panel):
    """Letters act only while the panel itself has the focus, never from a text field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "run_once", "Run once"),
        Binding("e", "edit", "Edit arguments"),
        Binding("n", "deny", "Deny"),
        Binding("d", "deny_why", "Deny and tell why"),
        Binding("s", "grant", "Allow these arguments this session"),
        Binding("r", "terms", "Grant more than this"),
        Binding("enter", "save_grant", "Run and grant", show=False),
        Binding("a", "run_all", "Run all that are asked together"),
        Binding("x", "deny_all", "Deny all that are asked together"),
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
        self.seen = self.seen_all = False
        self.others: list[Asked] = []
        self._own = 0
        self.risk = Drawn(self._risk, classes="risk")
        self.text = Drawn(self._arguments)
        self.room = VerticalScroll(self.text, classes="arguments", can_focus=False)
        self.more = Drawn(classes="more")
        self.hints = Keys()
        self.terms = Terms(asked)
        self.editor = TextField(classes="editor", show_line_numbers=False)
        self.reason = LineField(
            classes="reason", placeholder="what the model should do instead; Enter denies and tells it"
        )

    def compose(self) -> ComposeResult:
        self.editor.display = self.reason.display = self.terms.display = False
        yield self.risk
        yield self.room
        yield self.more
        yield self.terms
        yield self.editor
        yield self.reason
        yield self.problem
        yield self.hints

    def on_mount(self) -> None:
        super().on_mount()
        asked = self.asked
        name = f"{asked.server}.{asked.remote_name}" if asked.remote_name else asked.server
        verb = "Approve? " if asked.about == "approval" else "Let the server ask the model? "
        self.entitle((verb, "$warning"), (name, "bold"))
        self.watch(self.room, "scroll_y", self._scrolled, init=False)
        self._review()

    @property
    def flexible(self) -> Iterable[Widget]:
        return self.room, self.editor

    @property
    def facts(self) -> Drawn:
        return self.risk

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._scrolled)

    def _arguments(self, width: int) -> Lines:
        """Its own arguments in full, then those of the calls that are asked together with it."""
        lines = sent(self.asked, width)
        self._own = len(lines)
        for number, other in enumerate(self.others, 1):
            name = f"{other.server}.{other.remote_name}"
            words = (f"── asked together, {number} of {len(self.others)}: ", "$quiet"), (name, "bold $warning")
            lines += [BLANK, joined(*words), *facts(other, width), *sent(other, width)]
        return lines

    def _risk(self, width: int) -> Lines:
        return facts(self.asked, width)

    def beside(self, others: Sequence[Asked]) -> None:
        known, now = ({asked.request_id for asked in each} for each in (self.others, others))
        if known == now:
            return
        self.others = list(others)
        if now - known:
            self.seen_all = False
            self.begin()
        if self.is_mounted:
            self.text.redraw()
            self.call_after_refresh(self._scrolled)

    def _scrolled(self) -> None:
        """Mark what is out of sight; a call can be run only after its end was seen."""
        if not self.room.size.height or not self.text.size.height:
            return
        bottom = int(self.room.scroll_y) + self.room.size.height
        hidden = self.text.size.height - bottom
        self.seen = self.seen or bottom >= self._own
        self.seen_all = self.seen_all or hidden <= 0
        whole = "▴ all lines shown" if self.text.size.height > self.room.size.height else ""
        below = f"▾ {hidden} more lines below · ↓ PgDn" if hidden > 0 else whole
        self.more.show(lambda width: [styled(below, "$warning")])
        self.more.display = bool(below) and self.room.display
        if self._face is None:
            self._hint()
            self.call_after_refresh(self.fit)

    @property
    def _face(self) -> Widget | None:
        """What is open instead of the review: the editor, the reason, or the terms of a grant."""
        return next((face for face in (self.editor, self.reason, self.terms) if face.display), None)

    def _hint(self) -> None:
        run = [("y", "run once") if self.seen else ("–", "scroll to the end to run")]
        count = len(self.others) + 1
        if self.others:
            run.append(("a", f"run all {count}") if self.seen_all else ("–", f"scroll on to run all {count}"))
            run.append(("x", f"deny all {count}"))
        grant = [("s", "allow these arguments this session")] if self.asked.grantable and self.seen else []
        grant += [("r", "grant more")] if self._may_grant_more and self.seen else []
        edit = [("e", "edit arguments")] if self.asked.about == "approval" else []
        others = [("j k", "other requests")] if self.place[1] > 1 else []
        self.hints.offer(
            *run, *edit, ("n", "deny"), ("d", "deny and tell why"), *grant, *others, ("esc", "stop the turn")
        )

    def place_at(self, number: int, total: int) -> None:
        super().place_at(number, total)
        if self._face is None:
            self._hint()

    # --- keys

    @property
    def _reviewing(self) -> bool:
        """The panel itself listens: it has the focus, and no field does."""
        return self.armed and self.has_focus

    def action_run_once(self) -> None:
        if self._reviewing and not self.seen:
            self.tell("scroll to the end of its arguments first")
        elif self._reviewing:
            self.send(Answer("accept", self.asked.request_id))

    def action_run_all(self) -> None:
        if self._reviewing and self.others and not self.seen_all:
            self.tell("scroll to the end of all arguments first")
        elif self._reviewing and self.others:
            self._answer_all("accept")

    def action_deny_all(self) -> None:
        if self._reviewing and self.others:
            self._answer_all("decline")

    def _answer_all(self, action: Action) -> None:
        """One answer for all that are shown; none of them may have been added unseen."""
        self.send(Answer(action, request_ids=tuple(each.request_id for each in (self.asked, *self.others))))

    def action_deny(self) -> None:
        if self._reviewing:
            self.send(Answer("decline", self.asked.request_id))

    def action_grant(self) -> None:
        if self._reviewing and self.asked.grantable and self.seen:
            remember = {"for": "session", "arguments": "exact"}
            self.send(Answer("accept", self.asked.request_id, remember=remember))

    @property
    def _may_grant_more(self) -> bool:
        return bool(self.asked.grantable) and self.asked.effect in ("read", "write")

    def action_terms(self) -> None:
        if self._reviewing and self._may_grant_more and self.seen:
            self._show(self.terms)
            self.hints.offer(("enter", "run, and grant this"), ("esc", "back"))

    def action_save_grant(self) -> None:
        if self.armed and self.terms.display:
            self.send(Answer("accept", self.asked.request_id, remember=self.terms.remember))

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
        if self._face is not None:
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

    def on_input_submitted(self, event: LineField.Submitted) -> None:
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

    def _show(self, field: TextField | LineField | Terms) -> None:
        field.display = True
        self.room.display = field is not self.editor
        self.more.display = False
        field.focus()

    def _review(self) -> None:
        self.editor.display = self.reason.display = self.terms.display = False
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
