"""A real kill -9 after each event of a run, then --resume. More seeds: python tests/crash/sweep.py --seeds 20"""

import sweep


def test_nothing_happens_twice_and_nothing_is_lost() -> None:
    assert sweep.sweep(seed=1) > 25
