"""A person at the panel and a program on stream-json are told the same of a call, and both just what would be sent."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from host.core import events as ev
from host.core.text import safe
from host.frontends.tui.facts import facts, sent

WIDE = 100_000
WORD = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORD
VALUE = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3))
ARGUMENTS = st.dictionaries(WORD, VALUE, max_size=4)
LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\t"), min_size=1, max_size=30)
FLOW = st.fixed_dictionaries(
    {"tool": LINE, "server": LINE, "trust": st.sampled_from(["private", "untrusted"]), "arguments": st.lists(LINE)}
)
ASKED = st.builds(
    ev.Asked,
    request_id=st.just("q1"),
    about=st.just("approval"),
    server=LINE,
    arguments=ARGUMENTS,
    effect=st.sampled_from(["read", "write", "destructive"]),
    open=st.booleans(),
    rules=st.lists(LINE, max_size=2).map(tuple),
    reason=LINE,
    sandbox=LINE,
    says=LINE,
    flows=st.lists(FLOW, max_size=2).map(tuple),
    unchecked=st.lists(LINE, max_size=2).map(tuple),
)
SAID = {"read": "reads", "write": "writes", "destructive": "may destroy", True: "can carry data out", False: "inside"}


def shown(value: Any) -> str:
    """A value as the panel writes it."""
    if isinstance(value, str):
        return f'"{value}"'
    return json.dumps(value, ensure_ascii=False)


@settings(deadline=None, max_examples=150)
@given(ASKED)
def test_the_panel_shows_each_fact_of_the_line_and_each_argument_whole(asked: ev.Asked) -> None:
    line = json.loads(ev.encode(asked))
    told = "\n".join(row.plain for row in facts(asked, WIDE))
    for fact in (line["server"], line["reason"], line["sandbox"], *line["rules"], *line["unchecked"], line["says"]):
        assert safe(fact) in told
    for flow in line["flows"]:
        assert safe(flow["tool"]) in told and all(safe(name) in told for name in flow["arguments"])
    assert SAID[line["effect"]] in told and SAID[line["open"]] in told
    assert line["arguments"] == asked.arguments
    rows = "\n".join(row.plain for row in sent(asked, WIDE))
    for name, value in line["arguments"].items():
        assert safe(name) in rows
        for part in safe(shown(value).expandtabs(4), keep_newlines=True).split("\n"):
            assert part.rstrip() in rows
