"""Names that a person takes for one another: `skeleton` is the same for all of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

_LETTERS: Mapping[str, str] = {
    "a": "аαɑ∂",
    "b": "вьъβƅ",
    "c": "сσᴄ",
    "d": "ԁɗ",
    "e": "еєεҽ℮",
    "f": "ƒғϝ",
    "g": "ɡցɢ",
    "h": "һհнʜ",
    "j": "јϳյ",
    "k": "кκᴋ",
    "l": "iіıɩιӏ1|ǀ׀ɪʟ",
    "m": "мᴍ",
    "n": "ոпɴη",
    "o": "0оοօөᴏ",
    "p": "рρ",
    "q": "ԛզ",
    "r": "гʀᴦ",
    "s": "ѕꜱ",
    "t": "тτᴛ",
    "u": "սυцᴜμ",
    "v": "ѵνᴠ",
    "w": "ԝωѡաᴡ",
    "x": "хχ",
    "y": "уүγʏყ",
    "z": "ᴢζ",
    "3": "зӡʒ",
    "4": "ч",
    "6": "б",
    "-": "‐‒–—―−⁃ー",
    "_": "ˍ",
}
_SIGNS = {ord(sign): letter for letter, signs in _LETTERS.items() for sign in signs if sign != letter}
_PAIRS = (("rn", "m"), ("vv", "w"))


def skeleton(name: str) -> str:
    """What is left of a name when all is gone that the eye passes over: case, width, marks, invisible characters, and
    letters of other alphabets that look like ours."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Me", "Cf", "Cc", "Cs", "Co", "Cn"))
    seen = seen.replace("\u3164", "").replace("\u115f", "").replace("\u1160", "").translate(_SIGNS)
    for pair, letter in _PAIRS:
        seen = seen.replace(pair, letter)
    return seen


def server_skeleton(name: str) -> str:
    """As `skeleton`; where a name has - and _ is not remembered either."""
    return skeleton(name).replace("-", "").replace("_", "")


def alike(names: Iterable[str], known: Iterable[str] = ()) -> dict[str, str]:
    """The names that may not stand beside each other, each with one that it looks like. Of such a group the only one
    that was `known` stays."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(skeleton(name), []).append(name)
    trusted = set(known)
    found: dict[str, str] = {}
    for group in (group for group in groups.values() if len(group) > 1):
        kept = [name for name in group if name in trusted]
        for name in group:
            if [name] != kept:
                found[name] = min(other for other in group if other != name)
    return found
