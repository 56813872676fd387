"""The host's own tools: reading on in a shortened result, and reading resources."""

import re

import anyio
import pytest

from host.core.errors import HostError
from host.core.events import CallFinished, encode
from host.core.frame import unframed
from host.core.schema import arguments_problem
from host.core.source import Round
from host.core.told import told
from host.core.types import ToolCall
from host.servers.builtin import Builtin

LONG = "".join(f"line {n}: {'a' * (n % 50)}\n" for n in range(3000))


async def no_resources(server, uri):
    raise HostError(f"no server named {server!r}")


def use(tool, arguments, events=None, resources=no_resources):
    """Call one of the host's tools by its exposed name, arguments checked as any tool's are."""

    async def result_at(seq):
        event = (events or {}).get(seq)
        return event and encode(event)

    builtin = Builtin(resources, result_at)
    spec = next(spec for spec in builtin.tools() if spec.name == tool)
    assert arguments_problem(spec.input_schema, arguments) is None

    async def main():
        return await builtin.call(spec, arguments, Round(1, "k"), None, None)

    result = anyio.run(main)
    return result, "".join(block.get("text", "") for block in result.content)


def finished(*texts, **more):
    content = tuple({"type": "text", "text": text} for text in texts)
    return CallFinished("c1", more.pop("outcome", "ok"), False, content, **more)


def test_the_tools_are_confirmed_reads_that_carry_nothing_out():
    specs = Builtin(no_resources, no_resources).tools()
    assert [spec.name for spec in specs] == ["host__read_resource", "host__read_result"]
    assert {(spec.server, spec.effect, spec.open, spec.confirmed) for spec in specs} == {("host", "read", False, True)}
    assert len({spec.digest for spec in specs}) == 2


@pytest.mark.parametrize("edited", [None, {"a": 1}])
@pytest.mark.parametrize("cause", [None, "bad_result"])
@pytest.mark.parametrize("before", [(), ("short",), ("short", "other")])
def test_the_handle_in_a_shortened_result_reads_on_exactly_where_it_says(edited, cause, before):
    event = finished(*before, LONG, cause=cause, reason="why")
    shown = told(event, ToolCall("c1", "crm__find", {}), edited, 500, "r12")
    (shortened,) = [part.text for part in shown.content if "read on with" in part.text]
    handle, offset = re.search(r'read_result\(handle="(.+)", offset=(\d+)\)', shortened).groups()
    read, position = "", int(offset)
    while position < len(LONG):
        _, page = use("host__read_result", {"handle": handle, "offset": position}, {12: event})
        body, _, note = page.rpartition("\n[characters ")
        start, end = map(int, re.match(r"(\d+) to (\d+)", note).groups())
        assert start == position
        read, position = read + body, end
    assert read == LONG[int(offset) :]


def test_a_page_is_bounded_and_may_be_smaller():
    _, page = use("host__read_result", {"handle": "r3.0"}, {3: finished(LONG)})
    assert page.startswith(LONG[:8000] + "\n[characters 0 to 8000 of")
    _, page = use("host__read_result", {"handle": "r3.0", "offset": 5, "limit": 4}, {3: finished("0123456789")})
    assert page == "5678\n[characters 5 to 9 of 10; 1 follow, read on with offset=9]"
    _, page = use("host__read_result", {"handle": "r3.0", "offset": 99}, {3: finished("0123")})
    assert "4; this is the end" in page


def test_grep_gives_lines_with_their_offsets():
    _, found = use("host__read_result", {"handle": "r3.0", "grep": r"^line 29\d:"}, {3: finished(LONG)})
    lines = found.splitlines()
    assert len(lines) == 10
    for line in lines:
        offset, _, text = line.partition(": ")
        assert LONG[int(offset) :].startswith(text)
    _, found = use("host__read_result", {"handle": "r3.0", "grep": "line"}, {3: finished(LONG)})
    assert len(found) < 8200
    assert "narrower" in found
    _, found = use("host__read_result", {"handle": "r3.0", "grep": "absent"}, {3: finished(LONG)})
    assert found.startswith("Nothing")


def test_grep_in_one_long_line_gives_the_neighbourhood():
    text = "x" * 5000 + "NEEDLE" + "y" * 5000
    _, found = use("host__read_result", {"handle": "r3.0", "grep": "NEEDLE"}, {3: finished(text)})
    assert found == f"4920: {'x' * 80}NEEDLE{'y' * 80}"
    _, found = use("host__read_result", {"handle": "r3.0", "offset": 5000, "limit": 6}, {3: finished(text)})
    assert found.startswith("NEEDLE\n")


@pytest.mark.parametrize("handle", ["r4.0", "r3.7", "nonsense", "r3", "r3.-1"])
def test_a_wrong_handle_is_answered_with_what_is_wrong(handle):
    result, text = use("host__read_result", {"handle": handle}, {3: finished("short")})
    assert (result.outcome, result.is_error) == ("error", True)
    assert "copy the handle" in text or "not text" in text


def test_a_pattern_that_cannot_run_in_linear_time_is_refused():
    result, text = use("host__read_result", {"handle": "r3.0", "grep": "(?=a)"}, {3: finished("a")})
    assert result.is_error
    assert "RE2" in text


def test_structured_content_can_be_read_on_too():
    event = CallFinished("c1", "ok", False, (), {"rows": ["é" * 100]})
    assert use("host__read_result", {"handle": "r1.0"}, {1: event})[1].startswith('{"rows": ["éé')


def test_a_resource_is_read_at_its_server():
    asked = []

    async def resources(server, uri):
        asked.append((server, uri))
        return [{"uri": uri, "mimeType": "text/plain", "text": "the article"}]

    arguments = {"server": "kb", "uri": "kb://article/1"}
    result, _ = use("host__read_resource", arguments, resources=resources)
    assert asked == [("kb", "kb://article/1")]
    assert result.content[0]["resource"]["text"] == "the article"
    shown = told(
        CallFinished("c", "ok", False, result.content), ToolCall("c", "host__read_resource", arguments), None, 99, "r1"
    )
    assert unframed(shown.content[0].text) == "[resource kb://article/1]\nthe article"
    result, text = use("host__read_resource", arguments)
    assert result.is_error
    assert text == "no server named 'kb'"
