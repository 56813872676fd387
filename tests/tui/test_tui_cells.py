"""Whatever is drawn comes out of `cells`; what is typed, pasted or completed into a field cannot steer either."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import Paste
from tui_fake import FakeDoor, calls, decided, opened, started, user
from tui_stage import Stage, play

from host.core import events as ev
from host.core.text import safe, safe_in_place
from host.frontends.tui import cells

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
EVIL = "[b]x[/] \x1b]0;OWNED\x07\x9b31m\u202efdp\u200b\U000e0041"
ANY = st.text(st.characters() | st.sampled_from(EVIL + "\r\n\t[]\ufe0f"))


@given(text=ANY, style=st.sampled_from(["", "bold"]), limit=st.none() | st.integers(1, 20))
def test_no_line_holds_more_than_text(text: str, style: str, limit: int | None) -> None:
    assert cells.styled(text, style, limit).plain == safe(text, limit)
    assert cells.joined(text, (text, style), cells.styled(text)).plain == safe(text) * 3
    assert all(not hidden(line.plain) for line in cells.paragraphs(text, style))


def test_a_line_has_no_other_maker() -> None:
    for make in (cells.Line, cells.Drawing):
        with pytest.raises(TypeError):
            make("text")


def test_a_field_shows_what_is_hidden_and_keeps_it() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        stage.app.post_message(Paste(f"say {EVIL} end"))
        await stage.sees("say [b]x[/] ␣]0;OWNED␣␣31m␣fdp␣␣ end")
        assert not hidden(stage.text())
        assert stage.prompt == f"say {EVIL} end"

    play(FakeDoor(), scene)


def test_a_default_of_a_form_is_sent_as_it_came_and_shown_safe() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string", "default": "a\u202eb\x1b[2Jc"}}}
    arguments = {"id": 1}
    asked = ev.Asked("q1", "form", "orders", "c1", message="Which?", schema=schema)
    call = [decided("c1", "orders__book", arguments), started("c1", "orders__book", arguments)]
    items = [opened(), user("book"), calls("", ("c1", "orders__book", arguments)), *call, asked]

    async def scene(stage: Stage) -> None:
        await stage.reviewing()
        await stage.sees("a␣b␣[2Jc")
        assert not hidden(stage.text())
        await stage.press("f10")
        await stage.until(lambda: stage.answers)
        assert stage.answers[0].content == {"name": "a\u202eb\x1b[2Jc"}

    play(FakeDoor(items), scene)


def test_a_notice_is_neither_markup_nor_a_way_out() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        stage.app.screen.notify(EVIL)
        await stage.sees("[b]x[/]", "␣U+202E")
        assert not hidden(stage.text())

    play(FakeDoor(), scene)


@given(ANY)
def test_a_field_has_a_cell_for_each_character(text: str) -> None:
    shown = safe_in_place(text)
    assert len(shown) == len(text)
    assert not hidden(shown.replace("\t", ""))


def hidden(text: str) -> set[str]:
    return {c for c in text if c != "\n" and unicodedata.category(c) in HIDDEN}
