"""Values for a tool's parameters out of a person's words. Nothing is made up: each value stands there, or is None."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from host.providers.planner_slots import Slot, shape
from host.providers.planner_words import Words, name_tokens, nearest, quoted, telling, tokens

SHORTEST_TEXT = 2
NAMED = 0.6
FREE = frozenset(
    ("text", "message", "body", "content", "note", "comment", "reason", "description", "subject", "title", "summary",
     "details")
)  # fmt: skip
QUERY = frozenset(("query", "q", "search", "question", "keyword", "term", "prompt"))
PATHS = frozenset(
    ("path", "file", "filename", "folder", "directory", "dir", "source", "src", "destination", "dest", "target")
)
PLACES = frozenset(("city", "location", "place", "town", "country", "region"))
UNITS: Mapping[str, str] = {
    "eur": "euro price amount", "euro": "euro price amount", "euros": "euro price amount", "€": "euro price amount",
    "usd": "usd dollar price amount", "dollars": "usd dollar price amount", "$": "usd dollar price amount",
    "%": "percent", "percent": "percent", "°": "celsius degree temperature", "°c": "celsius degree temperature",
    "degrees": "celsius degree temperature fahrenheit", "degree": "celsius degree temperature", "minutes": "minute",
    "hours": "hour", "days": "day", "weeks": "week", "months": "month", "years": "year", "seconds": "second",
    "km": "kilometre distance", "kg": "kilogram weight", "items": "quantity count limit",
    "results": "limit count k max", "pieces": "quantity count", "times": "count",
}  # fmt: skip
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
URI = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
PATH = re.compile(
    r"(?<![\w@/])[~.]{0,2}/[\w.-]+(?:/[\w.-]+)*/?|(?<![\w@/])[\w.-]+(?:/[\w.-]+)+"
    r"|(?<![\w@.])[\w-]+\.[A-Za-z][A-Za-z0-9]{0,4}\b(?![\w@])"
)
_PLACE = re.compile(r"\b(?:in|at|for|near|of)\s+([A-Z][\w-]+(?: [A-Z][\w-]+)*)")
_WORD = re.compile(r"[^\s,;\"“”]+")
_PIECE = re.compile(r"[:=#()]")
_AROUND = ".,:;!?()[]{}<>'’‘"
_ID = re.compile(r"\b(?=\w*[A-Za-z])(?=[\w-]*\d)[A-Za-z]+[-_#]?\d[\w-]*\b")
_NOT_NUMBERS = re.compile(rf"{DATE.pattern}|\b\d{{1,2}}:\d{{2}}\b|{EMAIL.pattern}")
_NUMBER = re.compile(
    r"(?<![\w.-])[€$£]?\s?(-?\d+(?:[.,]\d+)?)(?![\w-]|[.,:]\d)|(?<![\w.-])(-?\d+(?:[.,]\d+)?)(?=[%°€$£]|[a-z]{1,3}\b)"
)
_THOUSANDS, _UNCLEAR = re.compile(r"-?\d{1,3},\d{3}"), re.compile(r"-?\d{1,3}\.\d{3}")
_ON = re.compile(r"\b(?:turn|switch|put|set|make|have|be)\w*\b.{0,40}?\bon\b|\bon\W*$|\b(?:enable|activate|yes|true)\b")
_OFF = re.compile(r"\b(?:off|disable|deactivate|no|false)\b")
_ANY_MORE = re.compile(r"\bany ?more\b")
_SMALL = ("no", "not", "by", "a", "an", "the", "of", "to", "in", "on", "for")
_SAYING = re.compile(
    r"\b(?:saying(?: that)?|that says|with the words?)\b[:\s]+(?!what|how|why|where|which|who)(.+)",
    re.IGNORECASE | re.DOTALL,
)


def ids(text: str) -> list[str]:
    """What looks like the name of a thing: letters with a number, such as AB-12."""
    without = URI.sub(" ", EMAIL.sub(" ", text))
    return list(dict.fromkeys(_ID.findall(without)))


def fill(found: Sequence[Slot], words: Words) -> dict[str, Any]:
    """The values of these slots that the words hold. What is ambiguous is left out."""
    values: dict[str, Any] = {}
    taken: dict[str, int] = {}
    texts = quoted(words.text)
    for slot in found:
        value = _value(slot, words, found, taken, texts)
        if value is not None:
            values[slot.name] = value
    return values


def _value(slot: Slot, words: Words, beside: Sequence[Slot], taken: dict[str, int], texts: list[str]) -> Any:
    text = words.text
    if slot.choices:
        return choice(slot, words)
    match slot.type:
        case "array":
            inner = slot.items
            if inner.choices:
                return [one] if (one := choice(inner, words)) is not None else None
            return matching(inner, text) or None
        case "boolean":
            return switched(slot, words)
        case "integer" | "number":
            return number(slot, words, beside)
        case "object":
            return None
    if slot.shaped:
        return _in_turn(slot, matching(slot, text), beside, taken)
    if (labelled := label(slot, text, beside)) is not None:
        return labelled
    return _free(slot, words, beside, texts)


def matching(slot: Slot, text: str) -> list[str]:
    """All values in the text that have the slot's form, each once."""
    if slot.mail:
        return list(dict.fromkeys(found.casefold() for found in EMAIL.findall(text)))
    form = shape(slot)
    if form is None:
        return []
    found = []
    for word in _WORD.findall(text):
        trimmed = word.strip(_AROUND).removesuffix("'s").removesuffix("’s")
        pieces = [trimmed, *_PIECE.split(trimmed)]
        found += next(([one] for piece in pieces for one in (piece, piece.upper()) if form.search(one)), [])
    return list(dict.fromkeys(found))


def _in_turn(slot: Slot, candidates: list[str], beside: Sequence[Slot], taken: dict[str, int]) -> str | None:
    """Two slots of one form take the first and the second value. More values than slots: which one is not said."""
    alike = [other for other in beside if other.type == "string" and _form(other) == _form(slot)]
    if len(candidates) > len(alike) or not candidates:
        return None
    number = taken.get(_form(slot), 0)
    taken[_form(slot)] = number + 1
    return candidates[number] if number < len(candidates) else None


def _form(slot: Slot) -> str:
    if slot.mail:
        return "mail"
    form = shape(slot)
    return form.pattern if form is not None else f"name {slot.name}"


def choice(slot: Slot, words: Words) -> Any:
    """The one choice that was named, in a clause that is not negated if there is one."""
    if len(slot.choices) == 1 and "const" in slot.schema:
        return slot.choices[0]
    positive = ", ".join(clause for clause, negated in words.clauses if not negated)
    for text in (positive, words.text):
        said = tokens(_ANY_MORE.sub("longer", text.casefold()))
        scores = [_named(name_tokens(str(one)), said) for one in slot.choices]
        best = max(scores, default=0.0)
        if best >= NAMED and scores.count(best) == 1:
            return slot.choices[scores.index(best)]
    return None


def _named(parts: Sequence[str], said: Sequence[str]) -> float:
    """How much of a choice's name was said, small words aside."""
    weighty = [part for part in parts if part not in _SMALL] or parts
    return sum(part in said or nearest(said, part) == 0.7 for part in weighty) / max(1, len(weighty))


def switched(slot: Slot, words: Words) -> bool | None:
    """On and off, for a parameter that is called so; else whether its name was said."""
    positive = ", ".join(clause for clause, negated in words.clauses if not negated)
    if slot.last in ("on", "enabled", "enable", "active", "power"):
        if _OFF.search(positive):
            return False
        return True if _ON.search(positive) else None
    if slot.words and all(nearest(words.meant, part) == 1.0 for part in slot.words):
        return True
    return None


def number(slot: Slot, words: Words, beside: Sequence[Slot]) -> Any:
    """A number with the slot's unit or name beside it; else, for what must be given, the only one there is."""
    text = words.unquoted.casefold()
    found: list[tuple[float, str, str]] = []
    for match in _NUMBER.finditer(_NOT_NUMBERS.sub(lambda m: " " * len(m[0]), text)):
        digits = match[1] or match[2]
        if _UNCLEAR.fullmatch(digits):
            continue  # 1.200 is one thing here and another there
        digits = digits.replace(",", "" if _THOUSANDS.fullmatch(digits) else ".")
        before = re.findall(r"[€$£]|[^\W\d]+", text[max(0, match.start() - 20) : match.start() + 2])[-1:]
        after = re.findall(r"[€$£%]|°\s?c?\b|[^\W\d]+", text[match.end() : match.end() + 16])[:1]
        found.append((float(digits), (before or [""])[0], (after or [""])[0].replace(" ", "")))
    fitting = [one for one in found if _allowed(slot, one[0])]
    meant = [*slot.words, *telling(slot.about)]
    marked = [one for one in fitting if _marked(one, meant, slot.words)]
    numbers = [other for other in beside if other.required and other.type in ("integer", "number")]
    unmarked = [one for one in fitting if not _unit(one)]
    if len({one[0] for one in marked}) == 1:
        value = marked[0][0]
    elif not marked and slot.required and len(numbers) == 1 and len({one[0] for one in unmarked}) == 1:
        value = unmarked[0][0]
    else:
        return None
    return int(value) if value.is_integer() else value


def _unit(found: tuple[float, str, str]) -> str:
    return UNITS.get(found[2]) or UNITS.get(found[1]) or ""


def _marked(found: tuple[float, str, str], meant: Sequence[str], name: Sequence[str]) -> bool:
    unit = _unit(found)
    if unit and any(nearest(meant, word) >= 0.8 for word in telling(unit)):
        return True
    return bool(found[1]) and nearest(name, found[1]) == 1.0


def _allowed(slot: Slot, value: float) -> bool:
    if slot.type == "integer" and not value.is_integer():
        return False
    low, high = slot.schema.get("minimum"), slot.schema.get("maximum")
    return not (isinstance(low, (int, float)) and value < low) and not (isinstance(high, (int, float)) and value > high)


def label(slot: Slot, text: str, beside: Sequence[Slot]) -> str | None:
    """What follows the slot's own name: `city Cork`, `zip: T12`, `named Greta Holm`. Ends at a comma or a new label."""
    name = f"{re.escape(slot.name.replace('_', ' '))}|{re.escape(slot.name)}"
    if slot.last in FREE or slot.last in QUERY:
        match = re.search(rf"\b(?:{name})\s*[:=]\s*(.+)", text, re.IGNORECASE)
        return _trimmed(match[1]) if match and not quoted(match[1]) else None
    others = "".join(rf"|{re.escape(other.name.replace('_', ' '))}" for other in beside if other.name != slot.name)
    stop = rf"(?=\s*(?:[,;\n]|[.!?](?:\s|$)|\b(?:and|with|for{others})\b|$))"
    if marked := re.search(rf"\b(?:{name})\s*[:=]\s*(\S.*?){stop}", text, re.IGNORECASE):
        return _trimmed(marked[1]) or None
    forms = name + ("|named|called" if slot.last == "name" else "")
    match = re.search(rf"\b(?:{forms})\b\s*(?:\bis\b|\bto\b)?\s*(\S.*?){stop}", text, re.IGNORECASE)
    value = _trimmed(match[1]) if match else ""
    return value if len(value) >= SHORTEST_TEXT and (value[0].isupper() or value[0].isdigit()) else None


def _trimmed(text: str) -> str:
    return text.strip().strip("\"'“”‘’").strip()


def _free(slot: Slot, words: Words, beside: Sequence[Slot], texts: list[str]) -> Any:
    """Texts without a form: by their kind, else what was quoted."""
    last = slot.last
    if slot.schema.get("format") == "date" or (last in ("date", "day") and DATE.search(words.text)):
        return _only(DATE.findall(words.text))
    if slot.schema.get("format") in ("uri", "url") or last in ("uri", "url"):
        return _only(URI.findall(words.text))
    if last in PATHS:
        return _path(slot, words, [other for other in beside if other.last in PATHS])
    if last in QUERY:
        return texts[0] if len(texts) == 1 else words.messages[0].strip() or None
    if last in PLACES:
        return _only(_PLACE.findall(words.text)) or (texts.pop(0) if len(texts) == 1 else None)
    if last in FREE:
        if texts:
            return texts.pop(0)
        match = _SAYING.search(words.text)
        return _trimmed(match[1]) if match and slot.required else None
    if slot.required and len(texts) == 1 and not any(other.required and other.last in FREE for other in beside):
        return texts.pop(0)
    return None


def _path(slot: Slot, words: Words, alike: Sequence[Slot]) -> str | None:
    """Paths in the order of the slots; a quoted one may hold spaces."""
    found = list(dict.fromkeys(PATH.findall(EMAIL.sub(" ", URI.sub(" ", words.unquoted)))))
    found = found or [text for text in quoted(words.text) if "/" in text or "." in text]
    required = [other for other in alike if other.required]
    if len(found) > len(required or alike):
        return None
    place = list(required or alike).index(slot) if slot in (required or alike) else len(found)
    return found[place] if place < len(found) else None


def _only(found: Sequence[str]) -> str | None:
    return found[0] if len(set(found)) == 1 else None
