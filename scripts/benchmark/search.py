"""Tool search over a file of tools and tasks: scripts/bench search FILE

The file holds `tools` ({id, server, server_desc, name, description, schema}) and `tasks` ({id, gold: a list of steps,
each a list of tools that serve it; queries: [{text, server}]}). A step counts as found if one of its tools is among
what all queries of its task brought in, k a query.

flat     BM25 over one bag of words: names, descriptions, parameters, unstemmed
fielded  BM25 with weighted fields: name 3, server 1.5, its description 0.5, description 1, parameters 0.5 and 0.25
ours     the host's own search, each query after the task's earlier ones, as a session makes them

The tasks are split in halves by a digest of their ids; settings were chosen by the first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from host.core.catalog import Costs, definition_digest, exposed_names, server_index, tokens
from host.core.search import Index, parameters, stem
from host.core.source import ServerStatus
from host.core.state import State
from host.core.types import ToolSpec
from host.engine.offer import offer
from host.servers.builtin import SEARCH_TOOLS, Builtin
from host.servers.finder import NOTHING, line

PLACES = (3, 5, 8, 10)
MANY = 5000
FIELDS = (3, 1.5, 0.5, 1, 0.5, 0.25)
K1, B = 0.9, 0.4
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")

Task = dict[str, Any]
Search = Callable[[dict[str, str], int, Sequence[str]], tuple[list[ToolSpec], str]]


class Plain:
    """BM25, to compare with: over one bag of words, or over fields with weights."""

    def __init__(self, specs: Sequence[ToolSpec], about: dict[str, str], fielded: bool) -> None:
        self.specs, self.fielded = specs, fielded
        bags = []
        for spec in specs:
            names, texts = parameters(spec.input_schema)
            fields = (spec.remote_name, spec.server, about.get(spec.server, ""), spec.description)
            fields += (" ".join(names), " ".join(texts))
            bag: Counter[str] = Counter()
            for weight, text in zip(FIELDS, fields, strict=True):
                for word in self.words(text):
                    bag[word] += weight if fielded else 1  # type: ignore[assignment]
            bags.append(bag)
        lengths = [sum(bag.values()) for bag in bags]
        average, shares = sum(lengths) / len(bags), Counter(word for bag in bags for word in bag)
        self.places: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, bag in enumerate(bags):
            norm = K1 * (1 - B + B * lengths[number] / average)
            for word, count in bag.items():
                rare = math.log(1 + (len(bags) - shares[word] + 0.5) / (shares[word] + 0.5))
                self.places[word].append((number, rare * count * (K1 + 1) / (count + norm)))

    def words(self, text: str) -> list[str]:
        if self.fielded:
            return [stem(word.lower()) for word in PARTS.findall(text)]
        return [word.lower() for word in re.findall(r"\w+", text)]

    def search(self, query: dict[str, str], k: int, offered: Sequence[str]) -> tuple[list[ToolSpec], str]:
        scores: dict[int, float] = defaultdict(float)
        for word in set(self.words(f"{query['text']} {query['server'] or ''}")):
            for number, score in self.places.get(word, ()):
                scores[number] += score
        best = [self.specs[number] for number in sorted(scores, key=lambda number: (-scores[number], number))[:k]]
        return best, answer(best, offered)


def ours(index: Index) -> Search:
    def search(query: dict[str, str], k: int, offered: Sequence[str]) -> tuple[list[ToolSpec], str]:
        found = list(index.search(query["text"], query["server"], k, frozenset(offered)).specs)
        return found, answer(found, offered)

    return search


def answer(found: Sequence[ToolSpec], offered: Sequence[str]) -> str:
    """What the model reads of a search."""
    return "\n".join(line(spec, spec.name in offered) for spec in found) or NOTHING


@dataclass
class Outcome:
    """Steps found of all, and what the tasks cost: definitions brought in, and the answers they were told in."""

    found: int = 0
    steps: int = 0
    definitions: int = 0
    answers: float = 0.0

    @property
    def recall(self) -> float:
        return 100 * self.found / self.steps if self.steps else math.nan


def play(tasks: Sequence[Task], search: Search, k: int, ids: dict[str, str]) -> Outcome:
    outcome = Outcome()
    for task in tasks:
        loaded: dict[str, ToolSpec] = {}
        for query in task["queries"]:
            specs, text = search(query, k, list(loaded))
            loaded |= {spec.name: spec for spec in specs}
            outcome.answers += len(text.encode()) / 4.26
        outcome.found += sum(any(ids[tool] in loaded for tool in step) for step in task["gold"])
        outcome.steps += len(task["gold"])
        outcome.definitions += sum(map(tokens, loaded.values()))
    return outcome


def read(file: Path) -> tuple[list[ToolSpec], dict[str, str], dict[str, str], list[Task]]:
    data = json.loads(file.read_text())
    names = exposed_names((tool["server"], tool["name"]) for tool in data["tools"])
    specs, ids = [], {}
    for tool in data["tools"]:
        name, text, schema = names[tool["server"], tool["name"]], tool["description"] or "", tool["schema"]
        ids[tool["id"]] = name
        digest = definition_digest(tool["name"], None, text, schema, None, {})
        specs.append(ToolSpec(name, tool["server"], tool["name"], text, schema, digest=digest))
    return specs, {tool["server"]: tool["server_desc"] or "" for tool in data["tools"]}, ids, data["tasks"]


def half(task: Task) -> int:
    return int(hashlib.sha256(str(task["id"]).encode()).hexdigest(), 16) // 2 % 2


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU milliseconds of this process."""
    began = time.process_time()
    result = work()
    return (time.process_time() - began) * 1000, result


def grown(specs: Sequence[ToolSpec], about: dict[str, str], size: int) -> tuple[list[ToolSpec], dict[str, str]]:
    """The same tools again and again under other servers' names, up to `size`."""
    many = []
    for copy in range(-(-size // len(specs))):
        for spec in specs:
            server = f"{spec.server}-{copy}"
            many.append(replace(spec, server=server, name=f"{spec.name}_{copy}", digest=f"{copy}{spec.digest}"))
    return many[:size], {f"{name}-{copy}": text for name, text in about.items() for copy in range(size)}


class Listed:
    """Servers as the engine sees them, without processes."""

    def __init__(self, specs: list[ToolSpec], about: dict[str, str]) -> None:
        servers = {spec.server for spec in specs}
        self._specs = specs
        self.statuses = {name: ServerStatus(name, "ready", about=about.get(name, "")) for name in servers}

    def tools(self) -> list[ToolSpec]:
        return list(self._specs)


def turns(specs: list[ToolSpec], about: dict[str, str], times: int = 20) -> tuple[float, float]:
    """What choosing the tools of a request takes: the first time, and the median of later ones."""
    state, costs = State(catalog={spec.name: spec.server for spec in specs}), Costs()
    state.found = [tuple(spec.name for spec in specs[n : n + 8]) for n in range(0, 400, 8)]
    builtin, servers = Builtin(None, None), Listed(specs, about)  # type: ignore[arg-type]
    spent = [timed(lambda: offer(state, "", servers, builtin, 200_000, costs))[0] for _ in range(times)]  # type: ignore[arg-type]
    return spent[0], sorted(spent[1:])[len(spent) // 2]


def report_recall(tasks: list[Task], searches: dict[str, Search], ids: dict[str, str]) -> None:
    halves = {
        "all": tasks,
        "tuned half": [t for t in tasks if not half(t)],
        "held-out half": [t for t in tasks if half(t)],
    }
    for name, part in halves.items():
        steps = sum(len(task["gold"]) for task in part)
        print(
            f"\nrecall %, {name}: {len(part)} tasks, {steps} steps\n{'':10}" + "".join(f"{f'k={k}':>8}" for k in PLACES)
        )
        for method, search in searches.items():
            print(f"{method:10}" + "".join(f"{play(part, search, k, ids).recall:8.1f}" for k in PLACES))


def report_tokens(
    specs: list[ToolSpec], about: dict[str, str], tasks: list[Task], searches: dict[str, Search], ids: dict[str, str]
) -> None:
    whole = sum(map(tokens, specs))
    counts = Counter(spec.server for spec in specs)
    index = len(server_index([(name, count, about[name]) for name, count in counts.items()]).encode()) / 4.26
    base = tokens(SEARCH_TOOLS) + index
    print(
        f"\ntokens (bytes / 4.26): everything {whole:,}; search tool {tokens(SEARCH_TOOLS)}, server index {index:.0f}"
        "\nof a whole task: these two and the definitions found (fewer than everything); with the answers' own text"
    )
    for method, search in searches.items():
        for k in PLACES:
            outcome = play(tasks, search, k, ids)
            sent = base + outcome.definitions / len(tasks)
            told = sent + outcome.answers / len(tasks)
            fewer = [f"{value:7,.0f} (-{100 - 100 * value / whole:.1f} %)" for value in (sent, told)]
            print(f"{method:10}k={k:<4}{fewer[0]:>20}{fewer[1]:>20}")


def report_times(specs: list[ToolSpec], about: dict[str, str], tasks: list[Task]) -> None:
    queries = [query for task in tasks for query in task["queries"]]
    heads = "".join(f"{head:>12}" for head in ("tools", "index ms", "again ms", "query ms", "turn: first", "later ms"))
    print(f"\n{'CPU time':10}{heads}")
    for many, said in ((specs, about), grown(specs, about, MANY)):
        built, index = timed(lambda many=many, said=said: Index(many, said))  # type: ignore[misc]
        again, _ = timed(lambda many=many, said=said, index=index: Index(many[1:], said, index))  # type: ignore[misc]
        asked, _ = timed(lambda index=index: [index.search(q["text"], q["server"]) for q in queries])  # type: ignore[misc]
        first, later = turns(many, said)
        print(f"{'':10}{len(many):12}{built:12.0f}{again:12.0f}{asked / len(queries):12.2f}{first:12.1f}{later:12.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON with tools and tasks")
    specs, about, ids, tasks = read(parser.parse_args().file)
    queries = sum(len(task["queries"]) for task in tasks)
    print(f"{len(specs)} tools of {len(about)} servers, {len(tasks)} tasks, {queries} queries")
    searches: dict[str, Search] = {
        "flat": Plain(specs, about, fielded=False).search,
        "fielded": Plain(specs, about, fielded=True).search,
        "ours": ours(Index(specs, about)),
    }
    report_recall(tasks, searches, ids)
    report_tokens(specs, about, tasks, searches, ids)
    report_times(specs, about, tasks)


if __name__ == "__main__":
    main()
