"""The form a server asks a person to fill in: the model does not see it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget

from host.core.events import Answer, Asked
from host.frontends.tui.cells import joined, styled
from host.frontends.tui.choice import Choice
from host.frontends.tui.draw import wrapped
from host.frontends.tui.drawn import Drawn
from host.frontends.tui.fields import LineField
from host.frontends.tui.question import Clock, Keys, Panel, Submit
from host.frontends.tui.schema import Field, Invalid, fields, read

WARNING = "⚠ never type passwords or card numbers here"


class FieldRow(Vertical):
    """One field: its title, its control, and what is wrong with what was given."""

    def __init__(self, field: Field) -> None:
        super().__init__(classes="field")
        self.field = field
        self.problem = Drawn(classes="problem")
        self.control = _control(field)

    def compose(self) -> ComposeResult:
        field = self.field
        star = " *" if field.required else ""
        with Horizontal():
            title = joined(styled(field.title, "$accent", 60), (star, "bold $warning"))
            yield Drawn(lambda width: title.wrap(max(width, 8)), classes="label")
            yield self.control
        about = " · ".join(text for text in (field.description, field.hint) if text)
        if about:
            yield Drawn(lambda width: wrapped(about, width, "$quiet"), classes="about")
        self.problem.display = False
        yield self.problem

    def value(self) -> Any:
        """What was given, as the schema wants it. Raises Invalid."""
        given: Any = self.control.value
        if self.field.kind != "many" and isinstance(given, list):
            given = given[0] if given else None
        return read(self.field, given)

    def tell(self, problem: str) -> None:
        self.problem.display = bool(problem)
        self.problem.show(lambda width: wrapped(f"✗ {problem}", width, "$error"))


def _control(field: Field) -> LineField | Choice:
    default = field.default
    match field.kind:
        case "boolean":
            return Choice(((True, "yes"), (False, "no")), [default is True], many=False)
        case "one":
            return Choice(field.choices, [default], many=False)
        case "many":
            return Choice(field.choices, default if isinstance(default, list) else [], many=True)
        case _:
            return LineField("" if default is None else str(default), compact=True, select_on_focus=False)


class Form(Panel):
    """Only F-keys and Esc send, decline or cancel: letters belong to the fields."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f10", "send_form", "Send"),
        Binding("f9", "decline", "Decline"),
        Binding("escape", "cancel", "Cancel"),
        Binding("tab", "field(1)", "Next field", show=False),
        Binding("shift+tab", "field(-1)", "Previous field", show=False),
    ]

    def __init__(self, asked: Asked, place: tuple[int, int], submit: Submit, clock: Clock) -> None:
        super().__init__(asked, place, submit, clock)
        self.rows = [FieldRow(field) for field in fields(asked.schema or {})]

        self.fields = VerticalScroll(*self.rows, classes="fields", can_focus=False)

    @property
    def flexible(self) -> Iterable[Widget]:
        return (self.fields,)

    def compose(self) -> ComposeResult:
        yield Drawn(lambda width: wrapped(self.asked.message or "", width, "bold"), classes="message")
        yield self.fields
        yield self.problem
        yield Drawn(lambda width: wrapped(WARNING, width, "$warning"), classes="caution")
        yield Keys(("F10", "send"), ("F9", "decline"), ("esc", "cancel"), ("tab", "next field"), ("space", "choose"))

    def on_mount(self) -> None:
        super().on_mount()
        self.entitle((self.asked.server, "bold"), " asks you · the model does not see this dialog")

    def on_focus(self) -> None:
        """The first field takes the focus; nothing typed there can answer the question."""
        if self.rows:
            self.rows[0].control.focus()

    def action_field(self, step: int) -> None:
        """From field to field and round again: who fills in a form stays in it, and F10 sends it from anywhere."""
        here = next((number for number, row in enumerate(self.rows) if row.control.has_focus), -1)
        if self.rows:
            self.rows[(here + step) % len(self.rows)].control.focus()

    def action_send_form(self) -> None:
        if not self.armed:
            return
        content: dict[str, Any] = {}
        valid = True
        for row in self.rows:
            try:
                value = row.value()
                row.tell("")
            except Invalid as problem:
                valid = False
                row.tell(str(problem))
                continue
            if value is not None:
                content[row.field.name] = value
        if valid:
            self.send(Answer("accept", self.asked.request_id, content=content))
        else:
            self.tell("not sent: some answers do not fit")

    def action_decline(self) -> None:
        if self.armed:
            self.send(Answer("decline", self.asked.request_id))

    def action_cancel(self) -> None:
        if self.armed:
            self.send(Answer("cancel", self.asked.request_id))
