"""Nothing that steers a terminal or hides from the eye gets through; no known secret stays."""

import json
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from host.core.events import dumps
from host.core.text import Secrets, Veil, safe, safe_json

NASTY = "\x00\x07\x08\t\n\r\x1b\x7f\x80\x85\x9b\x9d\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029"
NASTY += "\u202a\u202e\u2060\u2066\u2069\ufe00\ufe0e\ufe0f\ufeff\ufff9\ud800\udfff\ue000\U000e0001\U000e0041\U000e0100"
ANY = st.text(st.characters() | st.sampled_from(NASTY))
FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@given(text=ANY, limit=st.none() | st.integers(1, 30), keep=st.booleans())
def test_no_control_bidi_zero_width_or_tag_character_gets_through(text, limit, keep):
    shown = safe(text, limit, keep)
    assert {c for c in shown if unicodedata.category(c) in FORBIDDEN} <= ({"\n"} if keep else set())
    assert not any(0xE0000 <= ord(c) <= 0xE0FFF or 0xFE00 <= ord(c) <= 0xFE0D for c in shown)
    assert "\ufe0f\ufe0f" not in shown
    assert limit is None or len(shown) <= limit
    shown.encode()


@given(text=ANY, limit=st.none() | st.integers(1, 30), keep=st.booleans())
def test_what_was_made_safe_stays_as_it_is(text, limit, keep):
    shown = safe(text, limit, keep)
    assert safe(shown, limit, keep) == safe(shown, None, keep) == shown
    line = safe_json(json.dumps(text, ensure_ascii=False))
    assert safe(line) == safe_json(line) == line


@given(text=st.text(st.sampled_from("aZ9 äß語😀~`<[{\u00a0\u3000")))
def test_plain_words_of_any_language_stay_as_they_are(text):
    assert safe(text) == text == safe(text, len(text) or 1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "␣U+001B[31mred␣U+001B[0m"),
        ("invoice\u202efdp.exe", "invoice␣U+202Efdp.exe"),
        ("a\u200bb", "a␣U+200Bb"),
        ("hi\U000e0049", "hi␣U+E0049"),
        ("a\r\nb\nc\rd", "a␣U+000D␣U+000Ab␣U+000Ac␣U+000Dd"),
        ("love ❤\ufe0f", "love ❤\ufe0f"),
        ("x\ufe0f\ufe0e\ufe0f", "x\ufe0f␣U+FE0E␣U+FE0F"),
        ("lone \ud83d", "lone ␣U+D83D"),
    ],
)
def test_what_is_hidden_is_shown_by_number(text, shown):
    assert safe(text) == shown


def test_lines_are_kept_on_request_and_long_texts_end_in_an_ellipsis():
    assert safe("a\r\n\tb\nc\rd", keep_newlines=True) == "a\n    b\nc␣U+000Dd"
    assert safe("abcdef", 6) == "abcdef"
    assert safe("abcdefg", 6) == "abcde…"
    assert safe("\x00" * 10**6, 12) == "␣U+0000␣U+0…"


SECRET = st.text(min_size=6, max_size=20).filter(lambda value: not any(value in m for m in MARKS))
MARKS = ("⟦secret:A⟧", "⟦secret:B⟧", '{"deep": "before ', ' after"}')
PIECES = st.lists(st.text(max_size=8), min_size=1, max_size=4)


@given(first=SECRET, second=SECRET, pieces=PIECES, data=st.data())
def test_every_occurrence_of_a_known_value_is_replaced(first, second, pieces, data):
    text = "".join(piece + data.draw(st.sampled_from([first, second, ""])) for piece in pieces)
    cleaned = Secrets({"A": first, "B": second}).clean(text)
    left = cleaned.replace("⟦secret:A⟧", "\0").replace("⟦secret:B⟧", "\0")
    assume("\0" not in first + second)
    assert first not in left
    assert second not in left
    assert (cleaned == text) == (first not in text and second not in text)


@given(
    secret=SECRET,
    other=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ),
    ascii_only=st.booleans(),
    nested=st.booleans(),
)
def test_a_value_is_found_in_json_however_it_is_escaped_and_the_json_stays_json(secret, other, ascii_only, nested):
    forms = (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    texts = (json.dumps(other), json.dumps(other, ensure_ascii=False))
    assume(not any(form in text for form in forms for text in texts))
    secrets = Secrets({"A": secret})
    text = f"before {secret} after"
    if nested:
        text = json.dumps({"deep": text}, ensure_ascii=ascii_only)
    body = json.dumps({"text": text, secret: [secret], "other": other}, ensure_ascii=ascii_only).encode()
    cleaned = json.loads(secrets.clean_bytes(body))
    assert cleaned["⟦secret:A⟧"] == ["⟦secret:A⟧"]
    assert cleaned["other"] == other
    inner = json.loads(cleaned["text"])["deep"] if nested else cleaned["text"]
    assert inner == "before ⟦secret:A⟧ after"


@given(value=st.recursive(st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_without_a_secret_the_very_same_object_comes_back(value):
    body = dumps(value)
    assert Secrets({"A": "sk-not-in-there", "short": "abc"}).clean_bytes(body) is body


def test_the_longest_value_wins_and_short_ones_are_not_looked_for():
    secrets = Secrets({"SHORT": "abc", "TOKEN": "abcdef", "LONG": "abcdefgh", "TAIL": "xabcde"})
    assert secrets.clean("abc abcdef xabcdefgh") == "abc ⟦secret:TOKEN⟧ x⟦secret:LONG⟧"
    assert Secrets({"A": "secret", "B": "hidden-value"}).clean("hidden-value") == "⟦secret:B⟧"


def test_numbers_and_structure_are_left_alone():
    secrets = Secrets({"PIN": "123456", "N": "nabcdef"})
    body = b'{"milliseconds":1234567,"text":"\\nabcdef","pin":"123456"}'
    assert secrets.clean_bytes(body) == '{"milliseconds":1234567,"text":"\\nabcdef","pin":"⟦secret:PIN⟧"}'.encode()


KNOWN = {"A": "abcabd", "B": "abdxyz", "LONG": "abcabdef", "Q": 'q"\\qqq'}


@given(st.lists(st.text('abcdefxyzq"\\ ', max_size=9) | st.sampled_from([*KNOWN.values(), "abc", "abd"])))
def test_a_secret_that_comes_in_pieces_is_never_passed_on(pieces):
    veil, shown = Veil(Secrets(KNOWN)), ""
    for piece in pieces:
        offset, value = veil.take(piece)
        assert offset == len(shown)
        shown += value
        assert not [value for value in KNOWN.values() if value in shown]
    text = "".join(pieces)
    if Secrets(KNOWN).clean(text) == text:
        assert text.startswith(shown)
        assert len(text) - len(shown) < max(map(len, KNOWN.values()))
        assert veil.take("|") == (len(shown), text[len(shown) :] + "|"), "what is no secret after all is passed on"


def test_without_secrets_nothing_is_held_back():
    assert Veil(Secrets({})).take("any") == (0, "any")


@given(value=st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(ANY, inner), max_leaves=5))
def test_json_with_escapes_says_the_same_and_steers_nothing(value):
    plain = safe_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(plain) == json.loads(json.dumps(value))
    assert safe(plain, keep_newlines=True) == plain
