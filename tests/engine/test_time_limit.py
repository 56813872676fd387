"""The time limit of a turn counts what the host does, not how long people take."""

from host.core import events as ev
from host.core.fold import fold
from host.core.state import EndTurn, SettleCalls, next_step
from host.core.types import Text, ToolCall


def at(second):
    return f"2026-11-22T12:{second // 60:02}:{second % 60:02}.000Z"


def state_of(*happened):
    """The state after events at seconds of the clock, the first of them the opening with limits.seconds = 10."""
    opened = (0, ev.SessionOpened("p", "m/x", ("s",), limits={"seconds": 10}))
    return fold("s", [ev.Recorded("s", n, at(s), event) for n, (s, event) in enumerate([opened, *happened], 1)])


CALLS = (ToolCall("a", "s__a", {}), ToolCall("b", "s__b", {}))
BEGUN = (
    (0, ev.UserSaid((Text("go"),))),
    (2, ev.ModelSaid(CALLS, "m/x", "calls")),
    *[(2, ev.CallDecided(c.id, c.name, "s", c.id, {}, "ask")) for c in CALLS],
)
REACHED = EndTurn("limit", "limits.seconds = 10 was reached")


def ends(second, *ids):
    return [(second, ev.CallFinished(id, "ok", False)) for id in ids]


def test_two_people_thinking_at_once_are_waited_for_once():
    asked = [(3, ev.Asked("q1", "approval", "s", "a")), (5, ev.Asked("q2", "approval", "s", "b"))]
    answered = [(30, ev.Answered("q1", "accept")), (50, ev.Answered("q2", "accept"))]
    waited = state_of(*BEGUN, *asked, *answered, *ends(52, "a", "b"))
    assert waited.turn.waited == 47
    assert next_step(waited, at(56)) != REACHED
    assert next_step(waited, at(57)) == REACHED


def test_a_call_in_flight_is_not_cut_and_counts_in_full():
    assert isinstance(next_step(state_of(*BEGUN), at(50)), SettleCalls)
    assert next_step(state_of(*BEGUN, *ends(11, "a", "b")), at(11)) == REACHED


def test_the_time_that_no_process_ran_does_not_count():
    resumed = state_of(*BEGUN, (500, ev.SettingsChanged({"resumed": "1"}, by="host")), *ends(503, "a", "b"))
    assert next_step(resumed, at(506)) != REACHED
    assert next_step(resumed, at(508)) == REACHED


def test_a_turn_out_of_time_ends_so_also_when_another_process_reads_of_it():
    cut = ev.ModelSaid((Text("half"),), "m/x", "interrupted", error="limits.seconds = 10 was reached")
    assert next_step(state_of(BEGUN[0], (10, cut)), at(11)) == REACHED
