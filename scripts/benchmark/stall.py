"""How long bad servers hold up everybody else: scripts/bench stall

In one session a server floods, one sends a line that never ends, one answers with nearly 64 MB on one line. In another
session a server is called all the while. For each: how it ended, the longest stall of the loop, the slowest call.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import anyio

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "servers")]

from serving import call  # noqa: E402

from host.core.settings import ServerConfig  # noqa: E402
from host.servers.pool import Pool  # noqa: E402

SERVER = str(Path(__file__).parent / "tool_server.py")
NOISE = "import sys\nsys.stdin.readline()\nwhile True: sys.stdout.write({!r})"
BAD = {
    "flood": ("-c", NOISE.format("noise\n" * 10_000)),
    "endless line": ("-c", NOISE.format("x" * 65_536)),
    "64 MB": (SERVER,),
}
WAIT = 60


async def main() -> None:
    for what, arguments in BAD.items():
        bad = ServerConfig("bad", "python", arguments, startup_timeout=WAIT, tool_timeout=WAIT)
        good = ServerConfig("good", "python", (SERVER,))
        worst = {"loop": 0.0, "call": 0.0}
        async with Pool() as pool:
            other = pool.servers("other", [good], lambda _: None, lambda *_: None, {})
            await other.settled()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(beat, worst)
                tasks.start_soon(calls, other, worst)
                began = time.perf_counter()
                one = pool.servers("one", [bad], lambda _: None, lambda *_: None, {})
                await one.settled()
                ended = one.statuses["bad"].detail
                if one.statuses["bad"].state == "ready":
                    result = await call(one, "bad__rows", {"mb": 50, "structured": False})
                    ended = f"{result.outcome} {result.reason or ''}"
                took = time.perf_counter() - began
                tasks.cancel_scope.cancel()
        stalls = "  ".join(f"{of} {seconds * 1000:4.0f} ms" for of, seconds in worst.items())
        print(f"{what:13} {took:5.1f} s  {stalls}  {ended}")


async def beat(worst: dict[str, float]) -> None:
    while True:
        began = time.perf_counter()
        await anyio.sleep(0.001)
        worst["loop"] = max(worst["loop"], time.perf_counter() - began - 0.001)


async def calls(servers: Any, worst: dict[str, float]) -> None:
    while True:
        began = time.perf_counter()
        await call(servers, "good__echo", {"text": "x"})
        worst["call"] = max(worst["call"], time.perf_counter() - began)
        await anyio.sleep(0.01)


anyio.run(main)
