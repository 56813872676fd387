"""What a person is asked over the benign tasks of the demo, counted in runs of the whole program."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
from field import HERE

sys.path[:0] = [str(HERE.parent / "demos"), str(HERE.parent / "tui")]

from model_server import ModelServer  # noqa: E402
from test_support_through_host import TASKS, at_the_desk, copied, played  # noqa: E402

AT_ONCE = 2


def asked(folder: Path) -> tuple[Counter[str], int]:
    """How often a person was asked about what, and how many tasks that was for. Each task must end as it should."""
    count: Counter[str] = Counter()

    async def run(name: str, task: Any, room: anyio.CapacityLimiter) -> None:
        place = folder / name
        async with room:
            place.mkdir()
            with anyio.fail_after(90), ModelServer(played(task)) as model:
                events, code = await at_the_desk(task, copied(place), model.base_url)
        assert code == 0, name
        count.update(event["about"] for event in events if event["kind"] == "asked")

    async def main() -> None:
        room = anyio.CapacityLimiter(AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for name, task in TASKS.items():
                tasks.start_soon(run, name, task, room)

    anyio.run(main)
    return count, len(TASKS)
