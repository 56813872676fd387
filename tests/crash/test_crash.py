"""A real kill -9 after each event of a run, then --resume. More seeds: python tests/crash/sweep.py --seeds 20"""

import os

import pytest
import sweep

SEEDS = int(os.environ.get("CRASH_SEEDS", "1"))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_happens_twice_and_nothing_is_lost(seed: int) -> None:
    for stop_at in range(1, sweep.length(seed) + 1):
        sweep.story(seed, stop_at)
