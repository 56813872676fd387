"""Many configured servers of which three are used: scripts/bench servers [--most N]

listed  N entries in servers.toml, a profile that names three of them
live    N entries and no profile: all of them are started, three are called, the tools of the others are deferred

From the spawn: the first model request has arrived, the process is gone; processor time with that of the servers; peak
resident size without theirs; and what each entry more costs, which stays the same where nothing is quadratic.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from compare import SERVER
from model_server import Call, ModelServer, Part, Say

HEAD = """
model = "bench/m"
[providers.bench]
wire = "responses"
base_url = "{base_url}"
[[rules]]
server = "*"
tool = "*"
verdict = "allow"
reason = "benchmark"
"""
ENTRY = """
[mcp_servers.s{number}]
command = {command}
args = {args}
startup_timeout_sec = 120
"""
PROFILE = '[profiles.few]\nservers = ["s0", "s1", "s2"]\n'


def echoes(body: dict[str, Any]) -> list[Part]:
    done = sum(item.get("type") == "function_call_output" for item in body["input"])
    return [Call(f"s{done}__echo", {"text": "x"})] if done < 3 else [Say("done")]


def run(configured: int, few: bool) -> tuple[float, float, float, float, int]:
    """Milliseconds to the first request, to the end and of processors, megabytes, tools in the first request."""
    with tempfile.TemporaryDirectory() as folder, ModelServer(echoes) as model:
        home = Path(folder)
        values = {"command": json.dumps(SERVER[0]), "args": json.dumps(SERVER[1:])}
        entries = "".join(ENTRY.format(number=number, **values) for number in range(configured))
        (home / "servers.toml").write_text(HEAD.format(base_url=model.base_url) + entries + PROFILE * few)
        command = [sys.executable, "-m", "host", "run", "go", "--config", str(home / "servers.toml"), "--trust"]
        command += ["-p", "few"] * few
        env = {**os.environ, "AGENT_HOST_HOME": str(home / "state")}
        began = time.monotonic()
        with (home / "out").open("wb") as out:
            actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
            pid = os.posix_spawn(command[0], command, env, file_actions=actions)
            _, status, usage = os.wait4(pid, 0)
        gone = (time.monotonic() - began) * 1000
        outputs = [item["output"] for item in model.requests[-1]["input"] if item.get("type") == "function_call_output"]
        if status or outputs != ["x"] * 3:
            raise SystemExit(f"{configured} servers failed: {outputs} {(home / 'out').read_text()[-2000:]}")
        arrived = (model.times[0][0] - began) * 1000
        spent = (usage.ru_utime + usage.ru_stime) * 1000
        return arrived, gone, spent, usage.ru_maxrss / 1024, len(model.requests[0]["tools"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=300, help="the largest number of servers (default 300)")
    most = parser.parse_args().most
    heads = ("servers", "tools sent", "cold ms", "gone ms", "CPU ms", "memory MB", "CPU ms each", "kB each")
    print(f"{'':8}" + "".join(f"{head:>12}" for head in heads))
    for name, few in (("listed", True), ("live", False)):
        before: tuple[int, float, float] | None = None
        for number in sorted({3, most // 10, most // 3, most}):
            arrived, gone, spent, memory, tools = run(number, few)
            row = f"{name:8}{number:12}{tools:12}{arrived:12.0f}{gone:12.0f}{spent:12.0f}{memory:12.1f}"
            if before is not None:
                more = number - before[0]
                row += f"{(spent - before[1]) / more:12.2f}{(memory - before[2]) * 1024 / more:12.1f}"
            print(row, flush=True)
            before = number, spent, memory


if __name__ == "__main__":
    main()
