"""What the host knows of a call that waits for a yes, as lines: facts first, the server's own words last and quoted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from host.core.events import Asked
from host.frontends.tui.cells import Line, Lines, joined, styled
from host.frontends.tui.draw import arguments, wrapped
from host.frontends.tui.prose import hang

EFFECTS = {
    "read": ("reads", "$success"),
    "write": ("writes", "$warning"),
    "destructive": ("may destroy", "bold $error"),
}


def facts(asked: Asked, width: int) -> Lines:
    """What the host knows of a call: what it may do, to whom it goes, why it is asked. The server's words come last,
    quoted, labelled, and on one line."""
    effect, style = EFFECTS.get(asked.effect or "destructive", EFFECTS["destructive"])
    reach = ("can carry data out", "$warning") if asked.open is not False else ("stays inside", "$success")
    server = (asked.server, "bold")
    limits = ("" if asked.sandbox is None else f" · sandbox {asked.sandbox}", "$quiet")
    risk = joined((effect, style), " · ", reach, " · server ", server, limits)
    lines = _labelled("RISK", risk.wrap(max(width - 6, 8)))
    if asked.runs:
        lines += _labelled("RUNS", wrapped(shlex.join(asked.runs), width - 6))
    why = "; ".join([*(f"rule {rule}" for rule in asked.rules or ()), *filter(None, [asked.reason])])
    lines += _labelled("WHY", wrapped(why or "no reason given", width - 6, "$quiet"))
    if asked.flows:
        lines += _labelled(
            "FLOW", [line for each in asked.flows for line in wrapped(_flow(each), width - 6, "$warning")]
        )
    if asked.unchecked:
        patterns = f"its schema has patterns that are not checked: {'  '.join(asked.unchecked)}"
        lines += _labelled("NOTE", wrapped(patterns, width - 6, "$warning"))
    if asked.says:
        words = styled(f'the server says: "{asked.says}"', "$quiet")
        lines += _labelled("SAYS", [words.truncate(max(width - 6, 8), ellipsis=True)])
    return lines


def _flow(source: Mapping[str, Any]) -> str:
    given = f"; {', '.join(source['arguments'])} stands in it" if source["arguments"] else ""
    words = "data of {}" if source["trust"] == "private" else "what anybody may have written, read by {}"
    return f"could leave: {words.format(source['tool'])}{given}"


def _labelled(label: str, lines: Sequence[Line]) -> Lines:
    return hang(styled(label.ljust(6), "$quiet"), lines)


def sent(asked: Asked, width: int) -> Lines:
    """Exactly what would be sent, nothing cut."""
    lines = arguments(asked.arguments or {}, width)
    lines += wrapped(asked.message, width) if asked.message else []
    return lines or [styled("no arguments", "$quiet")]
