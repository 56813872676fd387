"""Where a person writes: a growing text field with history, command completion, and keys that survive tmux."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.worker import Worker

from host.frontends.tui.cells import Drawing, drawing, styled
from host.frontends.tui.commands import COMMANDS
from host.frontends.tui.completing import SHOWN, Choice, commands
from host.frontends.tui.draw import columns
from host.frontends.tui.fields import TextField
from host.frontends.tui.mentions import Typed, typed

Choices = Callable[[Typed, str], Awaitable[list[Choice]]]


class Completions(Widget):
    """What fits the word that is being typed; the prompt moves the choice."""

    choices: reactive[tuple[Choice, ...]] = reactive(())
    chosen: reactive[int] = reactive(0)

    def watch_choices(self) -> None:
        self.display = bool(self.choices)
        self.chosen = 0
        self.styles.height = len(self.choices)

    def render(self) -> Drawing:
        rows = []
        for number, choice in enumerate(self.choices):
            mark = "▸ " if number == self.chosen else "  "
            name = styled(f"{mark}{choice.text} {choice.hint}".rstrip(), "bold $accent", 60)
            note = styled(choice.note, "" if number == self.chosen else "$quiet", 80)
            rows.append((name, styled(choice.key, "$quiet"), note))
        return drawing(line.truncate(self.content_size.width, ellipsis=True) for line in columns(rows))


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

    def __init__(self, clock: Callable[[], float], unqueue: Callable[[], str | None], choices: Choices) -> None:
        super().__init__(
            id="prompt",
            placeholder="Ask, or / for commands and prompts, @ for resources and files",
            show_line_numbers=False,
            compact=True,
        )
        self.said: list[str] = []
        self.completions = Completions()
        self._place = 0
        self._draft = ""
        self._clock = clock
        self._unqueue = unqueue
        self._touched = clock() - 60.0
        self._armed_quit = -60.0
        self._recalled = ""
        self._choices = choices
        self._word: Typed | None = None

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
        """Offer what fits the word at the cursor, unless the text was recalled from the history: what is known at once,
        and what servers answer as it comes. The next key cancels what was asked for this one."""
        self._word = typed(self.text, self._cursor) if self.text != self._recalled else None
        known = commands(self._word.word) if self._word and self._word.kind == "command" else []
        self.completions.choices = tuple(known[:SHOWN])
        look = partial(self._look, self._word, self.text)
        self._looking: Worker[None] = self.run_worker(look, group="completing", exclusive=True, exit_on_error=False)

    async def _look(self, word: Typed | None, text: str) -> None:
        if word is None:
            return
        found = tuple(await self._choices(word, text))[:SHOWN]
        if self._word == word and self.text == text and found != self.completions.choices:
            self.completions.choices = found

    @property
    def _cursor(self) -> int:
        row, column = self.cursor_location
        return sum(len(line) + 1 for line in self.text.split("\n")[:row]) + column

    # --- sending and breaking lines

    def _send(self) -> None:
        word = typed(self.text, self._cursor)
        if self.completions.choices and word and self.text[word.start : word.end] != self._chosen.text:
            more = self._complete()
            if more or word.kind != "command":
                return
        text = self.text.strip()
        if text and (not self.said or self.said[-1] != text):
            self.said.append(text)
        self._place, self._draft = len(self.said), ""
        self.completions.choices = ()
        self.text = ""
        self.post_message(self.Sent(text))

    @property
    def _chosen(self) -> Choice:
        return self.completions.choices[self.completions.chosen]

    def _complete(self) -> bool:
        """Put the choice in place of the word; whether more has to be typed behind it."""
        word = typed(self.text, self._cursor)
        if not self.completions.choices or word is None:
            return False
        chosen = self._chosen
        space = "" if chosen.text.endswith(("/", "=")) or (chosen.more and word.kind == "mention") else " "
        space = space if word.kind != "command" or chosen.more else ""
        before, behind = self.text[: word.start] + chosen.text + space, self.text[word.end :].lstrip(" ")
        self.text = before + behind
        self.move_cursor((before.count("\n"), len(before.rpartition("\n")[2])))
        return chosen.more

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
            self.app.notify("Ctrl+C again leaves", timeout=2)
