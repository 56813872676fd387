"""Where a person writes: a growing text field with history, command completion, and keys that survive tmux."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Key
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from host.frontends.tui.commands import COMMANDS, Command, label, matching
from host.frontends.tui.draw import columns
from host.frontends.tui.fields import TextField


class Completions(Widget):
    """The commands that fit what was typed after the slash; the prompt moves the choice."""

    choices: reactive[tuple[Command, ...]] = reactive(())
    chosen: reactive[int] = reactive(0)

    def watch_choices(self) -> None:
        self.display = bool(self.choices)
        self.chosen = 0
        self.styles.height = len(self.choices)

    def render(self) -> Content:
        rows = []
        for number, command in enumerate(self.choices):
            mark = "▸ " if number == self.chosen else "  "
            name = Content.styled(f"{mark}/{command.name} {command.argument}".rstrip(), "bold $accent")
            key = Content.styled(" ".join(label(k) for k in command.keys[:1]), "$quiet")
            rows.append((name, key, Content.styled(command.help, "" if number == self.chosen else "$quiet")))
        return Content("\n").join(columns(rows)) if rows else Content("")


class Prompt(TextField):
    """Enter sends; Shift+Enter and Ctrl+J break the line; Up and Down reach earlier prompts from the edges."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(c.keys), f"screen.command('{c.name}')", c.help)
        for c in COMMANDS
        if c.typing and c.name != "quit"
    ]

    class Sent(Message):
        """The user sent this text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Page(Message):
        """The user wants to scroll the transcript."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    def __init__(self, clock: Callable[[], float], unqueue: Callable[[], str | None]) -> None:
        super().__init__(id="prompt", placeholder="Ask, or / for commands", show_line_numbers=False, compact=True)
        self.said: list[str] = []
        self.completions = Completions()
        self._place = 0
        self._draft = ""
        self._clock = clock
        self._unqueue = unqueue
        self._touched = clock() - 60.0
        self._armed_quit = -60.0
        self._recalled = ""

    @property
    def idle(self) -> float:
        """Seconds since the last key in the prompt."""
        return self._clock() - self._touched

    async def on_key(self, event: Key) -> None:
        self._touched = self._clock()
        match event.key:
            case "enter":
                self._send()
            case "shift+enter" | "shift+\r" | "ctrl+j":
                self.insert("\n")
            case "up":
                self._up()
            case "down":
                self._down()
            case "tab":
                self._complete()
            case "ctrl+c":
                self.clear_or_quit()
            case "ctrl+d" if not self.text:
                self.app.exit(0)
            case "pageup" | "pagedown":
                self.post_message(self.Page(-1 if event.key == "pageup" else 1))
            case "escape" if self.completions.choices:
                self.completions.choices = ()
            case _:
                return  # the keys of every text field follow
        event.stop()
        event.prevent_default()

    def on_text_area_changed(self) -> None:
        """Offer commands while a single word stands behind a slash, unless it was recalled from the history."""
        text = self.text
        typed = text.startswith("/") and not any(c.isspace() for c in text) and text != self._recalled
        self.completions.choices = tuple(matching(text[1:])[:8]) if typed else ()

    # --- sending and breaking lines

    def _send(self) -> None:
        self.on_text_area_changed()
        if self.completions.choices and self.text != f"/{self._chosen.name}":
            self._complete()
            if self._chosen_takes_argument:
                return
        text = self.text.strip()
        if text and (not self.said or self.said[-1] != text):
            self.said.append(text)
        self._place, self._draft = len(self.said), ""
        self.completions.choices = ()
        self.text = ""
        self.post_message(self.Sent(text))

    @property
    def _chosen(self) -> Command:
        return self.completions.choices[self.completions.chosen]

    @property
    def _chosen_takes_argument(self) -> bool:
        return self.text.endswith(" ")

    def _complete(self) -> None:
        if self.completions.choices:
            chosen = self._chosen
            self.put(f"/{chosen.name}{' ' if chosen.argument else ''}")

    def put(self, text: str) -> None:
        """Replace what stands here; the cursor goes to its end."""
        self.text = text
        self.move_cursor(self.document.end)

    # --- history

    def _up(self) -> None:
        if self.completions.choices:
            self.completions.chosen = (self.completions.chosen - 1) % len(self.completions.choices)
        elif self.cursor_location[0] > 0:
            self.action_cursor_up()
        elif not self.text and (queued := self._unqueue()):
            self.put(queued)
        else:
            self._recall(self._place - 1)

    def _down(self) -> None:
        if self.completions.choices:
            self.completions.chosen = (self.completions.chosen + 1) % len(self.completions.choices)
        elif self.cursor_location[0] < self.document.line_count - 1:
            self.action_cursor_down()
        else:
            self._recall(self._place + 1)

    def _recall(self, place: int) -> None:
        if not 0 <= place <= len(self.said):
            return
        if self._place == len(self.said):
            self._draft = self.text
        self._place = place
        self._recalled = self.said[place] if place < len(self.said) else self._draft
        self.put(self._recalled)

    # --- leaving

    def clear_or_quit(self) -> None:
        if selected := self.screen.get_selected_text() or self.selected_text:
            self.app.copy_to_clipboard(selected)
        elif self.text:
            self.text = ""
        elif self._clock() - self._armed_quit < 2.0:
            self.app.exit(0)
        else:
            self._armed_quit = self._clock()
            self.app.notify("Ctrl+C again leaves", timeout=2, markup=False)
