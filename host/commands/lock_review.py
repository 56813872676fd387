"""A server's tools put before a person: what each seems to do, until they confirm, correct or leave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from host.core.pins import Pin, definition, lines
from host.core.proposals import propose
from host.core.settings import ServerConfig, ToolSettings
from host.core.types import Effect, ToolSpec
from host.frontends.plain import line_after, show

EFFECTS: Mapping[str, Effect] = {word[0]: word for word in get_args(Effect)} | {word: word for word in get_args(Effect)}
HELP = """\
  yes                         confirm them all as they stand above
  TOOL EFFECT [open|closed]   correct one: read, write or destructive (r, w, d); open can carry data out
  show TOOL                   its whole definition
  Enter                       leave this server as it is"""


@dataclass(slots=True)
class Row:
    """A tool with what it is proposed to do, and why. `said`: people said it before, and nobody guesses."""

    spec: ToolSpec
    effect: Effect
    open: bool
    why: str
    said: bool = False

    @classmethod
    def of(cls, config: ServerConfig, spec: ToolSpec, pin: Pin | None) -> Row:
        """What servers.toml says goes first, then what was confirmed of just this definition, then a guess."""
        own = config.tools.get(spec.remote_name, ToolSettings())
        same = pin is not None and pin.digest == spec.digest
        guess = propose(spec, config.url is not None)
        if own.effect is not None:
            return cls(spec, own.effect, True if own.open is None else own.open, "servers.toml says so", True)
        if pin is not None and same and pin.effect is not None:
            return cls(spec, pin.effect, True if pin.open is None else pin.open, "confirmed before", True)
        asked = own.approval or config.approval
        wish = f'; its entry wishes approval "{asked}"' if asked else ""
        return cls(spec, guess.effect, guess.open, guess.why + wish)


def review(
    config: ServerConfig, server: Mapping[str, Any], rows: Sequence[Row], changed: Sequence[str]
) -> list[Row] | None:
    """The rows as the person confirmed them; None where they left the server out."""
    show(f"{config.name}: {server.get('name') or 'without a name'} {server.get('version') or ''}".rstrip())
    if changed:
        show("  since it was locked:", *(f"  {line}" for line in changed))
    table(rows)
    show(*HELP.split("\n"))
    while True:
        words = line_after(f"{config.name}> ").split()
        if not words:
            return None
        if words == ["yes"]:
            return list(rows)
        if words[0] == "show" and len(words) == 2 and (row := _named(rows, words[1])):
            show(*(f"  {line}" for line in lines(definition(row.spec))))
        elif row := _named(rows, words[0]):
            _correct(row, words[1:])
        else:
            show(f"there is no tool {words[0]!r} here; type yes, TOOL EFFECT, show TOOL, or Enter")


def table(rows: Sequence[Row]) -> None:
    width = max((len(row.spec.remote_name) for row in rows), default=0)
    for row in rows:
        show(f"  {row.spec.remote_name:{width}}  {row.effect:11}  {'open' if row.open else 'closed':6}  {row.why}")
        about = " ".join(row.spec.description.split())
        show(f"  {'':{width}}  {about[:300]}{'…' if len(about) > 300 else ''}")
    if not rows:
        show("  no tools")


def _correct(row: Row, words: Sequence[str]) -> None:
    effect = EFFECTS.get(words[0]) if words else None
    if effect is None or len(words) > 2 or (len(words) == 2 and words[1] not in ("open", "closed")):
        show(f"write: {row.spec.remote_name} read|write|destructive [open|closed]")
        return
    row.effect, row.why, row.said = effect, "said by you", True
    row.open = words[1] == "open" if len(words) == 2 else row.open
    table([row])


def _named(rows: Sequence[Row], name: str) -> Row | None:
    return next((row for row in rows if row.spec.remote_name == name), None)
