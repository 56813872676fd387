"""How long bad servers hold up everybody else: scripts/bench stall

In one session a call makes its server flood, send a line that never ends, or answer with 16 MB and with nearly 64 MB on
one line. In another session a server is called all the while. For each: after how long the call was at its end, the
longest stall of the loop, the slowest of the other calls, and the end. Then how soon a reply that cannot be read fails
its call.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import anyio

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "servers")]

from serving import call, lean, serving  # noqa: E402

from host.core.settings import ServerConfig  # noqa: E402
from host.servers.pool import Pool  # noqa: E402

SERVER = str(Path(__file__).parent / "tool_server.py")
BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "flood": ("bad__spill", {"text": "noise\n"}),
    "endless line": ("bad__spill", {"text": "x"}),
    "16 MB": ("bad__rows", {"mb": 12, "structured": False}),  # so long once it is a text in JSON
    "64 MB": ("bad__rows", {"mb": 50, "structured": False}),
}
WAIT = 60


async def main() -> None:
    for what, (tool, arguments) in BAD.items():
        bad = ServerConfig("bad", "python", (SERVER,), tool_timeout=WAIT)
        good = ServerConfig("good", "python", (SERVER,))
        worst = {"loop": 0.0, "call": 0.0}
        async with Pool() as pool:
            one, other = (pool.servers(at.name, [at], lambda _: None, lambda *_: None, {}) for at in (bad, good))
            await one.settled()
            await other.settled()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(beat, worst)
                tasks.start_soon(calls, other, worst)
                began = time.perf_counter()
                result = await call(one, tool, arguments)
                took = time.perf_counter() - began
                tasks.cancel_scope.cancel()
        stalls = "  ".join(f"{of} {seconds * 1000:4.0f} ms" for of, seconds in worst.items())
        print(f"{what:13} {took:5.2f} s  {stalls}  {result.outcome} {result.reason or ''}")
    async with serving(lean("modern")) as servers:
        await servers.settled()
        for how in ("utf8", "deep"):
            began = time.perf_counter()
            result = await call(servers, "lean__broken", {"how": how})
            print(f"unreadable reply ({how}): {result.outcome} after {(time.perf_counter() - began) * 1000:.0f} ms")


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
