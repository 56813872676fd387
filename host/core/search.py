"""Finding tools by words: fielded BM25 over names, servers, descriptions and parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from math import log
from typing import Any

from host.core.types import ToolSpec

NAME, SERVER, ABOUT, DESCRIPTION, PARAMETER, PARAMETER_TEXT = 3.0, 1.5, 0.5, 1.0, 0.5, 0.25
K1, B = 0.9, 0.4
SAID = 40
"""So many words of a description count: long ones repeat themselves, and match everything."""
REPEATED = 0.7
FAINT = 0.55
"""What scores less than this share of the best is no match."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zß-ɏ]+|\d+|[^\W\d_A-Za-zß-ɏ]+")
_COMPOUND = re.compile(r"[_.:/-]|[a-z][A-Z]")
_STOP = re.compile(
    "a|all|an|and|any|are|as|at|be|by|can|for|from|how|if|in|into|is|it|no|not|of|on|or|over|that|the|this|to|use|used|"
    "using|what|when|which|will|with|you|your"
)

Bag = Mapping[str, float]
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """The best tools in order, and how many more matched."""

    specs: tuple[ToolSpec, ...]
    more: int = 0


class Index:
    """Searches one listing of tools. `about` describes the servers by name; `before` is an earlier index whose work
    on unchanged tools is used again."""

    def __init__(
        self, specs: Sequence[ToolSpec], about: Mapping[str, str] | None = None, before: Index | None = None
    ) -> None:
        about = about or {}
        self.specs, self.keys = tuple(specs), keys(specs, about)
        old: Mapping[Key, Bag] = before.bags if before else {}
        servers = {spec.server: server_bag(spec.server, about.get(spec.server, "")) for spec in self.specs}
        self.bags: dict[Key, Bag] = {
            key: old.get(key) or bag(spec, servers[spec.server])
            for key, spec in zip(self.keys, self.specs, strict=True)
        }
        self._postings = postings([self.bags[key] for key in self.keys])
        self._named: dict[str, list[int]] = {}
        self._of: dict[str, list[int]] = {}
        for number, spec in enumerate(self.specs):
            self._of.setdefault(spec.server.lower(), []).append(number)
            for name in {spec.name.lower(), spec.remote_name.lower()}:
                self._named.setdefault(name, []).append(number)

    def search(self, query: str, server: str | None = None, k: int = 8, offered: Collection[str] = ()) -> Found:
        """The best tools: those that the query names exactly, then by score. At most `k` of them are not `offered`
        yet, for a second search is for something else; those that are come in their place, at most `k` as well.

        A `server` of this name restricts the search to it, and then all its tools match; any other text in its place
        is words like the query's.
        """
        among = self._of.get((server or "").strip().lower())
        if among is not None:
            scores = self._scores(query)
            matching: Iterable[int] = among
        else:
            scores = self._scores(f"{query} {server or ''}")
            least = max(max(scores, default=0.0) * FAINT, 1e-9)
            matching = [number for number, score in enumerate(scores) if score >= least]
        named = [number for number in self._exact(query) if among is None or number in among]
        order = dict.fromkeys([*named, *sorted(matching, key=lambda number: -scores[number])])
        room = {True: k, False: k}
        chosen: list[ToolSpec] = []
        for spec in (self.specs[number] for number in order):
            new = spec.name not in offered
            if new and not room[new]:
                break
            if room[new]:
                room[new] -= 1
                chosen.append(spec)
        return Found(tuple(chosen), len(order) - len(chosen))

    def _scores(self, text: str) -> list[float]:
        scores = [0.0] * len(self.specs)
        for term, count in Counter(terms(text)).items():
            weight = 1 + REPEATED * log(count)
            for number, impact in self._postings.get(term, ()):
                scores[number] += weight * impact
        return scores

    def _exact(self, query: str) -> list[int]:
        """Tools that the query names: as a whole, or by a word in it that can only be a name."""
        whole = query.strip().strip("`'\"").lower()
        names = [word.strip("`'\",.;:()") for word in query.split()]
        found = [whole, *(name.lower() for name in names if _COMPOUND.search(name))]
        return list(dict.fromkeys(number for name in found for number in self._named.get(name, ())))


def keys(specs: Iterable[ToolSpec], about: Mapping[str, str]) -> list[Key]:
    """What an index of these tools depends on; equal keys, equal index."""
    return [(spec.name, spec.remote_name, spec.digest, about.get(spec.server, "")) for spec in specs]


def postings(bags: Sequence[Bag]) -> dict[str, list[tuple[int, float]]]:
    """By term: the tools that have it, each with what the term adds to its score."""
    lengths = [sum(each.values()) for each in bags]
    average = sum(lengths) / len(lengths) if lengths else 1.0
    counts: dict[str, list[tuple[int, float]]] = {}
    for number, each in enumerate(bags):
        for term, count in each.items():
            counts.setdefault(term, []).append((number, count))
    norms = [K1 * (1 - B + B * length / (average or 1.0)) for length in lengths]
    found = {}
    for term, places in counts.items():
        rare = log(1 + (len(bags) - len(places) + 0.5) / (len(places) + 0.5)) * (K1 + 1)
        found[term] = [(number, rare * count / (count + norms[number])) for number, count in places]
    return found


def server_bag(name: str, about: str) -> Bag:
    """What all tools of a server have in common."""
    return weighed({}, (SERVER, name), (ABOUT, about))


def bag(spec: ToolSpec, server: Bag) -> Bag:
    """The terms of a tool, each with the weights of the fields where it stands."""
    names, texts = parameters(spec.input_schema)
    described = f"{spec.title} {spec.description}" if spec.title else spec.description
    fields = ((NAME, spec.remote_name), (DESCRIPTION, described))
    return weighed(server, *fields, (PARAMETER, " ".join(names)), (PARAMETER_TEXT, " ".join(texts)))


def weighed(start: Bag, *fields: tuple[float, str]) -> Bag:
    counts = dict(start)
    for weight, text in fields:
        for term in terms(text, SAID):
            counts[term] = counts.get(term, 0.0) + weight
    return counts


def parameters(schema: Mapping[str, Any], depth: int = 4) -> tuple[list[str], list[str]]:
    """The names and the descriptions of what a schema takes, also inside objects and lists."""
    names: list[str] = []
    texts: list[str] = []
    properties = schema.get("properties")
    for name, value in properties.items() if isinstance(properties, Mapping) else ():
        names.append(name)
        if isinstance(value, Mapping):
            if isinstance(text := value.get("description"), str):
                texts.append(text)
            if depth and ("properties" in value or "items" in value):
                inner = value if "properties" in value else value["items"]
                more = parameters(inner, depth - 1) if isinstance(inner, Mapping) else ((), ())
                names += more[0]
                texts += more[1]
    return names, texts


def terms(text: str, most: int | None = None) -> list[str]:
    """The words that count, lower case, stemmed; identifiers fall apart. At most `most` of them."""
    words = _WORD.findall(text if most is None else text[: most * 16])
    return list(chain.from_iterable(map(_terms, words)))[:most]


@lru_cache(maxsize=20_000)
def _terms(word: str) -> tuple[str, ...]:
    word = word.lower()
    if word[0] >= "\u2e80":  # scripts without spaces: pairs of characters
        return tuple(word[n : n + 2] for n in range(len(word) - 1)) or (word,)
    return () if _STOP.fullmatch(word) else (stem(word),)


def stem(word: str) -> str:
    """The word without the endings that number and tense give it."""
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "zes", "ses")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if word.endswith("ing") and len(word) > 5:
        word = word[:-3]
    elif word.endswith("ed") and len(word) > 4:
        word = word[:-2]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word
