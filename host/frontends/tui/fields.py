"""Text fields in which every key acts in the order in which it was typed.

A field takes letters at once, but its bindings (Enter, Backspace, the arrows) only after their event has climbed
to the app: in a burst, as from a slow line or a busy moment, later letters overtake them. Here they act at once too.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widgets import Input, TextArea


def _actions(bindings: Iterable[BindingType]) -> dict[str, str]:
    return {key: b.action for b in bindings if isinstance(b, Binding) for key in b.key.split(",")}


class TextField(TextArea):
    """A text of several lines."""

    OWN = _actions(TextArea.BINDINGS)

    async def on_key(self, event: Key) -> None:
        if action := self.OWN.get(event.key):
            event.stop()
            event.prevent_default()
            await self.run_action(action)


class LineField(Input):
    """A single line."""

    OWN = _actions(Input.BINDINGS)

    async def on_key(self, event: Key) -> None:
        if action := self.OWN.get(event.key):
            event.stop()
            event.prevent_default()
            await self.run_action(action)
