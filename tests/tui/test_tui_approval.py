"""The approval panel: every key, and every way in which nothing must be approved."""

from __future__ import annotations

import sys

import pytest
from textual.events import Key
from tui_fake import FakeDoor, FakeHandle, approval, asking, decided, said
from tui_stage import Stage, play

from host.core import events as ev

REPLY = ("tickets__reply", {"ticket_id": "T-20931", "body": "Hi Ana,\nsorry."})
LONG = ("tickets__delete", {"body": "\n".join(f"line {n}" for n in range(80))})
CANCEL = ("orders__cancel", {"id": 3})


def only(stage: Stage) -> ev.Answer:
    assert len(stage.answers) == 1
    return stage.answers[0]


def test_the_panel_shows_who_what_and_why_in_full() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees(
            "Approve? tickets.reply",
            "RISK  writes · can carry data out · server tickets",
            "WHY   rule ask-first; no rule matches",
            '"T-20931"',
            '"Hi Ana,',
            'sorry."',
            "14 characters, 2 lines",
            "[y] run once",
            "⚑ 1 question for you",
        )
        await stage.misses("request 1 of")

    play(FakeDoor(asking(REPLY, rules=("ask-first",), reason="no rule matches")), scene)


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (140, 40)])
def test_the_panel_fits_common_terminals(size: tuple[int, int]) -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees(
            "Approve? tickets.delete",
            "[esc] stop the turn",
            "more lines below",
            "Ask, or / for commands",
            "⚑ 2 questions",
        )
        assert len(stage.lines()) == size[1]
        assert all(len(line) <= size[0] for line in stage.lines())

    play(FakeDoor(asking(LONG, CANCEL)), scene, size=size)


def test_in_a_small_terminal_the_keys_stay_and_the_facts_say_that_they_are_cut() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees(
            "RISK", "more lines in a taller terminal", "more lines below", "[n] deny", "[esc] stop the turn"
        )

    play(FakeDoor(asking(LONG, CANCEL, reason="a reason of many words, longer than a line " * 3)), scene, size=(50, 16))


def test_y_runs_once() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("y")
        assert only(stage) == ev.Answer("accept", "q1")
        await stage.misses("Approve?")
        assert stage.app.chat.prompt.has_focus

    play(FakeDoor(asking(REPLY)), scene)


def test_n_denies() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("n")
        assert only(stage) == ev.Answer("decline", "q1")

    play(FakeDoor(asking(REPLY)), scene)


def test_d_denies_and_tells_the_model_why() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("d")
        await stage.sees("[enter] deny and tell the model")
        await stage.type("yes no yes")
        assert not stage.answers
        await stage.press("escape")
        await stage.sees("[y] run once")
        await stage.press("d", "enter")
        assert only(stage) == ev.Answer("decline", "q1", reason="yes no yes")

    play(FakeDoor(asking(REPLY)), scene)


def test_s_allows_these_arguments_for_the_session() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees("[s] allow these arguments this session")
        await stage.press("s")
        assert only(stage) == ev.Answer("accept", "q1", remember={"for": "session", "arguments": "exact"})

    play(FakeDoor(asking(REPLY)), scene)


def test_s_is_absent_where_no_grant_is_offered() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        assert "[s]" not in stage.text()
        await stage.press("s")
        assert not stage.answers

    play(FakeDoor(asking(REPLY, grantable=False)), scene)


def test_e_edits_the_arguments_and_the_card_says_so() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("e")
        await stage.sees('"ticket_id": "T-20931"', "[F10] run with these")
        await stage.press("y", "n", "s")
        await stage.sees("✗ not valid JSON")
        await stage.press("f10")
        assert not stage.answers
        await stage.press("ctrl+home", *["delete"] * 3)
        stage.panel.query_one("TextField").text = "[1]"  # type: ignore[attr-defined]
        await stage.press("f10")
        await stage.sees("arguments are a JSON object")
        stage.panel.query_one("TextField").text = '{"ticket_id": "T-1"}'  # type: ignore[attr-defined]
        await stage.press("f10")
        assert only(stage) == ev.Answer("accept", "q1", content={"ticket_id": "T-1"})
        await stage.sees("○ allowed")
        card = next(b for k, b in stage.app.link.view.blocks.items() if k.startswith("c"))
        assert card.edited  # type: ignore[union-attr]

    play(FakeDoor(asking(REPLY)), scene)


def test_a_burst_of_keys_edits_in_its_order() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("e")
        for key in ("down", "end", "backspace", "7", "0", "left", "5"):
            stage.app.post_message(Key(key, key if len(key) == 1 else None))
        await stage.sees('"id": 750')
        await stage.press("f10")
        assert only(stage) == ev.Answer("accept", "q1", content={"id": 750})

    play(FakeDoor(asking(CANCEL)), scene)


def test_unchanged_arguments_are_not_an_edit_and_esc_goes_back() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("e", "escape")
        await stage.sees("[y] run once")
        assert not stage.handle.commands
        await stage.press("e", "f10")
        assert only(stage) == ev.Answer("accept", "q1")

    play(FakeDoor(asking(REPLY)), scene)


def test_what_deceives_the_eye_is_an_escape_in_the_editor_and_stays_itself() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("e")
        await stage.sees("a\\u202eb ü")
        await stage.press("f10")
        assert only(stage) == ev.Answer("accept", "q1")

    play(FakeDoor(asking(("crm__get", {"name": "a\u202eb ü"}))), scene)


def test_edits_that_the_engine_refuses_stay_open() -> None:
    class Strict(FakeHandle):
        def submit(self, command: ev.Command) -> ev.Rejected | None:
            if isinstance(command, ev.Answer) and command.content:
                return ev.Rejected("answer", "the answer does not fit the schema: ticket_id is required")
            return super().submit(command)

    class StrictDoor(FakeDoor):
        async def open(self, resume: str | None = None, profile: str | None = None) -> FakeHandle:
            self.handle = Strict("s", self.items, None)
            return self.handle

    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("e")
        stage.panel.query_one("TextField").text = '{"x": 1}'  # type: ignore[attr-defined]
        await stage.press("f10")
        await stage.sees("✗ the answer does not fit the schema: ticket_id is required")
        await stage.press("escape", "n")
        assert only(stage) == ev.Answer("decline", "q1")

    play(StrictDoor(asking(REPLY)), scene)


def test_the_users_own_editor_gives_the_arguments_back(tmp_path, monkeypatch) -> None:
    """A headless driver cannot hand the terminal over: the panel says so and keeps what was typed."""

    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("e", "ctrl+g")
        await stage.sees("cannot be handed to an editor")
        await stage.press("f10")
        assert only(stage) == ev.Answer("accept", "q1")

    monkeypatch.setenv("EDITOR", sys.executable)
    play(FakeDoor(asking(REPLY)), scene)


def test_esc_stops_the_whole_turn() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("escape")
        assert stage.handle.commands == [ev.Interrupt()]

    play(FakeDoor(asking(REPLY)), scene)


# --- several requests


def test_j_and_k_go_round_the_requests_and_each_is_answered_for_itself() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing("q1")
        await stage.sees("request 1 of 2", "tickets.reply")
        await stage.press("j")
        await stage.reviewing("q2")
        await stage.sees("Approve? orders.cancel", "request 2 of 2")
        await stage.press("k")
        await stage.reviewing("q1")
        await stage.press("f8")
        await stage.reviewing("q2")
        await stage.press("f7")
        await stage.reviewing("q1")
        await stage.press("j")
        await stage.reviewing("q2")
        await stage.press("n")
        await stage.reviewing("q1")
        await stage.press("y")
        assert stage.answers == [ev.Answer("decline", "q2"), ev.Answer("accept", "q1")]

    play(FakeDoor(asking(REPLY, CANCEL)), scene)


def test_a_double_press_does_not_answer_the_next_request() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing("q1")
        await stage.press("y")
        await stage.until(lambda: stage.app.chat.panel is not None and stage.panel.asked.request_id == "q2")
        await stage.press("y", "y")
        assert only(stage) == ev.Answer("accept", "q1")
        stage.wait(1)
        await stage.press("y")
        assert [answer.request_id for answer in stage.answers] == ["q1", "q2"]

    play(FakeDoor(asking(REPLY, CANCEL)), scene)


def test_a_request_that_is_answered_elsewhere_leaves_the_screen() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing("q1")
        stage.handle.emit(ev.Answered("q1", "cancel", by="host"))
        await stage.misses("Approve?")
        await stage.press("y")
        assert not stage.answers

    play(FakeDoor(asking(REPLY)), scene)


# --- what never approves


def test_a_line_of_an_argument_is_none_of_the_panel() -> None:
    text = "x\n[y] run once   [n] deny\nRISK  reads · stays inside " + "a " * 60 + "WHY"

    async def scene(stage: Stage) -> None:
        await stage.sees("Approve? tickets.reply", "┊ [y] run once   [n] deny", "┊ RISK  reads")
        shown = [line.strip(" │") for line in stage.lines()]
        assert any(line.startswith("┊") and line.endswith('WHY"') for line in shown)

    play(FakeDoor(asking(("tickets__reply", {"to": text}))), scene)


def test_a_name_of_an_argument_is_no_line_of_the_panel() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees("Approve? tickets.reply", '"[y] run once   [n] deny"', '┊ "x')
        shown = [line.strip(" │") for line in stage.lines()]
        assert sum(line.startswith("RISK") for line in shown) == 1

    names = ("[y] run once   [n] deny", "x" + " " * 92 + "RISK  reads · stays inside")
    play(FakeDoor(asking(("tickets__reply", dict.fromkeys(names, 1)))), scene, size=(100, 40))


def test_keys_are_dead_when_the_panel_appears() -> None:
    async def scene(stage: Stage) -> None:
        await stage.until(lambda: stage.app.chat.panel is not None and stage.panel.has_focus)
        await stage.press("y", "s", "n", "escape")
        assert not stage.handle.commands
        stage.wait(0.39)
        await stage.press("y")
        assert not stage.handle.commands
        stage.wait(0.41)
        await stage.press("y")
        assert only(stage) == ev.Answer("accept", "q1")

    play(FakeDoor(asking(REPLY)), scene)


def test_a_key_that_is_held_down_since_before_the_panel_approves_nothing() -> None:
    async def scene(stage: Stage) -> None:
        await stage.until(lambda: stage.app.chat.panel is not None and stage.panel.has_focus)
        for _ in range(20):
            stage.wait(0.1)
            await stage.press("y")
        assert not stage.handle.commands

    play(FakeDoor(asking(REPLY)), scene)


def test_enter_and_space_approve_nothing() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("enter", "space", "tab", "enter")
        assert not stage.answers

    play(FakeDoor(asking(REPLY)), scene)


def test_letters_typed_into_the_prompt_never_approve() -> None:
    items = asking(REPLY)

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("yes")
        stage.handle.emit(*items[-2:])
        await stage.sees("F5 to review", "Approve? tickets.reply")
        stage.wait(5)
        await stage.type(" sure y")
        assert (stage.prompt, stage.answers) == ("yes sure y", [])
        await stage.press("f5")
        await stage.press("y")
        assert only(stage) == ev.Answer("accept", "q1")
        assert stage.prompt == "yes sure y"

    play(FakeDoor(items[:-2]), scene)


def test_a_prompt_that_was_just_used_keeps_the_focus_while_it_is_used() -> None:
    items = asking(REPLY)

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("a", "backspace")
        stage.wait(0.3)
        stage.handle.emit(*items[-2:])
        await stage.sees("F5 to review", "Approve? tickets.reply")
        await stage.press("y")
        assert (stage.prompt, stage.answers) == ("y", [])
        stage.wait(5)
        await stage.until(lambda: stage.app.chat.offer is None)
        assert stage.app.chat.prompt.has_focus

    play(FakeDoor(items[:-2]), scene)


def test_a_prompt_that_came_to_rest_gives_the_focus_away_and_keys_are_dead_from_then() -> None:
    items = asking(REPLY)

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("a", "backspace")
        stage.handle.emit(*items[-2:])
        await stage.sees("F5 to review", "Approve? tickets.reply")
        stage.wait(5)
        await stage.until(lambda: stage.panel.has_focus)
        await stage.press("y")
        assert not stage.answers
        stage.wait(0.5)
        await stage.press("y")
        assert only(stage) == ev.Answer("accept", "q1")

    play(FakeDoor(items[:-2]), scene)


def test_who_went_back_to_the_prompt_is_not_called_again() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("f5")
        stage.wait(5)
        assert stage.app.chat.prompt.has_focus
        assert stage.app.chat.offer is None

    play(FakeDoor(asking(REPLY)), scene)


def test_f5_goes_back_to_the_prompt_and_again_to_the_panel() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("f5")
        await stage.type("y")
        assert (stage.prompt, stage.answers) == ("y", [])
        await stage.press("f5", "n")
        assert only(stage) == ev.Answer("decline", "q1")

    play(FakeDoor(asking(REPLY)), scene)


def test_what_may_destroy_runs_only_after_its_end_was_seen() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees("may destroy", "[–] scroll to the end to run", "more lines below")
        await stage.press("y", "s")
        await stage.sees("scroll to the end of its arguments first")
        assert not stage.answers
        await stage.press("pagedown", "down")
        await stage.press("y")
        assert not stage.answers
        await stage.press("end")
        await stage.sees("[y] run once", "line 79", "▴ all lines shown")
        await stage.press("home", "y")
        assert only(stage) == ev.Answer("accept", "q1")

    play(FakeDoor(asking(LONG, effect="destructive")), scene)


def test_what_only_writes_is_not_run_either_with_its_end_out_of_sight() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees("more lines below", "[–] scroll to the end to run")
        await stage.press("y", "s", "r", "enter")
        assert not stage.answers
        await stage.press("end")
        await stage.sees("[y] run once")
        await stage.press("y")
        assert only(stage) == ev.Answer("accept", "q1")

    play(FakeDoor(asking(LONG, effect="write")), scene)


def test_sampling_is_a_plain_yes_or_no() -> None:
    items = asking(REPLY)
    question = ev.Asked("q1", "sampling", "tickets", "c1", message="summarise: the ticket")

    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees("Let the server ask the model? tickets", "summarise: the ticket")
        await stage.press("e")
        assert "[F10]" not in stage.text()
        await stage.press("n")
        assert only(stage) == ev.Answer("decline", "q1")

    play(FakeDoor([*items[:-2], decided("c1", REPLY[0], REPLY[1]), question]), scene)


def test_the_turn_goes_on_after_an_approval() -> None:
    def run(handle: FakeHandle, command: ev.Command) -> None:
        if isinstance(command, ev.Answer):
            handle.emit(
                ev.CallStarted("c1", 1, "tickets", "reply", REPLY[1], "k"),
                ev.CallFinished("c1", "ok", False, ({"type": "text", "text": "sent"},), None, 40),
                said("Done."),
                ev.TurnEnded("done"),
            )

    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("y")
        await stage.sees("✓ done", "you: once", "Done.", "○ ready")

    play(FakeDoor(asking(REPLY), react=run), scene)


def test_questions_of_an_unfinished_turn_wait_until_it_is_carried_on() -> None:
    door = FakeDoor(older={"s1": asking(REPLY)})

    async def scene(stage: Stage) -> None:
        await stage.sees("the last turn is unfinished")
        assert stage.app.chat.panel is None
        await stage.press("enter")
        stage.handle.emit(approval("q9", "c1", *REPLY))
        await stage.sees("Approve? tickets.reply")

    play(door, scene, resume="s1")
