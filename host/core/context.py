"""How full a model's window is, and what makes room in it: old results set aside, older messages summarised. Pure.

Sizes are tokens: those of the last request as the model counted them, and an estimate of what came since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from host.core.frame import beginning
from host.core.told import CHARS_PER_TOKEN
from host.core.types import Blob, Message, Opaque, Part, Text, ToolCall, ToolResult

FULL = 0.8
"""Share of the window from which on room is made."""
ROOMY = 0.5
"""Share down to which it is made, so that it is made seldom and the provider's prompt cache lives long between."""
STEPS = 4
"""So many last steps keep their results."""
SHORT = 600
"""Characters up to which a result is not worth setting aside."""
PICTURE = 1_500
OVERHEAD = 8
BEGINNING = 120
SET_ASIDE = """{beginning}…
[This result was set aside to make room. Read it again with host__read_result(handle="{handle}.0").]"""
_OVERFLOW = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|(input|request|prompt) (is )?too (long|large)"
    r"|too many (input |prompt )?tokens|exceeds?\b.{0,40}\b(context|token)",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Load:
    """`exact`: input tokens of the last request, as the model counted them; `since`: an estimate of what was added
    after it, or taken away; `messages`: an estimate of all messages."""

    exact: int = 0
    since: int = 0
    messages: int = 0

    def add(self, tokens: int) -> None:
        self.since += tokens
        self.messages += tokens

    def next(self, fixed: int) -> int:
        """What the next request weighs; `fixed` is an estimate of all that is no message. A count far below the
        estimate is not believed: some servers count only what is new to them."""
        return max(self.exact + self.since, self.messages // 2) if self.exact else self.messages + fixed


@dataclass(frozen=True, slots=True)
class Account:
    """Where the tokens of a session are: the model's `window`, from where on room is made (`full`), the last request
    as it was counted (`exact`), the next one (`next`), and estimates by part. `tools` are those that are sent and
    `deferred` what the others would cost, by server."""

    window: int
    full: int
    exact: int
    next: int
    system: int
    tools: Mapping[str, int]
    user: int
    assistant: int
    results: int
    deferred: Mapping[str, int]


def account(
    messages: Iterable[Message],
    load: Load,
    window: int,
    longest: int | None,
    system: int,
    tools: Mapping[str, int],
    deferred: Mapping[str, int],
) -> Account:
    """Add up by part. `messages` are those that are sent."""
    roles = {"user": 0, "assistant": 0, "tool": 0}
    for message in messages:
        roles[message.role] += weight(message)
    fixed = system + sum(tools.values())
    return Account(
        window,
        full(window, longest),
        load.exact,
        load.next(fixed),
        system,
        tools,
        roles["user"],
        roles["assistant"],
        roles["tool"],
        deferred,
    )


def weight(message: Message) -> int:
    """An estimate of a message's tokens."""
    return sum(map(_weight, message.parts))


def _weight(part: Part) -> int:
    match part:
        case Text(text=text):
            return tokens(text)
        case ToolCall():
            return (len(part.name) + len(part.text)) // CHARS_PER_TOKEN + OVERHEAD
        case ToolResult(content=content):
            return OVERHEAD + sum(map(_weight, content))
        case Blob():
            return PICTURE
        case Opaque(body=body):
            return len(str(body)) // CHARS_PER_TOKEN


def tokens(text: str) -> int:
    """An estimate of a text's tokens."""
    return len(text) // CHARS_PER_TOKEN + 1


def full(window: int, longest: int | None) -> int:
    """The tokens from which on room is made: the answer, `longest` tokens at most, must fit as well."""
    return min(int(window * FULL), window - min(longest or 0, window // 2))


def overflowed(error: str) -> bool:
    """Whether a provider's error says that the request does not fit the model's window."""
    return bool(_OVERFLOW.search(error))


def sent(messages: Iterable[Message], cleared: int, through: int) -> tuple[Message, ...]:
    """The messages with the long results between two events set aside; all others are the very same."""
    return tuple(aside(m) if m.role == "tool" and cleared < m.seq <= through else m for m in messages)


def aside(message: Message) -> Message:
    """A message of results with the long ones replaced by a line that says how to read them again."""
    return replace(message, parts=tuple(_aside(p) if isinstance(p, ToolResult) else p for p in message.parts))


def _aside(result: ToolResult) -> ToolResult:
    texts = [part.text for part in result.content if isinstance(part, Text)]
    if not result.handle or (len(texts) == len(result.content) and sum(map(len, texts)) <= SHORT):
        return result
    kept = beginning(texts[0], BEGINNING) if texts else ""
    return replace(result, content=(Text(SET_ASIDE.format(beginning=kept, handle=result.handle)),))


def gain(messages: Iterable[Message], cleared: int, through: int) -> int:
    """The tokens that setting aside the results between two events saves."""
    return sum(weight(m) - weight(aside(m)) for m in messages if m.role == "tool" and cleared < m.seq <= through)


def clearable(messages: Sequence[Message], steps: int = STEPS) -> int:
    """The event up to which results may be set aside so that the last `steps` keep theirs; 0 if there is none."""
    seqs = [message.seq for message in messages if message.role == "tool"]
    return seqs[len(seqs) - steps - 1] if len(seqs) > steps else 0


def boundary(messages: Sequence[Message], room: int) -> int:
    """The place of the first message that a summary does not replace: the user's last one, if it and what follows
    fit `room`, else one step of its turn, so many as fit. Calls are never parted from their results."""
    last = max((place for place, message in enumerate(messages) if message.role == "user"), default=0)
    if sum(map(weight, messages[last:])) <= room:
        return last
    kept, size = len(messages), 0
    for place in range(len(messages) - 1, last, -1):
        size += weight(messages[place])
        if size > room and kept < len(messages):
            break
        if messages[place].role == "assistant":
            kept = place
    return kept if kept < len(messages) else last


def transcript(messages: Iterable[Message], limit: int) -> str:
    """A conversation as plain text of at most `limit` characters, its results cut as short as need be."""
    messages = list(messages)
    for cut in (2_000, 500, 120):
        text = "\n\n".join(line for message in messages for line in _lines(message, cut))
        if len(text) <= limit:
            return text
    head, tail = text[: limit // 4], text[len(text) - limit * 3 // 4 :]
    return f"{head}\n\n[… {len(text) - limit} characters left out …]\n\n{tail}"


def _lines(message: Message, cut: int) -> Iterable[str]:
    for part in message.parts:
        match part:
            case Text(text=text):
                yield f"{message.role.upper()}: {text}"
            case ToolCall(name=name):
                yield f"CALL {name} {_cut(part.text, cut)}"
            case ToolResult(content=content, is_error=failed, handle=handle):
                text = "\n".join(p.text if isinstance(p, Text) else f"[{p.media_type}]" for p in content)
                yield f"{'ERROR' if failed else 'RESULT'} {handle}: {_cut(text, cut)}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit * 3 // 4]} … {text[len(text) - limit // 4 :]}"


def plain(account: Account) -> dict[str, Any]:
    """The account as JSON."""
    return {name: getattr(account, name) for name in Account.__slots__}
