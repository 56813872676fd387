"""What a person puts beside their words, as the model gets it: in its frame, so much of it as a result may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from host.core import events as ev
from host.core.frame import framed
from host.core.outline import Outline, Rest, outlined
from host.core.types import Attached, Blob, Part, Text

CHARS_PER_TOKEN = 4
CHOSEN = "[The user chose this prompt of the server {server} and wants what it asks for:]"


def beside(said: ev.UserSaid, limit: int, handle: str) -> tuple[Part, ...]:
    """The parts of a message. Each thing attached may have `limit` tokens; `handle` is where the log has it whole."""
    if not said.attached:
        return said.parts
    parts, place = list(said.parts[:1]), 1
    for one in said.attached:
        content = [part for part in said.parts[place : place + one.parts] if isinstance(part, (Text, Blob))]
        parts += [Text(CHOSEN.format(server=one.server))] if one.kind == "prompt" else []
        parts += _told(one, content, limit * CHARS_PER_TOKEN, handle, place)
        place += one.parts
    return tuple(parts)


def _told(one: Attached, content: Sequence[Text | Blob], limit: int, handle: str, place: int) -> Iterable[Part]:
    """`place` is the number of the first part among those that were said, as `host__read_result` counts them."""
    server, origin = one.server or "none", f"{one.kind} {one.name}"
    for number, part in enumerate(outlined(content, limit), place):
        match part:
            case Text(text=text):
                yield Text(framed(text, server, origin))
            case Blob():
                yield Text(framed(f"[{part.media_type} follows]", server, origin))
                yield part
            case Outline():
                yield Text(framed(part.shown(limit, f"{handle}.{number}"), server, origin))
            case Rest():
                yield Text(part.shown(handle))
