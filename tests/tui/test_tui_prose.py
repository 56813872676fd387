"""Markdown and cards as lines: nothing hidden, nothing too wide, nothing obeyed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.core.types import Usage
from host.frontends.tui.draw import draw
from host.frontends.tui.prose import finished, prose
from host.frontends.view import CallCard, ModelBlock, NoticeBlock, TurnBlock, UserBlock

TEXT = """# Title

A **bold** word, `code`, and [a link](https://x.example/y).

1. one
2. two
   - inner

> quoted

| a | b |
|---|---|
| 1 | 2 |

```python
if x:
\treturn
```
"""


def plain(text: str, width: int = 60) -> list[str]:
    return [line.plain.rstrip() for line in prose(text, width)]


def test_markdown_as_lines() -> None:
    assert plain(TEXT) == [
        "Title",
        "",
        "A bold word, code, and a link (https://x.example/y).",
        "",
        "1. one",
        "2. two",
        "   • inner",
        "",
        "▏ quoted",
        "",
        "a  b",
        "─  ─",
        "1  2",
        "",
        "│ if x:",
        "│     return",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>x</b> <!-- y -->", "<b>x</b> <!-- y -->"),
        ("<div onclick=z>\n", "<div onclick=z>"),
        ("![alt](https://e.example/p.png)", "[image: alt] (https://e.example/p.png)"),
        ("[https://good.example](https://evil.example)", "https://good.example (https://evil.example)"),
        ("<https://x.example>", "https://x.example"),
        ("a&#x202e;b", "a␣U+202Eb"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("\x1b[31mred", "␣U+001B[31mred"),
    ],
)
def test_nothing_is_hidden_or_obeyed(text: str, shown: str) -> None:
    assert plain(text) == [shown]


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet=st.sampled_from(list("ab *_`#|-[](){}<>!\n\t1.&;~\\界\u202e\x1b")), max_size=120),
    st.integers(8, 60),
)
def test_no_line_is_wider_than_asked_and_no_control_survives(text: str, width: int) -> None:
    for line in prose(text, width):
        assert "\x1b" not in line.plain
        assert "\u202e" not in line.plain
        assert "\n" not in line.plain


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["word", "", "- item", "```", "    deep", "> q", "# h", "1. n", "| a |"]), max_size=12))
def test_what_counts_as_finished_looks_the_same_in_the_whole(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    cut = finished(text)
    head, tail = text[:cut], text[cut:]
    apart = [*plain(head), *([""] if plain(head) and plain(tail) else []), *plain(tail)]
    assert apart == plain(text)


def test_text_streams_block_by_block() -> None:
    assert finished("one\n\ntwo") == len("one\n\n")
    assert finished("one\n\n- two\n\n  more\n\n- three") == 0
    assert finished("```\na\n\nb\n") == 0
    assert finished("one") == 0


def card(**more: object) -> CallCard:
    values: dict[str, object] = {"stage": "ok", "arguments": {"id": 1}, "note": "auto: reads only"}
    return CallCard("c", "crm", "get", **(values | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [66, 92, 104])
@pytest.mark.parametrize(
    "block",
    [
        card(milliseconds=61_000, size=2_000_000),
        card(arguments={"long" * 9: "x" * 300}),
        card(stage="running", fraction=0.5, message="m" * 200),
        card(stage="waiting"),
        card(stage="error", result="r" * 300),
        CallCard("c", "s" * 24, "n" * 60, "proposed", {}),
    ],
)
def test_a_card_is_one_line_at_every_width(block: CallCard, width: int) -> None:
    (line,) = draw(block, width)
    assert line.cell_length <= width


def test_no_argument_is_cut_when_a_card_is_open() -> None:
    value = "word " * 200
    shown = "".join(line.plain for line in draw(card(arguments={"text": value, "n": [1, {"a": None}]}), 80, 1)[1:])
    assert shown.count("word") == 200
    assert '[1, {"a": null}]' in shown


def test_an_edited_call_shows_what_the_model_wanted_too() -> None:
    block = card(edited=True, wished={"id": 1}, arguments={"id": 2}, note="you: edited")
    lines = [line.plain.strip(" │") for line in draw(block, 80, 1)[1:]]
    assert lines == ["arguments  id  2", "the model  id  1", "decision   you: edited"]


def test_speakers_and_ends() -> None:
    assert draw(UserBlock("hi"), 60)[0].plain == " ▸ you      hi"
    assert draw(ModelBlock("ho", streaming=True), 60)[0].plain == " ● agent    ho▌"
    assert draw(ModelBlock("ho", stop="interrupted"), 60)[-1].plain.strip() == "… cut off by you"
    assert draw(NoticeBlock("x", "error"), 60)[0].plain == " ✗ error    x"
    done = TurnBlock("done", Usage(31_204, 212, usd=0.043), None, 4.2, 3)
    assert draw(done, 80)[0].plain.strip() == "3 calls · 4.2 s · 31.2k → 212 tokens · $0.043"
    assert (
        draw(TurnBlock("limit", Usage(), "limits.usd = 1 was reached"), 60)[0].plain
        == " ⚠ limit    limits.usd = 1 was reached"
    )
