"""What every panel shares that asks a person: one question, its place among the others, keys that start out dead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.message import Message
from textual.widget import Widget

from host.core.events import Asked, Command
from host.frontends.tui.cells import Part, drawing, joined
from host.frontends.tui.draw import wrapped
from host.frontends.tui.drawn import Drawn, flow

DEAD = 0.4
LEAST = 3
"""Lines that what scrolls has in the lowest terminal."""
Clock = Callable[[], float]
Submit = Callable[[Command], str | None]


class Panel(Vertical, can_focus=True):
    """A question docked above the prompt. Nothing in it is chosen beforehand, so a stray Enter does nothing, and
    its keys are dead for a moment after it appears, and until no key was pressed for as long: one that is held down, or
    typed on, answers nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f8", "move(1)", "Next request", show=False),
        Binding("f7", "move(-1)", "Previous request", show=False),
    ]

    class Move(Message):
        """The user wants to see another open question."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, asked: Asked, place: tuple[int, int], submit: Submit, clock: Clock) -> None:
        super().__init__(classes="panel")
        self.asked = asked
        self.place = place
        self.answered = False
        self._submit = submit
        self._clock = clock
        self.left = False
        self.begin()
        self.problem = Drawn(classes="problem")

    @property
    def armed(self) -> bool:
        return not self.answered and self._clock() - self._since >= DEAD

    @property
    def flexible(self) -> Iterable[Widget]:
        """The parts that scroll, so that the rest, the keys above all, is always in sight."""
        return ()

    @property
    def facts(self) -> Drawn | None:
        """What gives way where even that leaves no room."""
        return None

    def on_resize(self) -> None:
        self.call_after_refresh(self.fit)

    def fit(self) -> None:
        """Give what scrolls the lines that everything else leaves."""
        scrolling = list(self.flexible)
        rest = [child for child in self.children if child.display and child not in scrolling]
        used = sum(child.outer_size.height + child.styles.margin.height for child in rest)
        room = self.screen.size.height * 7 // 10 - 3
        if self.facts is not None:
            whole = self.facts.whole
            used += whole - self.facts.outer_size.height
            cut = used + LEAST - room
            self.facts.cut(max(whole - cut, 2) if cut > 0 else None)
            used -= max(min(cut, whole - 2), 0)
        for widget in scrolling:
            widget.styles.max_height = max(room - used, LEAST)

    def begin(self) -> None:
        """From now on the keys are dead for a moment."""
        self._since = self._clock()

    def on_key(self, event: Key) -> None:
        if self.has_focus and not self.armed:
            self.begin()

    def on_mount(self) -> None:
        self.problem.display = False
        self.place_at(*self.place)

    def place_at(self, number: int, total: int) -> None:
        self.place = number, total
        self.border_subtitle = f"request {number} of {total}" if total > 1 else None

    def entitle(self, *parts: Part) -> None:
        self.border_title = drawing([joined(*parts)])

    def beside(self, others: Sequence[Asked]) -> None:
        """These are asked together with this one; most kinds of question stand alone."""

    def send(self, command: Command) -> None:
        """Answer, once. A refusal is shown, and the panel stays."""
        if reason := self._submit(command):
            self.tell(reason)
        else:
            self.answered = True

    def tell(self, problem: str) -> None:
        self.problem.display = bool(problem)
        self.call_after_refresh(self.fit)
        self.problem.show(lambda width: wrapped(f"✗ {problem}", width, "$error") if problem else [])

    def action_move(self, step: int) -> None:
        self.post_message(self.Move(step))


class Keys(Drawn):
    """Keys and what they do, side by side."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        super().__init__(classes="hints")
        self.offer(*pairs)

    def offer(self, *pairs: tuple[str, str]) -> None:
        parts = [joined((f"[{key}]", "bold $accent"), f" {what}") for key, what in pairs]
        self.show(lambda width: flow(parts, width))
