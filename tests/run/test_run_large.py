"""Large results and long conversations through the program: nothing is lost, little is sent."""

import json

from model_server import Fault, Say
from playing import ROOT, call, outputs, playing, plays, turns, words

LEAN = ROOT / "tests" / "servers" / "programs" / "lean.py"
ROWS = {"rows": [{"id": n, "name": "é", "sum": None} for n in range(20_000)], "sum": 7}
FACT = """
[mcp_servers.lean]
command = "python"
args = ["%s", "modern"]
tools.rows = { effect = "read", open = false }
[profiles.default]
servers = ["lean"]
[profiles.default.facts.total]
from = { server = "lean", tool = "rows", path = "$.sum" }
"""


def asked(home, number=-1):
    """What the model was given for each call of a request, in their order."""
    return [words(output) for output in outputs(home.model.requests[number]).values()]


def test_a_large_result_is_stored_whole_shown_short_and_read_on(tmp_path):
    with playing(tmp_path, FACT % LEAN) as home, home.talk() as talk:
        talk.say([call("lean__rows", count=20_000, more={"sum": 7})], "done")
        line = talk.until("call_finished")
        assert line["structured"] == ROWS
        assert line["content"] == []
        assert "outline" not in line
        assert talk.until("settings_changed")["changes"] == {"facts": {"total": 7}}
        talk.until("turn_ended")
        whole = json.dumps(ROWS, ensure_ascii=False)
        (shown,) = asked(home)
        assert whole[:24_000] in shown
        assert len(shown) < 33_000
        assert "JSON {rows: [20000 × {id: number, name: string, sum: null}], sum: number}" in shown
        handle = f"r{line['seq']}.0"
        assert f'host__read_result(handle="{handle}"' in shown
        talk.say([call("host__read_result", handle=handle, grep='"id": 19999,')], "done")
        talk.until("turn_ended")
        offset = int(asked(home)[-1].partition(": ")[0])
        assert '"id": 19999,' in whole[offset : offset + 200]
        talk.say([call("host__read_result", handle=handle, offset=offset, limit=200)], "done")
        talk.until("turn_ended")
        assert asked(home)[-1].startswith(whole[offset : offset + 200])
        assert talk.end() == 0
        session = line["session"]
        before = home.model.requests[-1]["input"]
        assert home.run("run", "--resume", session, turns("again")).returncode == 0
        assert home.model.requests[-1]["input"][: len(before)] == before
        assert next(e for e in home.events(session) if e["kind"] == "call_finished")["structured"] == ROWS


def test_the_conversation_is_summarised_by_hand_and_when_it_overflows(tmp_path):
    def decide(body):
        if "You keep the notes" in body.get("instructions", ""):
            return [Say("it was about jugs")]
        return plays(body)

    with playing(tmp_path, decide=decide) as home, home.talk() as talk:
        for number in range(3):
            talk.say([call("s__look", number=number)], f"answer {number}")
            talk.until("turn_ended")
        talk.send(kind="compact")
        compacted = talk.until("compacted")
        assert "it was about jugs" in compacted["summary"]
        talk.say("next")
        talk.until("turn_ended")
        first, *rest = home.model.requests[-1]["input"]
        assert "it was about jugs" in first["content"][0]["text"]
        assert "answer 0" not in json.dumps(rest)
        assert "answer 2" in json.dumps(rest)
        overflow = b'{"error":{"message":"too many tokens","code":"context_length_exceeded"}}'
        home.model.faults.append(Fault(status=400, body=overflow))
        talk.say("and on")
        talk.until("compacted")
        assert talk.until("turn_ended")["reason"] == "done"
        session = compacted["session"]
        before = home.model.requests[-1]["input"]
        assert talk.end() == 0
        assert home.run("run", "--resume", session, turns("again")).returncode == 0
        assert home.model.requests[-1]["input"][: len(before)] == before


def test_compacting_what_is_short_is_refused_in_words_and_the_process_goes_on(tmp_path):
    with playing(tmp_path) as home, home.talk() as talk:
        talk.send(kind="compact")
        refused = talk.until("rejected")
        assert (refused["command"], refused["reason"][:20]) == ("compact", "there is nothing to ")
        talk.say("hello")
        talk.until("turn_ended")
        assert talk.end() == 0
