"""Large results and long sessions: what they cost, seen from outside the process.

large   a session gets a result of 20 MB while another makes small steps: the other's longest step beside its median
long    a session of 2,000 messages, resumed and sent on with one more prompt, beside the same after a prompt or two
growth  200 steps in one turn: the median of the last 20 over that of steps 3–22
memory  peak resident size of the largest of the program's processes
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from compare import host
from model_server import Call, ModelServer, Part, Say

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
    """A step and words to each prompt: four messages."""
    if body["input"][-1].get("type") == "function_call_output":
        return [Say("A sentence of an answer, as long as such sentences are. " * 5)]
    return [Call("bench__echo", {"text": "What a tool might say in a line or two. " * 5})]


def long() -> None:
    with tempfile.TemporaryDirectory() as folder, ModelServer(chatter) as model:
        home = Path(folder)
        command, env = host(home, model.base_url, 1)
        talk = [command[0], *command[1:3], "run", *command[5:], "--input-format", "stream-json"]
        first = spawned([*command, "--output-format", "json"], env, home / "out")
        print(talk, first)


def main() -> None:
    for structured in (False, True):
        large(structured)


if __name__ == "__main__":
    main()
