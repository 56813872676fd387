"""Forms and addresses: what a server asks of a person, past the model."""

from __future__ import annotations

from typing import Any

import pytest
from textual.events import Paste
from tui_fake import FakeDoor, calls, decided, opened, started, user
from tui_stage import Stage, play

from host.core import events as ev
from host.frontends.tui.address import browse, suspicion
from host.frontends.tui.schema import Invalid, fields, read

SCHEMA = {
    "type": "object",
    "properties": {
        "date": {"type": "string", "format": "date", "title": "Date", "default": "2026-11-24"},
        "slot": {"enum": ["m", "a"], "enumNames": ["morning", "afternoon"], "default": "a"},
        "notify": {"type": "boolean", "title": "Send an SMS", "default": True},
        "parcels": {"type": "integer", "minimum": 1, "maximum": 9},
        "days": {"type": "array", "items": {"anyOf": [{"const": 1, "title": "Mon"}, {"const": 2, "title": "Tue"}]}},
        "notes": {"type": "string", "maxLength": 5},
    },
    "required": ["date", "parcels"],
}


def paused(asked: ev.Asked) -> list[ev.Event]:
    arguments = {"id": 8841}
    return [
        opened(),
        user("book a slot"),
        calls("", ("c1", "orders__book", arguments)),
        decided("c1", "orders__book", arguments),
        started("c1", "orders__book", arguments),
        asked,
    ]


def form(schema: dict[str, Any] = SCHEMA) -> FakeDoor:
    return FakeDoor(paused(ev.Asked("q1", "form", "orders", "c1", message="Which slot?", schema=schema)))


def address(url: str, about: str = "url") -> FakeDoor:
    return FakeDoor(paused(ev.Asked("q1", about, "orders", "c1", message="Confirm it.", url=url)))  # type: ignore[arg-type]


def test_a_form_says_who_asks_and_is_filled_in_and_sent() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees(
            "orders asks you · the model does not see this dialog",
            "Which slot?",
            "Date *",
            "2026-11-24",
            "( ) morning   (•) afternoon",
            "(•) yes   ( ) no",
            "[ ] Mon   [ ] Tue",
            "integer · 1 to 9",
            "never type passwords or card numbers here",
            "⚑ asks you",
        )
        await stage.press("tab", "left", "space", "tab", "right", "space", "tab", "4", "tab", "right", "space")
        await stage.press("tab", "o", "k", "f10")
        content = {"date": "2026-11-24", "slot": "m", "notify": False, "parcels": 4, "days": [2], "notes": "ok"}
        assert stage.answers == [ev.Answer("accept", "q1", content=content)]
        await stage.misses("Which slot?")

    play(form(), scene)


def test_what_does_not_fit_is_told_at_its_field_and_not_sent() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("end", "x", "f10")
        await stage.sees("✗ a date such as 2026-11-24", "✗ required", "✗ not sent: some answers do not fit")
        assert not stage.answers
        await stage.press("backspace", "tab", "tab", "tab", "1", "2", "f10")
        await stage.sees("✗ at most 9")
        await stage.press("backspace", "f10")
        assert [answer.content["parcels"] for answer in stage.answers] == [1]

    play(form(), scene, size=(100, 40))


def test_tab_goes_round_in_a_form_and_f10_still_sends_it() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("tab", "tab", "tab", "3", "tab", "tab", "tab")
        assert stage.panel.has_focus_within
        await stage.press("shift+tab", "h", "i", "tab", "f10")
        assert [(answer.content["parcels"], answer.content["notes"]) for answer in stage.answers] == [(3, "hi")]

    play(form(), scene)


@pytest.mark.parametrize(("key", "action"), [("f9", "decline"), ("escape", "cancel")])
def test_a_form_is_declined_or_cancelled_by_keys_that_are_no_letters(key: str, action: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("y", "n", "d", "enter")
        assert not stage.answers
        await stage.press(key)
        assert [answer.action for answer in stage.answers] == [action]
        assert not stage.sent(ev.Interrupt)

    play(form(), scene)


def test_a_forms_keys_are_dead_when_it_appears() -> None:
    async def scene(stage: Stage) -> None:
        await stage.until(lambda: stage.app.chat.panel is not None and stage.panel.has_focus_within)
        await stage.press("f10", "f9", "escape")
        assert not stage.handle.commands

    play(form({"properties": {}}), scene)


def test_an_address_is_opened_only_by_its_key_and_then_done() -> None:
    opened_urls: list[str] = []

    def browser(url: str) -> str | None:
        opened_urls.append(url)
        return None

    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees("orders wants you to open an address", "https://pay.example.com/confirm?order=1", "[o] open")
        await stage.press("y", "enter")
        assert (stage.answers, opened_urls) == ([], [])
        await stage.press("o")
        assert opened_urls == ["https://pay.example.com/confirm?order=1"]
        await stage.sees("[y] done there")
        await stage.press("y")
        assert stage.answers == [ev.Answer("accept", "q1")]

    play(address("https://pay.example.com/confirm?order=1"), scene, browse=browser)


def test_an_address_can_be_copied_as_shown_declined_and_cancelled() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("c")
        assert stage.app.clipboard == "https://pay.example.com/␣U+000Axdg-open"
        await stage.sees("[y] done there")
        await stage.press("d")
        assert stage.answers == [ev.Answer("decline", "q1")]

    play(address("https://pay.example.com/\nxdg-open", "sign_in"), scene)

    async def cancel(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("escape")
        assert stage.answers == [ev.Answer("cancel", "q1")]

    play(address("https://pay.example.com"), cancel)


def test_where_a_browser_elsewhere_ended_a_sign_in_is_pasted() -> None:
    ended = "http://127.0.0.1:4000/callback?code=c&state=s"

    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees("orders wants you to sign in", "where a browser elsewhere ended")
        stage.app.post_message(Paste("not an address"))
        await stage.sees("✗ that is no address")
        assert not stage.answers
        stage.app.post_message(Paste(f" {ended}\n"))
        await stage.until(lambda: stage.answers)
        assert stage.answers == [ev.Answer("accept", "q1", content={"address": ended})]

    play(address("https://pay.example.com", "sign_in"), scene)


def test_a_browser_that_does_not_start_is_told() -> None:
    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.press("o")
        await stage.sees("✗ no browser was found; copy the address")
        await stage.press("y")
        assert not stage.answers

    play(address("https://pay.example.com"), scene, browse=lambda url: "no browser was found; copy the address")


@pytest.mark.parametrize("url", ["https://a.example/\r\nfile:///etc/passwd", "https://a.example/\u202efdp"])
def test_an_address_that_hides_something_is_not_opened(url: str) -> None:
    assert browse(url) == "an address with controls or invisible characters is not opened"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "-v", "http://[", "ftp://x/y"])
def test_only_web_addresses_are_opened(url: str) -> None:
    assert browse(url) == "only http and https addresses are opened"
    assert "no web address" in suspicion(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://pay.example.com/x", ""),
        ("https://xn--pypal-4ve.com/", "may look like others: xn--pypal-4ve.com"),
        ("https://pаypal.com/", "may look like others: xn--pypal-4ve.com"),
        ("https://bank.example@evil.example/", "this goes to evil.example"),
        ("http://pay.example.com/", "not encrypted"),
        ("http://127.0.0.1:8080/x", ""),
    ],
)
def test_what_a_reader_might_not_see_in_an_address_is_said(url: str, words: str) -> None:
    assert words in suspicion(url)
    assert bool(suspicion(url)) == bool(words)


@pytest.mark.parametrize(
    ("rules", "given", "value"),
    [
        ({"type": "string"}, "x", "x"),
        ({"type": "string"}, "", None),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "number"}, "2", 2),
        ({"type": "integer"}, " 7 ", 7),
        ({"type": "boolean"}, False, False),
        ({"enum": [1, 2]}, 2, 2),
        ({"oneOf": [{"const": "a", "title": "A"}]}, "a", "a"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["a"], ["a"]),
        ({"type": "string", "format": "date-time"}, "2026-11-24T09:30:00Z", "2026-11-24T09:30:00Z"),
        ({"type": "string", "format": "email"}, "a@b.example", "a@b.example"),
        ({"type": "string", "format": "uri"}, "https://x", "https://x"),
    ],
)
def test_a_field_reads_what_fits(rules: dict[str, Any], given: Any, value: Any) -> None:
    (field,) = fields({"properties": {"it": rules}})
    assert read(field, given) == value


@pytest.mark.parametrize(
    ("rules", "given", "problem"),
    [
        ({"type": "string", "minLength": 3}, "ab", "at least 3 characters"),
        ({"type": "string", "format": "email"}, "ana", "an e-mail address"),
        ({"type": "string", "format": "uri"}, "here", "an address such as"),
        ({"type": "integer"}, "1.5", "a whole number"),
        ({"type": "number"}, "x", "a number"),
        ({"type": "number", "minimum": 1}, "0", "at least 1"),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 1}, ["a", "b"], "at most 1 choices"),
    ],
)
def test_a_field_says_what_it_wants(rules: dict[str, Any], given: Any, problem: str) -> None:
    (field,) = fields({"properties": {"it": rules}})
    with pytest.raises(Invalid, match=problem):
        read(field, given)


def test_a_required_field_left_empty_is_required() -> None:
    (field,) = fields({"properties": {"it": {"type": "string"}}, "required": ["it"]})
    with pytest.raises(Invalid, match="required"):
        read(field, "")
