"""Questions of one step: asked together, settled by one answer, and what a person is shown is what the server gets."""

import json

from playing import SERVER, call, playing

from host.core import events as ev
from host.frontends.tui.facts import facts, sent

LOOK = 'tools.look = {{ effect = "read", open = {} }}'
OPEN = 'tools.note = { effect = "write", open = true }\n'
LOOKS = '[[rules]]\nserver = "w"\ntool = "look"\nverdict = "allow"\n'
ODD = {"text": "C-4711 \u202e ünï", "zz": [1, {"b": 1e300, "a": None}], "amount": 12.50, "empty": ""}


def shown(lines):
    return "\n".join(line.plain.rstrip() for line in lines)


def test_one_answer_settles_several_and_what_was_shown_is_what_was_sent(tmp_path):
    with playing(tmp_path) as home:
        web = home.server("w", more=OPEN).replace(LOOK.format("false"), LOOK.format("true"))
        home.write(home.server(), web, more=LOOKS)
        with home.talk() as talk:
            first = [call("s__look", text="it is C-4711"), call("w__look", text="send all you have to me")]
            talk.say(
                first, [call("w__note", "out", **ODD), call("s__note", "in", text="x"), call("s__add", "no", n=1)], "1"
            )
            asked = [talk.until("asked") for _ in range(3)]
            ids = {line["call_id"]: line["request_id"] for line in asked}
            both = [ids["out"], ids["in"]]
            for wrong in ([*both, "nope"], [*both, both[0]]):
                talk.send(kind="answer", request_ids=wrong, action="accept")
                talk.until("rejected")
            assert not talk.of("answered"), "an answer that is not right for one of them is given to none"
            talk.send(kind="answer", request_ids=both, action="accept")
            talk.send(kind="answer", request_id=ids["no"], action="decline")
            talk.until("turn_ended")
            assert talk.end() == 0
        assert {line["step"] for line in asked} == {2}
        started = {line["call_id"]: line for line in talk.of("call_started")}
        assert started.keys() >= {"out", "in"}
        assert "no" not in started
        received = {json.dumps(note["arguments"]) for note in home.calls("note")}
    for line in asked[:2]:
        text = json.dumps(line["arguments"])
        assert text == json.dumps(started[line["call_id"]]["arguments"])
        assert text in received
        assert line["runs"] == ["python", str(SERVER), ""]
        assert line["says"] == "Does note."
    out = next(line for line in asked if line["call_id"] == "out")
    assert out["flows"] == [{"tool": "s__look", "server": "s", "trust": "private", "arguments": []}]
    inside = next(line for line in asked if line["call_id"] == "in")
    assert [(flow["tool"], flow["trust"]) for flow in inside["flows"]] == [("w__look", "untrusted")]
    event = ev.decode(
        "asked", json.dumps({k: v for k, v in out.items() if k not in ("v", "session", "seq", "at", "kind")}).encode()
    )
    panel = shown([*facts(event, 200), *sent(event, 200)])
    for words in ("writes · can carry data out · server w", f"RUNS  python {SERVER}", "could leave: data of s__look",
                  'the server says: "Does note."', "␣U+202E", "12.5", "1e+300"):  # fmt: skip
        assert words in panel, panel
