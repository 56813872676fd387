"""What holding servers costs, and what it keeps in: scripts/bench sandbox [--reps N]

First a bare interpreter that does nothing and ends, alone and within each limit that works on this machine, in turns:
the median in milliseconds, and its ratio to the bare start. Then servers of many kinds that mean no harm: whether each
works, the level in force, and the median from its start to its tools, held and bare. Last a server that tries to get
out, held by each means: what it tried, and what was found outside. Ends with 1 where a kind does not work, or something
was found outside that the level in force does not name as open.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import anyio

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "servers")]

from kinds import Kind, kinds  # noqa: E402
from serving import serving  # noqa: E402

from host.core.settings import ServerConfig  # noqa: E402
from host.servers import reach  # noqa: E402
from host.servers.probe import machine  # noqa: E402
from host.servers.sandbox import Limits, Machine, in_force, wrap  # noqa: E402
from host.servers.scratch import Scratch  # noqa: E402

ADMITTED = {"file modes": "mode", "udp": "udp", "unix sockets": "agent"}
"""What is found outside where the level in force says that this is open."""


def ways(facts: Machine, limits: Limits) -> dict[str, list[str]]:
    """The command of each way to start it."""
    command = [sys.executable, "-c", "pass"]
    found = {"bare": command, "strict": wrap(command, limits, facts)}
    if facts.bwrap:
        found["bubblewrap alone"] = wrap(command, limits, replace(facts, landlock=0))
    if facts.landlock:
        found["Landlock alone"] = wrap(command, limits, replace(facts, bwrap=""))
    return found


def starts(facts: Machine, reps: int) -> None:
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


def harmless(reps: int) -> bool:
    """Whether all of them work."""
    print(f"\n{'kind':12} works      held      bare  ratio  level in force")
    fine = True
    with tempfile.TemporaryDirectory() as folder, kinds(Path(folder)) as every:
        for number, (name, kind) in enumerate(every.items()):
            bare = replace(kind, config=replace(kind.config, sandbox="off", network=False))
            if number == 0:
                anyio.run(started, bare)  # imports what all of them need
            turns = [(anyio.run(started, kind), anyio.run(started, bare)) for _ in range(reps)]
            wrong = " ".join(ran.wrong for ran, _ in turns).strip()
            held, free = (statistics.median(ran.milliseconds for ran in each) for each in zip(*turns, strict=True))
            times = f"{held:5.0f} ms  {free:5.0f} ms  {held / free:4.2f}×"
            works = "no" if wrong else "yes"
            print(f"{name:12} {works:5}  {times}  {turns[0][0].level} {wrong}".rstrip())
            fine = fine and not wrong
    return fine


class Ran(NamedTuple):
    """One start of a server: how long until its tools were there, what went wrong, and what held it."""

    milliseconds: float
    wrong: str
    level: str


async def started(kind: Kind) -> Ran:
    began = time.perf_counter()
    async with serving(kind.config) as servers:
        await servers.settled()
        took = (time.perf_counter() - began) * 1000
        return Ran(took, await kind.works(servers), servers.statuses[kind.config.name].sandbox)


def burglaries(facts: Machine) -> bool:
    """Whether nothing got out but what the level in force says is open."""
    from test_sandbox import CANARY, HOLDS, House  # finds out what works here, which is measured before

    fine = True
    for name, held in HOLDS.items():
        if not ((held.bwrap or "bubblewrap" not in name) and (held.landlock or "Landlock" not in name)):
            continue
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            house = House(Path(folder).resolve(), stack)
            tried = house.enter(held)
            out = house.noticed() | {attempt for attempt, said in tried.items() if CANARY in said}
        level = in_force(ServerConfig("burglar"), held)
        admitted = {found for word, found in ADMITTED.items() if word in level}
        fine = fine and out <= admitted
        print(f"\n{name}: {level}\n  {len(tried)} ways out tried; found outside: {', '.join(sorted(out)) or 'none'}")
        if held == facts:
            print("  " + ", ".join(attempt.replace("_", " ") for attempt in tried))
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--reps", type=int, default=20)
    reps = parser.parse_args().reps
    began = time.perf_counter()
    facts = machine()
    print(f"finding out what works here, once a process: {(time.perf_counter() - began) * 1000:.0f} ms")
    starts(facts, reps)
    fine = harmless(max(1, reps // 4))
    return 0 if burglaries(facts) and fine else 1


if __name__ == "__main__":
    sys.exit(main())
