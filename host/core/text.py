"""Hostile text made safe to show, and secrets kept out of what is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

# Invisible, though a character by its class: joiner, fillers, vowel carriers and selectors. One selector of
# presentation behind a sign is how emoji are written; more of them in a row carry hidden data.
_HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]"
    "|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]"
)
_BLANKS = frozenset("\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))
_SHORTEST = 6
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def safe(text: str, limit: int | None = None, keep_newlines: bool = False) -> str:
    """Text of outside as it may reach a terminal: what is invisible or steers is shown as `␣U+202E`.

    Controls, escape, bidi and zero-width characters, tags, lone surrogates, private and unassigned code points are
    never in the result; line ends, and tabs as blanks, only with `keep_newlines`. A text longer than `limit` is cut
    and ends in `…`.
    """
    long = limit is not None and len(text) > limit
    if limit is not None:
        text = text[: 2 * limit]
    if keep_newlines:
        text = text.replace("\r\n", "\n").replace("\t", "    ")
        text = "\n".join(map(_shown, text.split("\n")))
    else:
        text = _shown(text)
    if limit is not None and (long or len(text) > limit):
        return text[: max(limit - 1, 0)] + "…"
    return text


def safe_in_place(text: str) -> str:
    """As many characters as the text has, each that `safe` would name a `␣`: for a field in which a cursor moves."""
    return "\t".join(_shown(part, lambda character: "␣") for part in text.split("\t"))


def safe_json(text: str) -> str:
    """JSON that says the same with each character that `safe` would name written as an escape."""
    for character in {c for c in set(text) if not c.isprintable()} - _BLANKS - {"\n", "\t"}:
        text = text.replace(character, _escape(character))
    return text if text.isascii() else _HIDDEN.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def _named(character: str) -> str:
    return f"␣U+{ord(character):04X}"


def _shown(text: str, named: Callable[[str], str] = _named) -> str:
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in _BLANKS else named(c) for c in text)
    return text if text.isascii() else _HIDDEN.sub(lambda found: named(found[0]), text)


class Secrets:
    """The values that the host knows to be secret, by name. A value under 6 characters is not looked for: it would
    be found in anything."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        found: dict[str, str] = {}
        for name, value in values.items():
            if len(value) >= _SHORTEST:
                for form in (value, *_escaped(value)):
                    found.setdefault(form, f"⟦secret:{name}⟧")
        self._marks = sorted(found.items(), key=lambda pair: -len(pair[0]))
        self._needles = tuple(
            {form.encode(errors="surrogatepass") for value in found for form in (value, *_escaped(value))}
        )

    def also(self, name: str, value: str) -> Secrets:
        """These, and one that became known since; what had its name stays secret too."""
        if value in self._values.values():
            return self
        names = (name, *(f"{name}.{number}" for number in range(2, len(self._values) + 3)))
        return Secrets({**self._values, next(each for each in names if each not in self._values): value})

    def clean(self, text: str) -> str:
        """The text with each known value, also as JSON writes it, replaced by `⟦secret:NAME⟧`."""
        if not any(value in text for value, _ in self._marks):
            return text
        return _replaced(text, self._marks)

    def settled(self, text: str) -> int:
        """How much of a text that goes on may be shown by now: up to where a known value may have begun."""
        cut = min((_begun(value, text) for value, _ in self._marks), default=len(text))
        before = len(text) + 1
        while cut < before:  # nor may a value that is whole be cut in two
            before = cut
            for value, _ in self._marks:
                at = text.find(value, max(0, cut - len(value) + 1))
                if 0 <= at < cut:
                    cut = at
        return cut

    def clean_bytes(self, json_body: bytes) -> bytes:
        """JSON with each known value in its texts replaced; all else stays byte for byte, and the very same object
        comes back if there was none. Numbers are left alone: their readers need numbers."""
        if not any(needle in json_body for needle in self._needles):
            return json_body
        cleaned = _STRING.sub(self._clean_string, json_body.decode()).encode()
        return json_body if cleaned == json_body else cleaned

    def _clean_string(self, found: re.Match[str]) -> str:
        text = json.loads(found[0], strict=False)
        cleaned = self.clean(text)
        if cleaned == text:
            return found[0]
        quoted = json.dumps(cleaned, ensure_ascii=False)
        return quoted if _encodable(quoted) else json.dumps(cleaned)


class Veil:
    """A text that comes in pieces: what is passed on holds no known value, not even one that came in many of them."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets, self._held, self._length = secrets, "", 0

    def take(self, piece: str) -> tuple[int, str]:
        """What may be passed on now, perhaps nothing, and how many characters were before it."""
        text = self._held + piece
        cut = self._secrets.settled(text)
        shown, self._held = self._secrets.clean(text[:cut]), text[cut:]
        offset, self._length = self._length, self._length + len(shown)
        return offset, shown


def _begun(value: str, text: str) -> int:
    """Where the value begins that the end of the text may be the beginning of; the text's end if none does."""
    at = text.find(value[0], max(0, len(text) - len(value) + 1))
    while at >= 0 and not value.startswith(text[at:]):
        at = text.find(value[0], at + 1)
    return at if at >= 0 else len(text)


def _escaped(value: str) -> tuple[str, str]:
    """A value as it stands inside a JSON string, by both habits."""
    return json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1]


def _replaced(text: str, marks: Sequence[tuple[str, str]]) -> str:
    """Longest value first; what was put in is not searched again."""
    if not marks:
        return text
    (value, mark), rest = marks[0], marks[1:]
    return mark.join(_replaced(piece, rest) for piece in text.split(value))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
