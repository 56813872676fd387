"""What the record costs a call: scripts/bench audit. Its three events are appended as a session does, row by row."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from host.core import events as ev
from host.store.log import Log

CALLS = 2000
AT = "2026-11-22T12:00:00.000Z"
ARGUMENTS = {"order_id": "O-1001", "customer_id": "C-001"}
CALL = (
    ev.CallDecided("c1", "shop__get", "shop", "get", ARGUMENTS, "allow", (), "reads only", "read", False, "d" * 64),
    ev.CallStarted("c1", 1, "shop", "get", ARGUMENTS, "s1:3"),
    ev.CallFinished("c1", "ok", False, ({"type": "text", "text": "x" * 400},), {"total": 120}, 12),
)


def main() -> None:
    for effect, durable in (("read", False), ("write", True)):
        with tempfile.TemporaryDirectory(dir=Path.home()) as folder, closing(Log.create(Path(folder), "s1")) as log:
            took = sorted(one(log, durable) for _ in range(CALLS))
        print(f"{effect:5}  p50 {took[CALLS // 2] * 1e3:.3f} ms  p99 {took[CALLS * 99 // 100] * 1e3:.3f} ms")


def one(log: Log, durable: bool) -> float:
    """Seconds that one call took; the intent of one that writes is on the disk before it is sent."""
    began = time.perf_counter()
    for event in CALL:
        log.append([(event.kind, log.stage(ev.encode(event)))], AT, durable and isinstance(event, ev.CallStarted))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
