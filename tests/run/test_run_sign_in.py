"""A server that wants to be signed in at, inside a session: one question, answered or declined."""

import sys
from pathlib import Path

import httpx2
from playing import call, outputs, playing, words

sys.path.append(str(Path(__file__).parent.parent / "servers"))

from issuer import issuing
from web import web


def entry(server):
    return f'[mcp_servers.lean]\nurl = "{server.url}"\ntools.add = {{ effect = "read", open = false }}\n'


def test_a_question_in_the_stream_is_answered_by_the_browser_or_by_pasting_and_may_be_declined(tmp_path):
    add = call("lean__add", "one", a=1, b=2)
    with issuing() as issuer, web("modern", issuer=issuer) as server, playing(tmp_path, entry(server)) as home:
        with home.talk() as talk:
            asked = talk.until("asked")
            assert (asked["about"], asked["server"], asked["seq"]) == ("sign_in", "lean", 2)
            assert asked["message"] == "sign in at 127.0.0.1 for jugs"
            talk.say([add], "done")
            httpx2.get(asked["url"], follow_redirects=True, trust_env=False)
            answered = talk.until("answered", request_id=asked["request_id"])
            assert (answered["action"], answered["by"]) == ("accept", "host")
            assert talk.until("call_finished")["outcome"] == "ok"
            talk.until("turn_ended")

            issuer.valid.clear()
            issuer.refresh = "taken back"
            talk.say([call("lean__add", "two", a=1, b=2)], "done")
            asked = talk.until("asked", about="sign_in")
            ended = httpx2.get(asked["url"], trust_env=False).headers["location"]
            talk.send(kind="answer", request_id=asked["request_id"], action="accept", content={"address": ended})
            assert talk.until("call_finished")["outcome"] == "ok"
            talk.until("turn_ended")

            issuer.valid.clear()
            issuer.refresh = "taken back"
            talk.say([call("lean__add", "three", a=1, b=2), call("lean__add", "four", a=1, b=2)], "done")
            asked = talk.until("asked", about="sign_in")
            talk.send(kind="answer", request_id=asked["request_id"], action="decline")
            talk.until("turn_ended")
            talk.say("speak of access-1")
            talk.until("turn_ended")
            assert talk.end() == 0
        assert "speak of ⟦secret:lean.token⟧" in talk.of("user_said")[-1]["parts"][0]["text"]
        assert [line["outcome"] for line in talk.of("call_finished")] == ["ok", "ok", "error", "error"]
        assert len(talk.of("asked")) == 3
        told = words(outputs(home.model.requests[-1])["three"])
        assert "agent-host mcp login lean" in told
        assert not [line for line in talk.lines if "access-" in str(line)]


def test_where_nobody_is_the_question_is_declined_with_the_remedy_and_nobody_is_introduced(tmp_path):
    with issuing() as issuer, web("modern", issuer=issuer) as server, playing(tmp_path, entry(server)) as home:
        done = home.run("run", "--output-format", "stream-json", '[{"text": "done"}]')
        assert done.returncode == 0
        (asked,) = [line for line in done.stdout.splitlines() if '"kind":"asked"' in line]
        (answered,) = [line for line in done.stdout.splitlines() if '"kind":"answered"' in line]
        assert '"about":"sign_in"' in asked and '"url"' not in asked
        assert '"action":"decline"' in answered and "agent-host mcp login lean" in answered
        assert issuer.asked == []
