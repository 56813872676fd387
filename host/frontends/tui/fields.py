"""Text fields in which every key acts in the order in which it was typed.

A field takes letters at once, but its bindings (Enter, Backspace, the arrows) only after their event has climbed
to the app: in a burst, as from a slow line or a busy moment, later letters overtake them. Here they act at once too.

What stands in a field is kept as it came, by a paste or as a server's words; its cells show `␣` for what is hidden.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.highlighter import Highlighter
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widgets import Input, TextArea

from host.core.text import safe_in_place


def _actions(bindings: Iterable[BindingType]) -> dict[str, str]:
    return {key: b.action for b in bindings if isinstance(b, Binding) for key in b.key.split(",")}


class _Shown(Highlighter):
    def highlight(self, text: Text) -> None:
        text.plain = safe_in_place(text.plain)


class TextField(TextArea):
    """A text of several lines."""

    OWN = _actions(TextArea.BINDINGS)

    def get_line(self, line_index: int) -> Text:
        return Text(safe_in_place(self.document.get_line(line_index)), end="", no_wrap=True)

    async def on_key(self, event: Key) -> None:
        if action := self.OWN.get(event.key):
            event.stop()
            event.prevent_default()
            await self.run_action(action)


class LineField(Input):
    """A single line."""

    OWN = _actions(Input.BINDINGS)

    def __init__(self, value: str = "", **options: Any) -> None:
        super().__init__(value, highlighter=_Shown(), **options)

    async def on_key(self, event: Key) -> None:
        if action := self.OWN.get(event.key):
            event.stop()
            event.prevent_default()
            await self.run_action(action)
