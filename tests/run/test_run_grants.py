"""Grants through the program: given over stream-json, kept in a file, bound to server, tool, definition, arguments
and folder, listed and taken back."""

import json
import os

from playing import call, playing, turns

WRITES = 'tools.note = { effect = "write", open = false }\ntools.add = { effect = "write", open = false }\n'


def ran(home, *calls, **more):
    """What became of these calls where nobody can answer."""
    found = home.json(turns(list(calls), "end"), **more)
    return [each["outcome"] for each in found["calls"]]


def grants(home, *arguments):
    return json.loads(home.run("policy", "grants", "--json", *arguments).stdout)


def explained(home, tool, arguments, *more):
    found = json.loads(home.run("policy", "explain", tool, "--args", arguments, "--json", *more).stdout)
    return found["verdict"], found["grant"]


def test_grants_for_a_session_a_project_and_for_me(tmp_path):
    with playing(tmp_path / "one") as home:
        home.write(home.server(more=WRITES))
        with home.talk() as talk:
            talk.say([call("s__note", "a", text="a"), call("s__add", "b", n=3), call("s__crash", "c")], "1")
            asked = {
                line["call_id"]: line["request_id"]
                for line in (talk.until("asked"), talk.until("asked"), talk.until("asked"))
            }
            for wrong in ({"for": "ever", "arguments": "exact"}, {"for": "me", "arguments": {"n": {"max": 2}}}):
                talk.send(kind="answer", request_id=asked["b"], action="accept", remember=wrong)
                talk.until("rejected")
            wide = {"for": "project", "arguments": "exact"}
            talk.send(kind="answer", request_id=asked["c"], action="accept", remember=wide)
            assert "may destroy" in talk.until("rejected")["reason"]
            talk.send(kind="answer", request_id=asked["c"], action="decline")
            talk.send(kind="answer", request_id=asked["a"], action="accept", remember=wide)
            some = {"for": "me", "arguments": {"n": {"max": 5}}}
            talk.send(kind="answer", request_id=asked["b"], action="accept", remember=some)
            talk.until("turn_ended")
            talk.say([call("s__note", text="a"), call("s__add", n=5)], "2")
            talk.until("turn_ended")
            assert talk.end() == 0
        used = {line["grant"] for line in talk.of("call_decided") if "grant" in line}
        kept = {grant["id"]: grant for grant in grants(home)}
        assert used == kept.keys()
        assert {(g["tool"], g["scope"], g.get("project")) for g in kept.values()} == {
            ("note", "project", os.path.realpath(home.folder)), ("add", "me", None),
        }  # fmt: skip
        (project,) = [grant for grant in kept.values() if grant["scope"] == "project"]
        told = home.run("policy", "explain", "s.note", "--args", '{"text": "a"}').stdout
        for line in ("s.note: allow", f"grant     {project['id']}  s.note", f"kept in   {home.state}/grants.json",
                     f"take back agent-host policy grants --revoke {project['id']}"):  # fmt: skip
            assert line in told
        assert explained(home, "s.note", '{"text": "b"}') == ("ask", None)
        others = (call("s__note", text="b"), call("s__add", n=6))
        assert ran(home, call("s__note", text="a"), call("s__add", n=-1), *others) == ["ok", "ok"] + ["declined"] * 2

        elsewhere = tmp_path / "two"
        elsewhere.mkdir()
        home.folder = elsewhere
        assert ran(home, call("s__note", text="a"), call("s__add", n=1)) == ["declined", "ok"]
        home.write(home.server(more=WRITES).replace('"]\nenv', '", "other"]\nenv'))
        assert ran(home, call("s__add", n=1)) == ["declined"], "another program under the same name"
        home.write(home.server(more=WRITES))

        (id,) = [id for id, grant in kept.items() if grant["scope"] == "me"]
        assert [grant["scope"] for grant in grants(home, "--revoke", id)] == ["project"]
        assert ran(home, call("s__add", n=1)) == ["declined"]


def test_a_session_grant_is_taken_back_and_a_file_of_grants_that_others_may_write_holds_nothing(tmp_path):
    with playing(tmp_path) as home:
        home.write(home.server(more=WRITES))
        home.state.mkdir()
        (home.state / "grants.json").write_text("[]")
        (home.state / "grants.json").chmod(0o666)
        with home.talk() as talk:
            talk.say([call("s__note", text="a")], "1")
            first = talk.until("asked")
            exact = {"for": "session", "arguments": "exact"}
            talk.send(kind="answer", request_id=first["request_id"], action="accept", remember=exact)
            talk.until("turn_ended")
            talk.say([call("s__note", text="a")], "2")
            granted = talk.until("call_decided")
            talk.until("turn_ended")
            session = talk.lines[0]["session"]
            verdict, grant = explained(home, "s.note", '{"text": "a"}', "--resume", session)
            assert (verdict, grant["id"], grant["kept"]) == ("allow", granted["grant"], f"session {session}")
            assert explained(home, "s.note", '{"text": "a"}') == ("ask", None)
            talk.send(kind="change", revoke="g0")
            assert "no grant" in talk.until("rejected")["reason"]
            talk.send(kind="change", revoke=granted["grant"])
            talk.until("settings_changed")
            talk.say([call("s__note", text="a")], "3")
            assert talk.until("asked")["reason"] == first["reason"]
            assert talk.end() == 0
        assert any("others may write" in line["reason"] for line in talk.of("rejected"))
