"""The one frame around words of servers, so that a model can tell them from the words of people and of the host."""

from __future__ import annotations

import re
import unicodedata

from host.core.text import safe

_NAME = "mcp-data"
_CLOSE = f"\n</{_NAME}>"
_FRAMED = re.compile(rf'<{_NAME} server="([^"]*)" from="[^"]*">\n(.*){re.escape(_CLOSE)}', re.DOTALL)
_LONGEST = 200
# What may pass for `<`, where the first letter behind it may pass for an m.
_OPENING = re.compile(r"[<\uff1c\ufe64\u2039\u3008\u27e8\u276e](?=[\W_]{0,200}(?:[mM]|[^\W\x00-\x7f]))")
_ALIKE = str.maketrans("\u043c\u0441\u0440\u0501\u0430\u0442\u03b1\u03c4", "mcpdatat")


def framed(text: str, server: str, origin: str) -> str:
    """The text verbatim inside the frame that names its server and what it came from, such as `tool shop__find`,
    `resource kb://article/1`, `prompt greet` or `instructions`. What imitates the frame is escaped."""
    return f'<{_NAME} server="{_named(server)}" from="{_named(origin)}">\n{_escaped(text)}{_CLOSE}'


def unframed(text: str) -> str | None:
    """What stands inside the frame; None where there is none."""
    found = _FRAMED.fullmatch(text)
    return found[2] if found else None


def source(text: str) -> str | None:
    """The server that the frame names; None where there is none."""
    found = _FRAMED.match(text)
    return found[1] if found else None


def beginning(text: str, limit: int) -> str:
    """The first `limit` characters, in the frame where the text is in one."""
    inside = unframed(text)
    if inside is None:
        return text[:limit]
    return text[: -len(inside + _CLOSE)] + inside[:limit] + _CLOSE


def _named(text: str) -> str:
    return re.sub('["<>]', "'", safe(text, _LONGEST))


def _escaped(text: str) -> str:
    return _OPENING.sub(lambda found: "&lt;" if _imitates(text[found.end() :][: _LONGEST + 50]) else found[0], text)


def _imitates(behind: str) -> bool:
    """Whether a reader may take this for the frame's name: blanks, signs and invisible characters do not count, nor do
    case, width and letters of other alphabets that look the same."""
    tag = re.split("[<>]", unicodedata.normalize("NFKC", behind), maxsplit=1)[0]
    letters = "".join(filter(str.isalnum, tag.casefold()))
    return letters.translate(_ALIKE).startswith(_NAME.replace("-", ""))
