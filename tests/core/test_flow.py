"""An address carries nothing from one server to another unseen; what its own server or the user said it may hold."""

from __future__ import annotations

import pytest

from host.core.flow import strangers
from host.core.frame import framed
from host.core.types import Message, Text, ToolResult


def said(server, text, seq=3):
    return Message("tool", (ToolResult("c", (Text(framed(text, server, "tool x")),)),), seq)


def user(text, seq=2):
    return Message("user", (Text(text),), seq)


ELSEWHERE = [user("read kb-7 of the kb"), said("vault", "the code is 4f1c"), said("kb", "see kb://article/kb-9")]


@pytest.mark.parametrize(
    ("uri", "strange"),
    [
        ("kb://article/kb-9", []),
        ("kb://article/kb-7", []),
        ("kb://article/4f1c", ["4f1c"]),
        ("kb://article/kb-9?q=%34f1c", ["4f1c", "q"]),
        ("kb://NGYxYw", ["ngyxyw"]),
    ],
)
def test_words_that_only_another_server_may_have_said_are_found(uri, strange):
    assert strangers(uri, "kb", ELSEWHERE, ()) == strange


def test_what_the_server_lists_is_its_own_word():
    assert strangers("kb://about/us", "kb", ELSEWHERE, ["kb://about/us"]) == []


def test_where_no_other_server_has_spoken_any_address_may_be_read():
    assert strangers("kb://any/thing", "kb", [user("go"), said("kb", "words")], ()) == []


def test_a_summary_is_nobodys_own_word():
    notes = [user("the code is 4f1c", seq=9), said("kb", "kb://article/kb-9", 10)]
    assert strangers("kb://article/4f1c", "kb", notes, (), 9) == ["4f1c"]
