"""The host beside a bare asyncio loop: the same model server, the same tool server, interleaved runs, medians.

cold    spawn → first model request has arrived             step    an answer is sent → the next request arrives
growth  median of steps 41–50 over steps 3–12               16x200  16 calls of 200 ms in one turn
exit    last byte of the last answer → the process is gone  memory  peak resident size of the process
20      20 sessions of 10 steps in one process, each with a server of its own, spawn → gone
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from model_server import Call, ModelServer, Part, Say, results_since_prompt  # noqa: E402

SERVER = [sys.executable, "-I", "-S", str(HERE / "tool_server.py")]
CONFIG = """
model = "bench/m"
[providers.bench]
wire = "{wire}"
base_url = "{base_url}"
[mcp_servers.bench]
command = {command}
args = {args}
parallel = true
[[rules]]
server = "*"
tool = "*"
verdict = "allow"
reason = "benchmark"
"""


def echoes(steps: int) -> Callable[[dict[str, Any]], list[Part]]:
    def decide(body: dict[str, Any]) -> list[Part]:
        done = len(results_since_prompt(body))
        return [Call("bench__echo", {"text": f"step {done}"})] if done < steps else [Say("done")]

    return decide


def naps(body: dict[str, Any]) -> list[Part]:
    done = sum(item.get("type") == "function_call_output" for item in body["input"])
    return [Say("done")] if done else [Call("bench__sleep", {"ms": 200}) for _ in range(16)]


@dataclass
class Run:
    """Times in milliseconds from the spawn; memory in megabytes."""

    arrived: list[float]
    sent: list[float]
    gone: float
    memory: float

    @property
    def steps(self) -> list[float]:
        return [after - before for before, after in zip(self.sent, self.arrived[1:], strict=False)]


def run(peer: str, decide: Callable[[dict[str, Any]], list[Part]], sessions: int = 1, **about: Any) -> Run:
    with tempfile.TemporaryDirectory() as folder, ModelServer(decide) as model:
        home = Path(folder)
        command, env = COMMANDS[peer](home, model.base_url, sessions, **about)
        began = time.monotonic()
        out = (home / "out").open("wb")
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
        pid = os.posix_spawn(command[0], command, env, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        gone = time.monotonic()
        out.close()
        if status:
            raise SystemExit(f"{peer} failed: {(home / 'out').read_text()[-2000:]}")
        ms = [[(at - began) * 1000 for at in times] for times in zip(*sorted(model.times), strict=True)]
        return Run(ms[0], ms[1], (gone - began) * 1000, usage.ru_maxrss / 1024)


def host(home: Path, base_url: str, sessions: int, wire: str = "responses") -> tuple[list[str], dict[str, str]]:
    values = {"wire": wire, "base_url": base_url, "command": json.dumps(SERVER[0]), "args": json.dumps(SERVER[1:])}
    (home / "servers.toml").write_text(CONFIG.format(**values))
    command = [sys.executable, "-m", "host"]
    options = ["--config", str(home / "servers.toml"), "--trust", "--max-turns", "10000"]
    env = {**os.environ, "AGENT_HOST_HOME": str(home / "state")}
    if sessions == 1:
        return [*command, "run", "go", *options], env
    lines = "".join(json.dumps({"id": n, "prompt": "go"}) + "\n" for n in range(sessions))
    (home / "batch.jsonl").write_text(lines)
    return [*command, "batch", str(home / "batch.jsonl"), "--concurrency", str(sessions), *options], env


def floor(home: Path, base_url: str, sessions: int) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, str(HERE / "floor.py"), base_url, str(sessions), *SERVER], dict(os.environ)


COMMANDS: dict[str, Callable[..., tuple[list[str], dict[str, str]]]] = {"floor": floor, "host": host}


def measure(reps: int) -> dict[str, dict[str, float]]:
    """Medians of interleaved runs, by peer and figure."""
    raw: dict[str, dict[str, list[float]]] = {peer: {} for peer in COMMANDS}
    for rep in range(reps + 1):
        for peer in COMMANDS:
            main, nap, many = run(peer, echoes(50)), run(peer, naps), run(peer, echoes(10), 20)
            figures = {
                "cold ms": main.arrived[0],
                "step ms": median(main.steps),
                "growth": median(main.steps[40:50]) / median(main.steps[2:12]),
                "16x200 ms": nap.steps[0],
                "exit ms": main.gone - main.sent[-1],
                "memory MB": main.memory,
                "20 sessions ms": many.gone,
            }
            if rep:  # the first round warms files up
                for name, value in figures.items():
                    raw[peer].setdefault(name, []).append(value)
    return {peer: {name: median(values) for name, values in figures.items()} for peer, figures in raw.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=5, help="counted runs of each peer (default 5)")
    options = parser.parse_args()
    compiled = "yes" if not sys.dont_write_bytecode else "no: PYTHONDONTWRITEBYTECODE is set"
    print(f"python {sys.version.split()[0]} · {os.cpu_count()} cores · bytecode kept: {compiled} · {options.reps} runs")
    figures = measure(options.reps)
    print(f"{'':16}{'floor':>10}{'host':>10}{'ratio':>8}")
    for name, low in figures["floor"].items():
        ours = figures["host"][name]
        print(f"{name:16}{low:10.2f}{ours:10.2f}{ours / low:8.2f}")


if __name__ == "__main__":
    main()
