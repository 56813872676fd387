"""Large results and long sessions: what they cost, seen from outside the process.

large   a session gets a result of 20 MB while another makes small steps: the other's longest step beside its median
long    a session of 2,000 messages, resumed and sent on with one more prompt, beside the same after a prompt or two
growth  200 steps in one turn: the median of the last 20 over that of steps 3–22
memory  peak resident size of the largest of the program's processes
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from compare import HERE, echoes, host
from model_server import Call, ModelServer, Part, Say

sys.path.insert(0, str(HERE.parent.parent))

from host.core import events as ev
from host.core.fold import fold
from host.frontends.view import View
from host.store.log import read_log

MB = 20
MESSAGES = 2000
STEPS = 200
THINKS = 0.02


class Beside:
    """One session asks for the large result; another makes small steps until the first is done, and a few more."""

    def __init__(self, structured: bool) -> None:
        self.structured, self.after, self.large = structured, -1, (0.0, 0.0)
        self.steps: list[float] = []
        self._answered = 0.0

    def __call__(self, body: dict[str, Any]) -> list[Part]:
        now, words = time.monotonic(), body["input"][0]["content"][0]["text"]
        if words == "small":
            self.steps += [(now - self._answered) * 1000] if self._answered else []
            self.after += self.after >= 0
            time.sleep(THINKS)
            self._answered = time.monotonic()
            return [Call("bench__echo", {"text": "x"})] if self.after < 20 else [Say("done")]
        if any(item.get("type") == "function_call_output" for item in body["input"]):
            self.after, self.large = 0, (self.large[0], now)
            return [Say("done")]
        self.large = (now, now)
        return [Call("bench__rows", {"mb": MB, "structured": self.structured})]


class Counted(list[Any]):
    """The requests of a model server, counted and not kept: a process that is spawned here is charged, in its peak
    memory, for what this one holds."""

    def append(self, body: Any) -> None:
        super().append(None)


def spawned(command: list[str], env: dict[str, str], out: Path) -> tuple[float, float]:
    """Run a program to its end: seconds, and its peak memory in megabytes."""
    began = time.monotonic()
    with out.open("wb") as file:
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), 1), (os.POSIX_SPAWN_DUP2, file.fileno(), 2)]
        pid = os.posix_spawn(command[0], command, env, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{command} failed: {out.read_text()[-2000:]}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def large(structured: bool) -> None:
    beside = Beside(structured)
    with tempfile.TemporaryDirectory() as folder, ModelServer(beside) as model:
        model.requests = Counted()
        home = Path(folder)
        command, env = host(home, model.base_url, 2)
        lines = ({"id": n, "prompt": n} for n in ("large", "small"))
        (home / "batch.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        command += ["--max-turns", "100000"]
        _, memory = spawned(command, env, home / "out")
    middle, longest = median(beside.steps), max(beside.steps)
    took = beside.large[1] - beside.large[0]
    kind = "structured" if structured else "one-line text"
    other = f"another session's step {middle:.1f} ms, longest {longest:.0f} ms"
    print(f"{MB} MB, {kind}: in {took:.2f} s · {other} · {memory:.0f} MB")


def chatter(body: dict[str, Any]) -> list[Part]:
    """A step and words to each prompt: with the prompt and the result that is four messages."""
    if body["input"][-1].get("type") == "function_call_output":
        return [Say("A sentence of an answer, as long as such sentences are. " * 5)]
    return [Call("bench__echo", {"text": "What a tool might say in a line or two. " * 5})]


def talked(home: Path, model: ModelServer, messages: int) -> tuple[str, list[float]]:
    """A session of so many messages, made in one process: its id, and milliseconds of its steps."""
    command, env = host(home, model.base_url, 1)
    options = [*command[5:], "--input-format", "stream-json", "--output-format", "stream-json"]
    prompts = b'{"kind":"say","text":"And now the next one, please."}\n' * (messages // 4)
    before = len(model.times)
    done = subprocess.run([*command[:4], *options], env=env, input=prompts, capture_output=True, check=True)
    times = sorted(model.times[before:])
    return json.loads(done.stdout.partition(b"\n")[0])["session"], [(b[0] - a[1]) * 1000 for a, b in pairwise(times)]


def resumed(home: Path, model: ModelServer, session: str) -> tuple[float, float]:
    """Seconds from the spawn until the resumed session's request has arrived, and the peak memory."""
    command, env = host(home, model.base_url, 1)
    before, began = len(model.times), time.monotonic()
    _, memory = spawned([*command, "--resume", session], env, home / "out")
    return model.times[before][0] - began, memory


def long() -> None:
    with tempfile.TemporaryDirectory() as folder, ModelServer(chatter) as model:
        model.requests = Counted()
        home = Path(folder)
        short, _ = talked(home, model, 4)
        session, steps = talked(home, model, MESSAGES)
        at = median(steps[4:44]), median(steps[-40:])
        resumes = [(*resumed(home, model, short), *resumed(home, model, session)) for _ in range(3)]
        lean, lean_mb, full, full_mb = (median(values) for values in zip(*resumes, strict=True))
        rows = read_log(home / "state", session)
    print(f"{MESSAGES} messages, {len(rows)} events: step {at[0]:.1f} ms at the beginning, {at[1]:.1f} at the end")
    print(
        f"  resumed until the next request: {full:.2f} s, {full_mb:.0f} MB (4 messages: {lean:.2f} s, {lean_mb:.0f} MB)"
    )
    recorded = [ev.Recorded(session, row.seq, row.at, ev.decode(row.kind, row.body)) for row in rows]
    folds, views = timed(lambda: fold(session, recorded)), timed(lambda: view(recorded))
    print(f"  fold {folds:.0f} ms, what a terminal shows {views:.0f} ms")


def view(recorded: list[ev.Recorded]) -> None:
    shown = View()
    for item in recorded:
        shown.advance(item)


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def growth() -> None:
    with tempfile.TemporaryDirectory() as folder, ModelServer(echoes(STEPS)) as model:
        model.requests = Counted()
        home = Path(folder)
        command, env = host(home, model.base_url, 1)
        _, memory = spawned([*command, "--max-turns", str(STEPS + 1)], env, home / "out")
        steps = [(b[0] - a[1]) * 1000 for a, b in pairwise(sorted(model.times))]
    first, last = median(steps[2:22]), median(steps[-20:])
    print(f"{STEPS} steps: {first:.1f} ms at the beginning, {last:.1f} at the end · {memory:.0f} MB")


PARTS = {"large": lambda: [large(False), large(True)], "long": long, "growth": growth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="large, long, growth; all if none")
    for part in parser.parse_args().parts or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
