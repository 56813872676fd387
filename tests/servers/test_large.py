"""Results too large to be parsed beside other work: nothing of them is lost, and little of them is handed on."""

import json

import anyio
import pytest
from serving import call, lean, run, serving
from web import web

from host.core import events as ev
from host.core.frame import unframed
from host.core.told import told
from host.core.types import CallResult, Large, ToolCall
from host.servers.large import LARGE, apart
from host.servers.reading import read_part

ERAS = pytest.mark.parametrize("era", ["modern", "legacy"])


def at(era, name, arguments=None):
    """Call one tool of the raw server."""
    found = []

    async def main():
        async with serving(lean(era)) as servers:
            await servers.settled()
            found.append(await call(servers, f"lean__{name}", arguments))
            assert (await call(servers, "lean__echo")).outcome == "ok"

    run(main)
    return found[0]


def shown(result, limit=8000):
    """The texts that the model gets of a result."""
    finished = ev.CallFinished(
        "c", result.outcome, result.is_error, cause=result.cause, reason=result.reason, outline=result.large.outline
    )
    texts = [part.text for part in told(finished, ToolCall("c", "lean__x", {}), None, limit, "r9").content]
    return [unframed(text) or text for text in texts]


@ERAS
def test_a_large_structured_result_keeps_head_tail_shape_and_handle(era):
    rows = {"rows": [{"id": n, "name": "é", "sum": None} for n in range(20_000)], "sum": 3}
    result = at(era, "rows", {"count": 20_000, "more": {"sum": 3}})
    assert (result.outcome, result.is_error, result.content, result.structured) == ("ok", False, (), None)
    assert json.loads(result.large.json) == {"content": [], "structured": rows}
    whole = json.dumps(rows, ensure_ascii=False)
    (text,) = shown(result)
    assert text.startswith(whole[:24_000] + "\n[…")
    assert text.endswith("…]\n" + whole[-8_000:])
    assert f"{len(whole) - 32_000} of {len(whole)} characters not shown" in text
    assert "JSON {rows: [20000 × {id: number, name: string, sum: null}], sum: number}" in text
    assert 'host__read_result(handle="r9.0", offset=24000)' in text


def test_a_smaller_limit_cuts_the_same_outline_shorter():
    result = at("modern", "big", {"size": 300_000})
    (text,) = shown(result, 100)
    assert text.startswith("x" * 300 + "\n[… 299603 of 300003 characters not shown; text of 1 line")
    assert text.endswith("x" * 97 + "end")


def test_a_large_result_that_breaks_its_schema_or_is_an_error_says_so():
    broken = at("modern", "rows", {"count": 20_000, "more": {"sum": "many"}})
    assert (broken.outcome, broken.is_error, broken.cause) == ("error", True, "bad_result")
    assert "integer" in broken.reason
    assert json.loads(broken.large.json)["structured"]["sum"] == "many"
    failed = at("modern", "rows", {"count": 20_000, "more": {"sum": "many"}, "error": True})
    assert (failed.outcome, failed.is_error, failed.cause) == ("error", True, None)


def test_thousands_of_texts_are_told_in_one_line():
    result = at("modern", "texts", {"count": 3000})
    texts = shown(result)
    assert texts[0] == "text 0 " + "y" * 1000
    assert sum(map(len, texts)) < 33_500
    assert "[… 2968 more texts, 2996644 characters" in texts[-1]
    assert '(handle="r9.32") up to "r9.2999"' in texts[-1]
    body = result.large.json
    assert read_part(body, 2999, {"limit": 10}).startswith("text 2999 \n[characters 0 to 10 of 1010")


def test_a_large_picture_is_handed_on_as_it_is():
    result = at("modern", "image", {"size": 400_000})
    assert result == CallResult("ok", ({"type": "image", "mimeType": "image/png", "data": "A" * 400_000},))


def test_a_reply_with_its_id_last_and_as_a_text_finds_its_call():
    assert at("legacy", "late_id").content[0]["text"] == "z" * 400_000


@ERAS
def test_a_large_resource_is_read_whole(era):
    async def main():
        async with serving(lean(era)) as servers:
            await servers.settled()
            read = await servers.read_resource("lean", "note://long")
            assert isinstance(read, Large)
            (block,) = json.loads(read.json)["content"]
            assert block == {"type": "resource", "resource": {"uri": "note://long", "text": "a line of it\n" * 50_000}}
            assert read.outline[0]["shape"] == "text of 50001 lines, the longest 22 characters"

    run(main)


def test_what_is_large_but_no_json_fails_its_call_only():
    result = at("modern", "broken", {"how": "deep"})
    assert (result.outcome, result.cause) == ("error", "bad_result")


@pytest.mark.parametrize(
    "line", [b"[1]", b'{"id": 1, "method": "x"}', b'{"id": true, "result": {"content": []}}', b"{}"]
)
def test_what_is_no_result_is_left_to_the_ordinary_reader(line):
    async def main():
        told, rest = await apart("reply", {"schemas": {}, "limit": 100}, line + b" " * LARGE)
        assert (told, rest) == ({"kind": "other"}, b"")

    anyio.run(main)


@pytest.mark.parametrize(("era", "body"), [("modern", "json"), ("modern", "stream"), ("legacy", "stream")])
def test_a_large_result_from_an_address_is_taken_the_same_way(era, body):
    lines = []

    async def main():
        with web(era, body) as server:
            async with serving(server.config(), tap=lambda *heard: lines.append(heard[-1])) as servers:
                await servers.settled()
                result = await call(servers, "lean__rows", {"count": 20_000, "more": {"sum": 3}})
                assert (await call(servers, "lean__echo")).outcome == "ok"
        assert json.loads(result.large.json)["structured"]["sum"] == 3
        assert shown(result)[0].startswith('{"rows": [{"id": 0, "name": "é"')
        (large,) = [line for line in lines if len(line) > LARGE]
        assert large.startswith(b'{"jsonrpc": "2.0", '), "as it was written: nothing read it here"

    run(main)


@pytest.mark.parametrize(("trait", "outcome"), [("huge", "error"), ("huge_event", "unknown")])
def test_a_result_from_an_address_that_never_ends_is_cut_and_costs_its_call(trait, outcome):
    async def main():
        with web("modern", trait) as server:
            async with serving(server.config()) as servers:
                await servers.settled()
                result = await call(servers, "lean__echo")
                assert result.outcome == outcome
                assert "it is larger than 64 MiB" in result.reason or trait == "huge_event"
                assert servers.statuses["lean"].state == "ready"

    run(main)
