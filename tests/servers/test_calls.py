"""Calls over real processes: what a tool gets, what comes back, in both eras."""

import json
from pathlib import Path

import anyio
import pytest
from serving import call, lean, ledger, run, serving, words

from host.core.errors import HostError
from host.core.settings import ServerConfig, ToolSettings
from host.core.source import Round
from host.core.types import CallResult, InputRequired

ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])
STATE = 'opaque "state"\u00e9 \\ \u2028 {"a":1}  '


@ERAS
def test_a_tool_is_listed_called_and_answers_with_structure(era):
    async def main():
        config = lean(era, tools={"add": ToolSettings("read", False)})
        async with serving(config) as servers:
            await servers.settled()
            spec = servers.spec("lean__add")
            assert (spec.server, spec.remote_name, spec.description) == ("lean", "add", "Does add.")
            assert (spec.effect, spec.open, spec.confirmed) == ("read", False, True)
            assert servers.spec("lean__env").confirmed is False
            result = await call(servers, "lean__add", {"a": 2, "b": 3})
            assert result == CallResult("ok", ({"type": "text", "text": "5"},), {"sum": 5}, checked=True)
            status = servers.statuses["lean"]
            assert status.protocol == ("2026-07-28" if era == "modern" else "2025-11-25")
            assert status.tools == len(servers.tools())

    run(main)


def test_a_server_on_the_sdk_is_listed_called_and_asks_between_rounds():
    here = Path(__file__).parent / "programs" / "on_sdk.py"
    config = ServerConfig("sdk", "python", (str(here),), startup_timeout=60, sandbox="off")

    async def main():
        async with serving(config) as servers:
            await servers.settled()
            assert servers.statuses["sdk"].protocol == "2026-07-28"
            result = await call(servers, "sdk__weather", {"city": "Oslo"})
            assert result.structured == {"city": "Oslo", "degrees": 21.5}
            moves = []
            await call(servers, "sdk__count", {"steps": 3}, progress=lambda *move: moves.append(move))
            assert (3.0, 3.0, None) in moves
            asked = await call(servers, "sdk__paint", {"wall": "north"})
            assert isinstance(asked, InputRequired)
            (key,) = asked.requests
            assert asked.requests[key]["params"]["message"] == "Which colour?"
            answers = {key: {"action": "accept", "content": {"colour": "red"}}}
            done = await call(servers, "sdk__paint", {"wall": "north"}, Round(2, "key", answers, asked.state))
            assert words(done) == "north is red"
            assert (await servers.read_resource("sdk", "note://a"))[0]["text"] == "the note a"

    run(main, 90)


def test_a_round_that_needs_input_keeps_the_state_byte_for_byte():
    async def main():
        async with serving(lean("modern")) as servers:
            await servers.settled()
            asked = await call(servers, "lean__ask")
            assert asked.state == STATE
            assert asked.requests["k"]["method"] == "elicitation/create"
            answers = {"k": {"action": "accept", "content": {"which": "left", "none": None}}}
            done = await call(servers, "lean__ask", round=Round(2, "key", answers, asked.state))
            assert json.loads(words(done)) == answers
            refused = await call(servers, "lean__ask", round=Round(2, "key", answers, "other"))
            assert (refused.outcome, refused.cause, words(refused)) == ("error", None, "that is not the state I gave")

    run(main)


def test_a_server_of_the_handshake_era_asks_in_the_middle_of_a_call():
    async def main():
        async with serving(lean("legacy")) as servers:
            await servers.settled()
            asked = []

            async def answer(request):
                asked.append(request)
                return {"action": "accept", "content": {"which": "left"}}

            async def decline(request):
                return {"action": "decline"}

            done = await call(servers, "lean__ask", ask=answer)
            assert json.loads(words(done)) == {"action": "accept", "content": {"which": "left"}}
            assert asked[0]["method"] == "elicitation/create"
            assert asked[0]["params"]["message"] == "Which?"
            assert asked[0]["params"]["requestedSchema"]["properties"] == {"which": {"type": "string"}}
            assert json.loads(words(await call(servers, "lean__ask", ask=decline))) == {"action": "decline"}
            await call(servers, "lean__ask", {"url": "https://example.org/a?b"}, ask=answer)
            assert (asked[1]["params"]["mode"], asked[1]["params"]["url"]) == ("url", "https://example.org/a?b")

    run(main)


def test_a_question_that_fits_several_calls_is_cancelled():
    async def main():
        async with serving(lean("legacy", parallel=True, tool_timeout=5)) as servers:
            await servers.settled()
            with anyio.CancelScope() as hanging:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(call, servers, "lean__hang")
                    await anyio.lowlevel.checkpoint()
                    done = await call(servers, "lean__ask")
                    hanging.cancel()
            assert json.loads(words(done)) == {"action": "cancel"}

    run(main)


def test_a_person_may_take_longer_than_the_timeout():
    async def main():
        async with serving(lean("legacy", tool_timeout=0.5)) as servers:
            await servers.settled()

            async def slowly(request):
                await anyio.sleep(1.2)
                return {"action": "accept", "content": {"which": "late"}}

            done = await call(servers, "lean__ask", ask=slowly)
            assert json.loads(words(done))["content"] == {"which": "late"}

    run(main)


@ERAS
def test_arguments_and_results_pass_unchanged(era):
    arguments = {"none": None, "deep": {"n": None, "l": [None, 1.5, True]}, "text": 'é\u2028\n\t"', "big": 2**60}

    async def main():
        async with serving(lean(era)) as servers:
            await servers.settled()
            assert (await call(servers, "lean__echo", arguments)).structured == arguments
            raw = await call(servers, "lean__raw")
            assert raw.content == ({"type": "text", "text": "t", "_meta": {"n": None}},)
            assert raw.structured == {"n": None}
            meta = json.loads(words(await call(servers, "lean__meta", round=Round(1, "session:7"))))
            assert meta["io.agent-host/idempotency-key"] == "session:7"
            surrogate = await call(servers, "lean__echo", {"a": "\ud800"})
            assert surrogate.cause == "bad_result"
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"

    run(main)


def test_sixteen_calls_are_in_flight_at_once():
    async def main():
        async with serving(lean("modern", parallel=True)) as servers:
            await servers.settled()
            sums = {}

            async def one(n):
                sums[n] = (await call(servers, "lean__add", {"a": n, "b": n})).structured["sum"]

            async with anyio.create_task_group() as tasks:
                for n in range(16):
                    tasks.start_soon(one, n)
            assert sums == {n: 2 * n for n in range(16)}

    run(main)


def test_a_megabyte_on_one_line_arrives_whole():
    async def main():
        async with serving(lean("modern")) as servers:
            await servers.settled()
            large = (await call(servers, "lean__big", {"size": 1_000_000})).large
            (block,) = json.loads(large.json)["content"]
            assert block == {"type": "text", "text": "x" * 1_000_000 + "end"}

    run(main)


@ERAS
def test_what_a_server_says_of_a_failure_is_the_result(era):
    async def main():
        async with serving(lean(era)) as servers:
            await servers.settled()
            failed = await call(servers, "lean__fail")
            assert failed == CallResult("error", ({"type": "text", "text": "no such thing"},), is_error=True)
            error = await call(servers, "lean__error")
            assert (error.outcome, error.is_error, error.cause) == ("error", True, None)
            assert words(error) == "I do not know that"

    run(main)


def test_a_result_that_breaks_its_own_schema_is_kept_with_a_warning():
    async def main():
        async with serving(lean("modern")) as servers:
            await servers.settled()
            wrong = await call(servers, "lean__wrong")
            assert (wrong.outcome, wrong.cause, wrong.structured) == ("error", "bad_result", {"sum": "many"})
            assert "$.sum" in wrong.reason
            assert words(wrong) == "done"

    run(main)


def test_content_of_an_unknown_type_does_not_lose_the_rest():
    async def main():
        async with serving(lean("modern")) as servers:
            await servers.settled()
            odd = await call(servers, "lean__odd")
            assert odd.outcome == "ok"
            assert "hologram" in odd.content[0]["text"]
            assert odd.content[1]["text"] == "plain"

    run(main)


@ERAS
@pytest.mark.parametrize("how", ["utf8", "deep"])
def test_an_unreadable_reply_fails_its_call_and_no_other(era, how):
    async def main():
        async with serving(lean(era, tool_timeout=25)) as servers:
            await servers.settled()
            broken = await call(servers, "lean__broken", {"how": how})
            assert (broken.outcome, broken.cause) == ("error", "bad_result")
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).structured == {"sum": 2}

    run(main, 20)


def test_noise_on_stdout_harms_nothing_and_is_kept():
    async def main():
        async with serving(lean("modern")) as servers:
            await servers.settled()
            assert words(await call(servers, "lean__noise")) == "still here"
            assert words(await call(servers, "lean__chatty")) == "said enough"
            logs = "\n".join(servers.logs("lean"))
            assert "Debug: " in logs
            assert "notifications were dropped" in logs

    run(main)


@ERAS
def test_a_timeout_cancels_once_and_the_server_lives(era, tmp_path):
    wrote = tmp_path / "ledger"
    quick = {"hang": ToolSettings(timeout=0.3)}

    async def main():
        async with serving(lean(era, env={"LEDGER": str(wrote)}, tools=quick)) as servers:
            await servers.settled()
            late = await call(servers, "lean__hang")
            assert (late.outcome, late.cause, late.reason) == (
                "error",
                "timeout",
                "no answer within 0.3 s; tools.hang.timeout_sec gives it longer",
            )
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            (request,) = [r for r in ledger(wrote, "tools/call") if r["params"]["name"] == "hang"]
            (cancelled,) = ledger(wrote, "notifications/cancelled")
            assert cancelled["params"]["requestId"] == request["id"]

    run(main)


def test_progress_keeps_a_slow_call_alive():
    async def main():
        async with serving(lean("modern", tool_timeout=0.6)) as servers:
            await servers.settled()
            assert words(await call(servers, "lean__slow", {"pause": 0.3})) == "finally"

    run(main)


@ERAS
def test_whoever_cancels_a_call_cancels_only_that_request(era, tmp_path):
    wrote = tmp_path / "ledger"

    async def main():
        async with serving(lean(era, env={"LEDGER": str(wrote)}, parallel=True)) as servers:
            await servers.settled()
            with anyio.move_on_after(0.3) as scope:
                await call(servers, "lean__hang")
            assert scope.cancelled_caught
            assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            assert len(ledger(wrote, "notifications/cancelled")) == 1
            assert servers.statuses["lean"].state == "ready"

    run(main)


def test_a_resource_is_read_and_a_missing_one_says_so():
    async def main():
        async with serving(lean("modern")) as servers:
            await servers.settled()
            assert await servers.read_resource("lean", "note://one") == [
                {"uri": "note://one", "mimeType": "text/plain", "text": "one note"}
            ]
            with pytest.raises(HostError, match="lean cannot read note://two"):
                await servers.read_resource("lean", "note://two")
            with pytest.raises(HostError, match="no server named 'other'"):
                await servers.read_resource("other", "note://two")

    run(main)
