"""What holding a server costs at its start: scripts/bench sandbox [--reps N]

A bare interpreter that does nothing and ends, alone and within each limit that works on this machine, in turns. The
median in milliseconds, and its ratio to the bare start.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from host.core.settings import ServerConfig
from host.servers import reach
from host.servers.probe import machine
from host.servers.sandbox import Limits, Machine, wrap
from host.servers.scratch import Scratch


def ways(facts: Machine, limits: Limits) -> dict[str, list[str]]:
    """The command of each way to start it."""
    command = [sys.executable, "-c", "pass"]
    found = {"bare": command, "strict": wrap(command, limits, facts)}
    if facts.bwrap:
        found["bubblewrap alone"] = wrap(command, limits, replace(facts, landlock=0))
    if facts.landlock:
        found["Landlock alone"] = wrap(command, limits, replace(facts, bwrap=""))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--reps", type=int, default=20)
    reps = parser.parse_args().reps
    began = time.perf_counter()
    facts = machine()
    print(f"finding out what works here, once a process: {(time.perf_counter() - began) * 1000:.0f} ms")
    scratch = Scratch()
    try:
        limits = reach.limits(ServerConfig("bench", "python"), sys.executable, {}, str(scratch.path))
        every = ways(facts, limits)
        took: dict[str, list[float]] = {name: [] for name in every}
        for _ in range(reps):
            for name, command in every.items():
                began = time.perf_counter()
                subprocess.run(command, env=scratch.variables(), check=True)
                took[name].append((time.perf_counter() - began) * 1000)
    finally:
        scratch.remove()
    bare = statistics.median(took["bare"])
    for name, each in took.items():
        middle = statistics.median(each)
        print(f"{name:18} {middle:6.1f} ms  {middle / bare:4.2f} × bare")


main()
