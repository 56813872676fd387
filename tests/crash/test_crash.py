"""A real kill -9 after each event of a run, then --resume. More seeds: python tests/crash/sweep.py --seeds 20"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import sweep


def test_nothing_happens_twice_and_nothing_is_lost() -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(partial(sweep.story, 1), range(1, sweep.length(1) + 1)))
