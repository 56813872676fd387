"""A person's words as the planner needs them: sentences, what is negated, what is asked, and words by their meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

from host.providers.planner_lexicon import CHANGES, COMMON, IRREGULAR, READS, THINGS
from host.providers.scene import stem

BETWEEN = 6
CACHED = 4096
LONGEST = 2_000
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_CLAUSE = re.compile(r"(?<!\d)[,;:](?!\d)|[.!?](?=\s|$)|\n|\b(?:but|only|instead)\b")
_SENTENCE = re.compile(r"(?<=[.!?\n])\s+|\n")
_NOT = re.compile(r"\b(?:don['’]?t|do not|does not|doesn['’]?t|not|never|no need|without|nobody|rather than)\b")
_BARE_NOT = re.compile(r"\W*(?:no|wait|please|oh|sorry|\W)*(?:don['’]?t|do not|no|never mind|not)\W*")
_ASKS = re.compile(
    r"(?:(?:and|so|ok|hey|hi|hello|well|any|then)\W+)*"
    r"(?:what|which|where|when|who|whom|whose|why|how|is|are|was|were|do|does|did|has|have|am|was|wie|wo|wer|wann)\b"
)
_SHOWS = re.compile(
    r"\b(?:show|list|display|tell me|let me (?:know|see)|look|pull\b.{0,20}\bup|find|what|which|where|who|how|see|"
    r"give me|check|view|read|fetch|search|info|information|details|news|anything)\b"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_QUOTED = re.compile(r"\"([^\"]*)\"|“([^”]*)”|«([^»]*)»|(?<!\w)['‘]([^'’]*(?:['’]\w[^'’]*)*)['’](?!\w)")


@dataclass(frozen=True, slots=True)
class Meanings:
    """Which words share a meaning, and which phrases count as a word."""

    of: dict[str, frozenset[int]]
    phrases: tuple[tuple[re.Pattern[str], str], ...]
    reads: frozenset[int]
    changes: frozenset[int]


@cache
def meanings() -> Meanings:
    found: dict[str, set[int]] = {}
    phrases: list[tuple[re.Pattern[str], str]] = []
    kinds: tuple[set[int], set[int], set[int]] = (set(), set(), set())
    number = 0
    for text, numbers in zip((READS, CHANGES, THINGS), kinds, strict=True):
        for line in text.strip().splitlines():
            number += 1
            numbers.add(number)
            for word in line.split():
                key = word.replace("…", "_") if "…" in word else stem(word)
                found.setdefault(key, set()).add(number)
                if "…" in word:
                    phrases.append((_phrase(word), key))
    of = {word: frozenset(groups) for word, groups in found.items()}
    return Meanings(of, tuple(phrases), frozenset(kinds[0]), frozenset(kinds[1]))


def _phrase(words: str) -> re.Pattern[str]:
    """`give…back` finds "gave her the 30 back": forms of each word, a few others between."""
    forms: dict[str, set[str]] = {}
    for form, word in IRREGULAR.items():
        forms.setdefault(word, set()).add(form)
    parts = [
        "(?:" + "|".join([rf"{word}(?:s|es|ed|d|ing)?", *sorted(forms.get(word, ()))]) + ")"
        for word in words.split("…")
    ]
    return re.compile(r"\b" + rf"\b(?:\W+\w+){{0,{BETWEEN}}}?\W+".join(parts) + r"\b")


@lru_cache(maxsize=CACHED)
def tokens(text: str) -> tuple[str, ...]:
    """The stems of all words, numbers among them."""
    return tuple(_stemmed(word) for word in _TOKEN.findall(text.casefold()))


@lru_cache(maxsize=CACHED)
def telling(text: str) -> tuple[str, ...]:
    """The stems of the words that say something, and the phrases they make."""
    folded = text.casefold()
    words = [_stemmed(word) for word in _TOKEN.findall(folded) if word not in COMMON]
    return tuple(dict.fromkeys([*words, *phrases(folded)]))


def phrases(folded: str) -> Iterator[str]:
    for pattern, key in meanings().phrases:
        if pattern.search(folded):
            yield key


@lru_cache(maxsize=CACHED)
def _stemmed(word: str) -> str:
    return stem(IRREGULAR.get(word, word))


def name_tokens(name: str) -> tuple[str, ...]:
    """The words of an identifier: listOpenOrders and list_open_orders are list, open, order."""
    return tokens(_CAMEL.sub(" ", name).replace("_", " ").replace("-", " "))


@lru_cache(maxsize=16 * CACHED)
def likeness(said: str, word: str) -> float:
    """How much a word that was said is one of a tool: the same, of one meaning, or of one root."""
    if said == word:
        return 1.0
    groups = meanings().of
    if groups.get(said, frozenset()) & groups.get(word, frozenset()):
        return 0.8
    shorter, longer = sorted((said, word), key=len)
    return 0.7 if len(shorter) >= 5 and longer.startswith(shorter) else 0.0


def nearest(said: Iterable[str], word: str) -> float:
    """The best likeness of any word said."""
    return max((likeness(one, word) for one in said), default=0.0)


def reading(words: Iterable[str]) -> bool:
    """Whether one of these words means to look at something, and none to change something only."""
    known = [meanings().of.get(word, frozenset()) for word in words]
    return any(groups & meanings().reads for groups in known)


def changing(words: Iterable[str]) -> bool:
    known = [meanings().of.get(word, frozenset()) for word in words]
    return any(groups & meanings().changes for groups in known)


def quoted(text: str) -> list[str]:
    """What stands in quotation marks, in order."""
    return [found for match in _QUOTED.finditer(text) if (found := next(filter(None, match.groups()), ""))]


@dataclass(frozen=True)
class Words:
    """What was said for one request: the first message of it, and what was added when the planner asked."""

    messages: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """All that was said. Of a long message only the beginning: a request is short, what is pasted behind is not."""
        return "\n".join(message[:LONGEST] for message in self.messages)

    @cached_property
    def unquoted(self) -> str:
        """The text without what it only quotes, which is content and no request."""
        return _QUOTED.sub(" ", self.text)

    @cached_property
    def clauses(self) -> list[tuple[str, bool]]:
        """Parts of sentences, folded, and whether each is negated. A bare "no, don't" takes back the one before."""
        found: list[tuple[str, bool]] = []
        for clause in _CLAUSE.split(self.unquoted.casefold()):
            if clause is None or not clause.strip():
                continue
            if _BARE_NOT.fullmatch(clause) and found:
                found[-1] = (found[-1][0], True)
            found.append((clause, bool(_NOT.search(clause))))
        return found

    @cached_property
    def meant(self) -> Sequence[str]:
        """The telling words that are not negated."""
        positive = ", ".join(clause for clause, negated in self.clauses if not negated)
        return telling(positive)

    @cached_property
    def negated(self) -> list[str]:
        return [word for clause, negated in self.clauses if negated for word in telling(clause)]

    @cached_property
    def wanted(self) -> Sequence[str]:
        """The telling words of what is not merely asked: only these can ask for a change."""
        kept = []
        for sentence in _SENTENCE.split(self.unquoted.casefold()):
            if not _ASKS.match(sentence.strip()):
                kept.append(sentence)
        return Words(tuple(kept)).meant if kept else ()

    @cached_property
    def looks(self) -> bool:
        """Whether something is to be shown: a question, or a word for looking."""
        sentences = [sentence.strip() for sentence in _SENTENCE.split(self.unquoted.casefold())]
        positive = ", ".join(clause for clause, negated in self.clauses if not negated)
        return any(_ASKS.match(sentence) for sentence in sentences) or bool(_SHOWS.search(positive))
