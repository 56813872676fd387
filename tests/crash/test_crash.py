"""A real kill -9 at each moment of a run, then --resume. More seeds, and a table: tests/crash/sweep.py --seeds 20"""

from nursery import Nursery
from sweep import STATES, sweep

BOTH = {"decided", "started, before the send", "sent", "done, its result not kept", "finished, the model not told"}


def test_nothing_happens_twice_nothing_is_lost_and_what_nobody_knows_is_said() -> None:
    with Nursery() as nursery:
        played = sweep(3, nursery)
    died = {story.state for story, _ in played}
    assert {state for state, _ in died} >= set(STATES.values())
    assert died >= {(state, effect) for state in BOTH for effect in ("read", "write")}
    lost = [
        log for story, log in played if story.state[1] == "write" and story.state[0].startswith(("started", "done"))
    ]
    assert len(lost) > 5
    assert all(any(event.get("outcome") == "unknown" for event in log) for log in lost)
