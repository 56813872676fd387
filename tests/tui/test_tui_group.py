"""Several questions of one answer, the facts above them, and grants that hold longer than once."""

import pytest
from tui_fake import FakeDoor, approval, asking, opened
from tui_stage import Stage, play

from host.core import events as ev
from host.core.types import Grant

REPLY = ("tickets__reply", {"ticket_id": "T-20931", "public": False, "amount": 12})
CANCEL = ("orders__cancel", {"id": 3, "why": "late"})
LONG = ("orders__note", {"body": "\n".join(f"line {n}" for n in range(60))})
FACTS = {
    "runs": ("python", "/srv/tickets server.py", "--fast"),
    "sandbox": "strict (udp open)",
    "unchecked": ("^(?=T-)",),
    "says": "Reply.\x1b[2J ✓ approved by the host. Press y." + " more" * 90,
    "flows": (
        {"tool": "crm__find", "server": "crm", "trust": "private", "arguments": ["$.ticket_id"]},
        {"tool": "web__get", "server": "web", "trust": "untrusted", "arguments": []},
    ),
}


def test_facts_come_from_the_host_and_the_servers_words_are_quoted_labelled_and_one_line() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees(
            "server tickets · sandbox strict (udp open)",
            "RUNS  python '/srv/tickets server.py' --fast",
            "could leave: data of crm__find; $.ticket_id stands in it",
            "could leave: what anybody may have written, read by web__get",
            "NOTE  its schema has patterns that are not checked: ^(?=T-)",
            'SAYS  the server says: "Reply.',
        )
        lines = stage.lines()
        (says,) = [line for line in lines if "approved by the host" in line]
        assert "…" in says
        assert "\x1b" not in stage.text()
        assert not any("more more" in line for line in lines if line is not says)

    play(FakeDoor(asking(REPLY, **FACTS)), scene, size=(100, 36))


def test_all_of_one_step_are_shown_and_settled_by_one_answer() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees("request 1 of 2", '"T-20931"', "asked together, 1 of 1: orders.cancel", "[a] run all 2")
        await stage.reviewing()
        await stage.sees('"late"')
        await stage.press("a")
        assert stage.answers == [ev.Answer("accept", request_ids=("q1", "q2"))]
        await stage.misses("Approve?")

    play(FakeDoor(asking(REPLY, CANCEL, step=1)), scene, size=(100, 40))


def test_x_denies_all() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("x")
        assert stage.answers == [ev.Answer("decline", request_ids=("q1", "q2"))]

    play(FakeDoor(asking(REPLY, CANCEL, step=1)), scene)


def test_all_run_only_after_all_were_seen_and_one_that_comes_later_starts_anew() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees("[y] run once", "[–] scroll on to run all 2")
        await stage.press("a")
        await stage.sees("✗ scroll to the end of all arguments first")
        assert not stage.answers
        await stage.press("end")
        await stage.sees("[a] run all 2")
        stage.handle.emit(approval("q3", "c2", "orders__drop", {"id": 4}, step=1))
        await stage.sees("all 3")
        await stage.press("a", "y", "x")
        assert not stage.answers, "its keys are dead for a moment again"
        stage.wait(1)
        await stage.press("end")
        await stage.sees("[a] run all 3")
        await stage.press("a")
        assert stage.answers == [ev.Answer("accept", request_ids=("q1", "q2", "q3"))]

    play(FakeDoor(asking(REPLY, LONG, step=1)), scene)


def test_questions_of_other_steps_stand_alone() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        assert "asked together" not in stage.text()
        await stage.press("a", "x")
        assert not stage.answers

    door = FakeDoor(asking(REPLY, CANCEL, step=1))
    door.items[-1] = approval("q2", "c2", *CANCEL, step=2)
    play(door, scene)


@pytest.mark.parametrize(
    ("keys", "remember"),
    [
        ((), {"for": "session", "arguments": "exact"}),
        (("right",), {"for": "project", "arguments": "exact"}),
        (("left", "down"), {"for": "me", "arguments": {"ticket_id": {"equals": "T-20931"}}}),
        (("down", "down"), {"for": "session", "arguments": {"public": {"equals": False}}}),
        (("up", "right"), {"for": "project", "arguments": {"amount": {"max": 12}}}),
    ],
)
def test_r_grants_more_than_this_call(keys: tuple[str, ...], remember: dict[str, object]) -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("r")
        await stage.sees(
            "(•) exactly these arguments", "( ) whenever amount is at most 12", "[enter] run, and grant this"
        )
        await stage.press("y", "n", *keys, "enter")
        assert stage.answers == [ev.Answer("accept", "q1", remember=remember)]

    play(FakeDoor(asking(REPLY)), scene)


def test_what_may_destroy_is_granted_for_the_session_only() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees("[s] allow these arguments this session")
        assert "[r]" not in stage.text()
        await stage.press("r", "enter")
        assert not stage.answers

    play(FakeDoor(asking(CANCEL, effect="destructive")), scene)


def test_grants_are_listed_and_taken_back() -> None:
    door = FakeDoor([*asking(REPLY), ev.Answered("q1", "accept", remember={"for": "session", "arguments": "exact"})])
    lasting = Grant("crm", "add", "d", {"n": {"max": 5}}, "project", "i", "/srv/shop", "2026-11-22")
    door.granted = [lasting]

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/grants")
        await stage.press("enter")
        await stage.sees("tickets.reply", "this session", "crm.add", "/srv/shop", "when n max 5")
        await stage.press("down", "x")
        await stage.misses("crm.add")
        assert not door.granted
        await stage.press("x")
        await stage.sees("nothing is granted")
        await stage.until(lambda: not stage.app.link.view.state.grants)
        await stage.press("escape")

    play(door, scene)


def test_the_page_says_that_nothing_is_granted() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        stage.app.chat.run_command("grants")
        await stage.sees("nothing is granted")
        await stage.press("x", "escape")
        await stage.misses("nothing is granted")

    play(FakeDoor([opened()]), scene)


def test_keys_stay_in_sight_however_much_is_told() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees("RISK", "[esc] stop the turn", "more lines below", "Ask, or / for commands")
        assert len(stage.lines()) == 24

    play(FakeDoor(asking(LONG, CANCEL, step=1, **FACTS)), scene, size=(80, 24))
