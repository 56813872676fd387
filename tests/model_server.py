"""A model server on loopback that speaks Responses, Chat Completions and Messages, driven by a function; faults on
request.

with ModelServer(lambda body: [Say("hello")]) as server: ...   # server.base_url, server.requests
python tests/model_server.py --script turns.json               # prints the base URL and serves until stopped
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import speaks_chat
import speaks_messages
import speaks_responses
from spoken import Call, Decide, End, Part, Raw, Refuse, Say

__all__ = [
    "Call",
    "Decide",
    "End",
    "Fault",
    "ModelServer",
    "Part",
    "Raw",
    "Refuse",
    "Say",
    "results_since_prompt",
    "script",
]

WIRES = {wire.PATH: wire for wire in (speaks_responses, speaks_chat, speaks_messages)}
GATE_SECONDS = 20
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request. With `status` or `body` there is no stream; `cut` drops the connection
    after so many bytes of it; `hold` waits there, or at the start, until the gate is set."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    cut: int | None = None
    hold: int | None = None
    gate: threading.Event | None = None


class ModelServer:
    """Serves until left. `requests` are the bodies in order of arrival, `faults` are used up one a request,
    `times` hold when (monotonic seconds) a request had arrived and its answer was sent. One that cannot stream
    (`streams=False`) answers in one piece whatever it is asked for."""

    def __init__(self, decide: Decide, *, strict: bool = True, port: int = 0, streams: bool = True) -> None:
        self.decide = decide
        self.strict = strict
        self.streams = streams
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.violations: list[str] = []
        self.times: list[tuple[float, float]] = []
        self.connections = 0
        self._server = _Server(("127.0.0.1", port), _Handler, self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.close_all()
        if self.strict and kind is None:
            assert not self.violations, self.violations

    def serve(self) -> None:
        """Serve in this thread until interrupted."""
        self._server.serve_forever()

    def take_fault(self) -> Fault | None:
        return self.faults.pop(0) if self.faults else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], model: ModelServer) -> None:
        super().__init__(address, handler)
        self.model = model
        self.lock = threading.Lock()
        self.open: set[socket.socket] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def close_all(self) -> None:
        self.server_close()
        for connection in list(self.open):
            with _gone():
                connection.shutdown(socket.SHUT_RDWR)


class _gone:
    """A connection may be closed by its other end at any time."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.model.connections += 1
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with _gone():
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        if self.path.endswith("/models"):
            self._plain(200, {"object": "list", "data": [{"id": "test-model", "object": "model"}]})
        else:
            self._plain(404, _error("not found"))

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(length)
        if len(raw) < length:
            self.close_connection = True
            return None
        wire = WIRES.get(self.path)
        if wire is None:
            return self._plain(404, _error(f"no such path: {self.path}"))
        arrived = time.monotonic()
        model = self.server.model
        body = json.loads(raw)
        with self.server.lock:
            model.requests.append(body)
            model.headers.append({name.lower(): value for name, value in self.headers.items()})
            number = len(model.requests)
            fault = model.take_fault()
        try:
            wire.check(body)
        except AssertionError as error:
            model.violations.append(str(error))
            return self._plain(400, _error(str(error)))
        if fault and (fault.status != 200 or fault.body is not None):
            return self._plain(fault.status, fault.body or _error("a fault of the test"), fault)
        said, name = model.decide(body), body.get("model", "")
        if body.get("stream") and model.streams:
            self._stream(wire.sse(said, number, name), fault or Fault())
        else:
            self._plain(200, wire.whole(said, number, name))
        model.times.append((arrived, time.monotonic()))
        return None

    def _plain(self, status: int, body: bytes | dict[str, Any], fault: Fault | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", fault.content_type if fault else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (fault.headers if fault else {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, frames: Iterator[bytes], fault: Fault) -> None:
        if fault.gate and fault.hold is None:
            fault.gate.wait(GATE_SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", EVENT_STREAM)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        whole = b"".join(frames)
        held = fault.hold or 0
        if fault.cut is not None:
            self._chunk(whole[: fault.cut])
            self.close_connection = True
            return
        self._chunk(whole[:held])
        if held and fault.gate:
            fault.gate.wait(GATE_SECONDS)
        self._chunk(whole[held:])
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}


def results_since_prompt(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The results that came in since the user last spoke, as the body's own wire writes them."""
    return wire_of(body).results(body)


def wire_of(body: dict[str, Any]) -> Any:
    """The wire of a request, told from the request alone."""
    return speaks_responses if "input" in body else speaks_messages if "max_tokens" in body else speaks_chat


def script(turns: Sequence[dict[str, Any]]) -> Decide:
    """Decide by a list of turns ({"text": …} or {"calls": [{"name", "arguments", "id"?}]} or both): the turn whose
    earlier calls are as many as the results since the last prompt; after the last one, the last one again."""

    def decide(body: dict[str, Any]) -> list[Part]:
        results, made = len(results_since_prompt(body)), 0
        turn = turns[-1]
        for candidate in turns:
            if made == results:
                turn = candidate
                break
            made += len(candidate.get("calls", ()))
        said: list[Part] = [Say(turn["text"])] if "text" in turn else []
        return said + [Call(c["name"], c.get("arguments", {}), c.get("id")) for c in turn.get("calls", ())]

    return decide


def main() -> None:
    parser = argparse.ArgumentParser(description="A scripted model on loopback.")
    parser.add_argument("--script", type=Path, required=True, help="JSON list of turns")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = ModelServer(script(json.loads(options.script.read_text())), port=options.port)
    print(server.base_url, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
