"""Lines and messages of a server, without a process: bounds, salvage, repair."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from host.servers.logs import ServerLog
from host.servers.wire import FLOOD, NOTIFICATIONS, Lines, Refused, Wire, encoded


def asked(id=7, method="tools/call", **params):
    wire = Wire(ServerLog())
    wire.sent(JSONRPCRequest(jsonrpc="2.0", id=id, method=method, params=params))
    return wire


@given(st.lists(st.binary(max_size=9), max_size=30))
def test_lines_come_out_whole_however_the_bytes_are_cut(chunks):
    lines = Lines()
    out = [line for chunk in chunks for line in lines.feed(chunk)]
    assert out == b"".join(chunks).split(b"\n")[:-1]


def test_a_line_over_the_limit_is_refused():
    lines = Lines(limit=10)
    assert lines.feed(b"12345\n12345") == [b"12345"]
    with pytest.raises(Refused, match="a line of more than"):
        lines.feed(b"678901")


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":7,"result":{"x":"\xff"}}',
        b'{"id": 7, "jsonrpc": "2.0", "result": {"x": NaN}}',
        b'{"jsonrpc":"2.0","result":{"x":' + b"9" * 6000 + b'},"id":7}',
        b'{"jsonrpc":"2.0","id":7,"result":"not an object"}',
        b'{"jsonrpc":"2.0","id":7,"error":{"code":"x"}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"x":"\\ud800"}}',
        b'{"jsonrpc":"2.0","id":7}',
    ],
)
def test_a_bad_reply_to_our_request_fails_that_request(line):
    wire = asked()
    (message,) = wire.received(line, 0)
    assert isinstance(message, JSONRPCError)
    assert message.id == 7
    assert "cannot be read" in message.error.message
    assert wire.received(line, 0) == []


@pytest.mark.parametrize(
    "line",
    [
        b"Server listening on stdio",
        b'{"id":8,"jsonrpc":"2.0","result":{"x":"\xff"}}',
        b'{"jsonrpc":"2.0","id":7,"method":"ping","params":"\xff"}',
        b'{"level":"info","id":7,"text":"\xff"}',
        b'"text"',
        b"null",
        b"[1, 2]",
    ],
)
def test_what_is_no_reply_of_ours_is_noise(line):
    log = ServerLog()
    wire = Wire(log)
    wire.sent(JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call"))
    assert wire.received(line, 0) == []
    assert log.noisy > 0
    (message,) = wire.received(b'{"jsonrpc":"2.0","id":7,"result":{"content":[]}}', 0)
    assert isinstance(message, JSONRPCResponse)


def test_a_batch_is_taken_apart_and_blank_lines_are_nothing():
    wire = asked()
    reply = {"jsonrpc": "2.0", "id": 7, "result": {"content": []}}
    note = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    first, second = wire.received(json.dumps([note, reply]).encode() + b"\r", 0)
    assert isinstance(first, JSONRPCNotification)
    assert isinstance(second, JSONRPCResponse)
    assert wire.received(b"  \r", 0) == []


def test_notifications_beyond_a_rate_are_dropped_and_replies_never():
    log = ServerLog()
    wire = Wire(log)
    wire.sent(JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call"))
    note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
    assert sum(len(wire.received(note, 5.0)) for _ in range(3 * NOTIFICATIONS)) == NOTIFICATIONS
    assert log.dropped == 2 * NOTIFICATIONS
    assert len(wire.received(b'{"jsonrpc":"2.0","id":7,"result":{}}', 5.0)) == 1
    assert len(wire.received(note, 6.1)) == 1


def test_a_flood_of_noise_is_refused():
    wire = Wire(ServerLog())
    for _ in range(FLOOD):
        wire.received(b"x", 5.0)
    with pytest.raises(Refused, match="useless lines"):
        wire.received(b"x", 5.0)


def test_a_lone_surrogate_goes_out_as_an_escape():
    line = encoded(JSONRPCRequest(jsonrpc="2.0", id=1, method="m", params={"a": "\ud800é"}))
    assert line.endswith(b"\n")
    assert json.loads(line)["params"] == {"a": "\ud800é"}


def test_the_pool_does_not_load_the_sdk():
    """The SDK takes a second to import: it comes in a thread, when the first server is started."""
    code = "import sys, host.servers.pool, host.servers.builtin; print([m for m in sys.modules if m.startswith('mcp')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "[]\n"
