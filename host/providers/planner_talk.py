"""Which of the user's messages make up the present request: a new one, or one that answers the planner's question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from host.core.types import Message
from host.providers.planner_tools import SURE, Shelf, Tool
from host.providers.planner_values import EMAIL, fill, ids
from host.providers.planner_words import Words, nearest

NEEDS = "I still need"
OFFERS = "Which of these do you mean?"
_PINNED = re.compile(r"For `([\w-]+)` " + NEEDS)
_OFFERED = re.compile(r"^\d\. `([\w-]+)`", re.MULTILINE)
_NUMBER = re.compile(r"\W*(?:(?:number|no|option|the)\b\W*)?(?:([1-3])|(first|second|third))(?: one)?\W*")
_NEVER_MIND = re.compile(r"\W*(?:no|none|nothing|never mind|forget it|stop|cancel that|nope|not now)\b.{0,20}")
_ORDINALS = ("first", "second", "third")


@dataclass(frozen=True, slots=True)
class Thread:
    """The present request. `pinned` is the tool it was settled to be for, `begin` the place of its first message,
    `dropped` says that the user took it back."""

    words: Words
    begin: int
    pinned: str | None = None
    dropped: bool = False


def thread_of(messages: Sequence[Message], shelf: Shelf) -> Thread:
    """Go through all that the user said."""
    thread = Thread(Words(()), 0)
    asked = ""
    for place, message in enumerate(messages):
        if message.role == "assistant":
            asked = message.text if not message.calls else ""
        elif message.role == "user":
            thread = _next(thread, message.text, place, asked, shelf)
            asked = ""
    return thread


def _next(thread: Thread, said: str, place: int, asked: str, shelf: Shelf) -> Thread:
    fresh = Thread(Words((said,)), place)
    offered = _OFFERED.findall(asked) if OFFERS in asked else []
    pinned = found[1] if (found := _PINNED.search(asked)) else None
    if not thread.words.messages or not (offered or pinned):
        return fresh
    if _NEVER_MIND.fullmatch(said.casefold().strip()):
        return replace(fresh, dropped=True)
    if offered and (chosen := _chosen(said, offered, shelf)):
        return replace(thread, pinned=chosen)
    longer = replace(thread, words=Words((*thread.words.messages, said)), pinned=pinned)
    if (tool := shelf.named(pinned or "")) is None:
        return longer if not _of_its_own(said, None, shelf) else fresh
    return fresh if _of_its_own(said, tool, shelf) else longer


def _chosen(said: str, offered: Sequence[str], shelf: Shelf) -> str | None:
    """The tool that was picked from the list: by its number, or by its name."""
    if match := _NUMBER.fullmatch(said.casefold()):
        number = int(match[1]) if match[1] else _ORDINALS.index(match[2]) + 1
        return offered[number - 1] if number <= len(offered) else None
    words = Words((said,))
    tools = [tool for name in offered if (tool := shelf.named(name)) is not None]
    named = [tool for tool in tools if all(nearest(words.meant, word) == 1.0 for word in tool.name)]
    return named[0].spec.name if len(named) == 1 else None


def _of_its_own(said: str, tool: Tool | None, shelf: Shelf) -> bool:
    """Whether these words are another request rather than the answer to a question."""
    words = Words((said,))
    best = next(iter(shelf.rank(words)), None)
    if best is None or best.tool is tool or not best.acts or best.score < SURE:
        return False
    gives = tool is not None and bool(fill(tool.required, words) or EMAIL.search(said) or ids(said))
    return not gives or best.score >= 2 * SURE
