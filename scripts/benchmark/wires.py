"""Does a step stay as short as the first ones? One long turn on each wire: time from an answer to the next request.

first   median of steps 3-22      last    median of the last twenty
growth  last over first           bytes   size of the last request
"""

from __future__ import annotations

import argparse
import json
from statistics import median
from typing import Any

from compare import Part, echoes, run

WIRES = ("responses", "chat", "messages")


def measure(wire: str, steps: int) -> tuple[float, float, int]:
    size = 0
    answer = echoes(steps)

    def decide(body: dict[str, Any]) -> list[Part]:
        nonlocal size
        size = max(size, len(json.dumps(body)))
        return answer(body)

    times = run("host", decide, wire=wire).steps
    return median(times[2:22]), median(times[-20:]), size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="steps in the turn, at least 22 (default 200)")
    parser.add_argument("--reps", type=int, default=3, help="turns on each wire, one wire after the other (default 3)")
    parser.add_argument("--wire", choices=WIRES, help="this wire only")
    options = parser.parse_args()
    wires = [options.wire] if options.wire else list(WIRES)
    found: dict[str, list[tuple[float, float, int]]] = {wire: [] for wire in wires}
    for _ in range(options.reps):
        for wire in wires:
            found[wire].append(measure(wire, max(22, options.steps)))
    print(f"{options.steps} steps · median of {options.reps}")
    print(f"{'':12}{'first ms':>10}{'last ms':>10}{'growth':>10}{'bytes':>10}")
    for wire, figures in found.items():
        first, last = median(f[0] for f in figures), median(f[1] for f in figures)
        print(f"{wire:12}{first:10.2f}{last:10.2f}{last / first:10.2f}{figures[0][2]:10}")


if __name__ == "__main__":
    main()
