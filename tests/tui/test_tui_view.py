"""The fold of the feed into blocks: live and replayed give the same."""

from __future__ import annotations

import json

from tui_fake import AT, approval, asking, calls, decided, finished, opened, said, started, user

from host.core import events as ev
from host.core.source import ServerStatus
from host.core.types import ToolCall, Usage
from host.frontends.view import CallCard, ModelBlock, NoticeBlock, TurnBlock, UserBlock, View


def advance(view: View, *items: ev.Event | ev.Delta | ServerStatus) -> list[str]:
    changed: list[str] = []
    for item in items:
        if not isinstance(item, (ev.Delta, ServerStatus)):
            item = ev.Recorded("s", view.state.seq + 1, AT.format(view.state.seq), item)
        changed += view.advance(item)
    return changed


def card(view: View) -> CallCard:
    found = [block for block in view.blocks.values() if isinstance(block, CallCard)]
    assert len(found) == 1
    return found[0]


def test_streamed_text_becomes_the_message_in_its_place() -> None:
    view = View()
    advance(view, opened(), user("hi"), ev.Delta(0, 0, "text", "Hel"), ev.Delta(0, 3, "text", "lo"))
    key = list(view.blocks)[-1]
    assert view.blocks[key] == ModelBlock("Hello", streaming=True)
    assert advance(view, said("Hello there")) == [key]
    assert view.blocks[key] == ModelBlock("Hello there")


def test_a_delta_after_a_lost_one_is_passed_over_and_a_repeated_one_counts_once() -> None:
    view = View()
    advance(view, opened(), user("hi"), ev.Delta(0, 0, "text", "Hel"))
    assert advance(view, ev.Delta(0, 9, "text", "xxx")) == []
    advance(view, ev.Delta(0, 0, "text", "Hello"))
    assert list(view.blocks.values())[-1] == ModelBlock("Hello", streaming=True)


def test_a_message_of_calls_alone_leaves_no_empty_block() -> None:
    view = View()
    advance(view, opened(), user("hi"), ev.Delta(0, 0, "args", '{"id":', "c1"))
    assert list(view.blocks.values())[-1] == ModelBlock("", streaming=True, drafting=6)
    advance(view, calls("", ("c1", "crm__get", {"id": 1})))
    assert [type(block) for block in view.blocks.values()] == [UserBlock, CallCard]


def test_a_call_goes_through_its_stages() -> None:
    view, arguments = View(), {"id": 1}
    advance(view, opened(), user("hi"), calls("", ("c1", "crm__get", arguments)))
    assert (card(view).stage, card(view).server, card(view).name) == ("proposed", "crm", "get")
    advance(view, decided("c1", "crm__get", arguments, "ask"), approval("q1", "c1", "crm__get", arguments))
    assert card(view).stage == "waiting"
    assert [asked.request_id for asked in view.questions] == ["q1"]
    advance(view, ev.Answered("q1", "accept"))
    assert (card(view).stage, card(view).note, view.questions) == ("allowed", "you: once", [])
    advance(view, started("c1", "crm__get", arguments))
    value = json.dumps({"progress": 1, "total": 4, "message": "one"})
    advance(view, ev.Delta(0, 0, "progress", value, "c1"))
    assert (card(view).stage, card(view).fraction, card(view).message) == ("running", 0.25, "one")
    advance(view, finished("c1", {"name": "Ana"}))
    assert (card(view).stage, card(view).result, card(view).milliseconds) == ("ok", '{"name": "Ana"}', 120)
    assert card(view).size > 0


def test_progress_without_a_total_shows_its_words() -> None:
    view = View()
    advance(view, opened(), user("hi"), calls("", ("c1", "crm__get", {})), decided("c1", "crm__get", {}))
    advance(view, started("c1", "crm__get", {}))
    advance(view, ev.Delta(0, 0, "progress", json.dumps({"progress": 3, "total": None, "message": None}), "c1"))
    assert (card(view).fraction, card(view).message) == (None, "3")


def test_the_note_of_a_card_says_who_decided() -> None:
    answers = [
        (ev.Answered("q1", "accept", remember={"for": "session", "arguments": "exact"}), "you: this session"),
        (ev.Answered("q1", "accept", content={"id": 2}), "you: edited"),
        (ev.Answered("q1", "decline"), "you: no"),
        (ev.Answered("q1", "decline", by="host"), "host: no"),
        (ev.Answered("q1", "cancel", by="host"), "host: stopped"),
    ]
    for answered, note in answers:
        view = View()
        advance(view, *asking(("crm__get", {"id": 1})), answered)
        assert card(view).note == note
        assert card(view).edited == (note == "you: edited")
        assert card(view).wished == ({"id": 1} if card(view).edited else None)


def test_a_denied_call_says_why() -> None:
    view = View()
    advance(view, opened(), user("hi"), calls("", ("c1", "crm__drop", {})))
    advance(view, decided("c1", "crm__drop", {}, "deny", rules=("no-drops",), reason="never"))
    end = ev.CallFinished("c1", "denied", True, cause="denied", reason="never")
    advance(view, end)
    assert (card(view).stage, card(view).note) == ("denied", "rule no-drops")
    assert "never" in card(view).result


def test_a_question_in_the_middle_of_a_call_is_the_cards_too() -> None:
    view = View()
    advance(view, opened(), user("hi"), calls("", ("c1", "crm__get", {})), decided("c1", "crm__get", {}))
    advance(view, started("c1", "crm__get", {}), ev.Asked("q1", "form", "crm", "c1", message="which?", schema={}))
    assert card(view).stage == "paused"


def test_resuming_makes_decided_calls_proposals_again() -> None:
    view = View()
    advance(view, *asking(("crm__get", {"id": 1})), ev.Answered("q1", "accept"))
    assert card(view).stage == "allowed"
    advance(view, ev.SettingsChanged({"resumed": "0.1.0"}, by="host"))
    assert card(view).stage == "proposed"


def test_the_same_call_id_in_two_steps_is_two_cards() -> None:
    view = View()
    advance(view, opened(), user("hi"))
    for _ in range(2):
        advance(view, calls("", ("call_0", "crm__get", {})), decided("call_0", "crm__get", {}))
        advance(view, started("call_0", "crm__get", {}), finished("call_0"))
    assert [b.stage for b in view.blocks.values() if isinstance(b, CallCard)] == ["ok", "ok"]


def test_a_turn_ends_with_what_it_cost() -> None:
    view = View()
    advance(
        view,
        opened(),
        user("hi"),
        said("hello", Usage(100, 20, usd=0.5)),
        ev.TurnEnded("done", Usage(100, 20, usd=0.5)),
    )
    last = list(view.blocks.values())[-1]
    assert isinstance(last, TurnBlock)
    assert (last.reason, last.usage.usd, last.seconds) == ("done", 0.5, 2.0)
    assert not view.busy
    assert view.context == 100


def test_a_stream_that_never_got_its_event_is_closed_with_the_turn() -> None:
    view = View()
    advance(view, opened(), user("hi"), ev.Delta(0, 0, "text", "Hel"), ev.TurnEnded("failed", error="gone"))
    assert ModelBlock("Hel", stop="interrupted") in view.blocks.values()


def test_quarantine_and_settings_are_told_and_additions_are_not() -> None:
    view = View()
    assert advance(view, opened(), ev.CatalogChanged("crm", added=("crm__get",))) == []
    advance(view, ev.CatalogChanged("crm", quarantined={"crm__get": "its description changed"}))
    advance(view, ev.SettingsChanged({"mode": "auto", "facts": {"customer": "C-1"}}))
    first, second = view.blocks.values()
    assert isinstance(first, NoticeBlock)
    assert isinstance(second, NoticeBlock)
    assert "its description changed" in first.text
    assert first.tone == "warning"
    assert second.text == 'mode is now auto; customer = "C-1", fixed for this session'


def test_servers_are_counted() -> None:
    view = View()
    advance(view, ServerStatus("crm", "ready", tools=3), ServerStatus("kb", "starting", tools=0))
    assert (view.ready, view.tools) == (1, 3)
    advance(view, ServerStatus("crm", "failed", "it died"))
    assert (view.ready, view.tools) == (0, 0)


def test_an_event_of_a_later_version_is_passed_over() -> None:
    view = View()
    assert advance(view, opened(), ev.Unknown("teleported", {"to": "x"})) == []


def test_malformed_arguments_keep_the_models_own_text() -> None:
    view = View()
    call = ToolCall.parse("c1", "crm__get", '{"id": ')
    advance(view, opened(), user("hi"), ev.ModelSaid((call,), "m", "calls"))
    assert card(view).raw == '{"id": '
