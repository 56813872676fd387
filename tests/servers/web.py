"""programs/lean.py at an address: Streamable HTTP on loopback, with a record of what came."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from issuer import Issuer

from host.core.settings import ServerConfig

LEAN = Path(__file__).parent / "programs" / "lean.py"


@dataclass
class Received:
    """One request that came: method, path, headers in lower case, body."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


@dataclass
class Web:
    """`traits` of its own: json (no event streams), no_get, short_get (closes it at once), cut (breaks calls off),
    html (a gateway's error page), gzip, elsewhere (redirects), huge, huge_event. All others are lean.py's. `wants` is
    a header that calls must have."""

    era: str
    traits: tuple[str, ...] = ()
    received: list[Received] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    token: str | None = None
    wants: str | None = None
    issuer: Issuer | None = None
    env: dict[str, str] = field(default_factory=dict)
    program: Path = LEAN

    def __post_init__(self) -> None:
        self.waiting: dict[Any, queue.Queue[Any]] = {}
        self.listening: list[queue.Queue[Any]] = []
        self.listened = threading.Event()
        self.numbers = count(10_000)
        web = self

        class Handler(Talk):
            owner = web

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.process = subprocess.Popen(
            [sys.executable, str(self.program), self.era, *self.traits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], **self.env},
        )
        threading.Thread(target=self._relay, daemon=True).start()
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/mcp"

    def config(self, name: str = "lean", **more: Any) -> ServerConfig:
        return ServerConfig(name, url=self.url, **more)

    def forget(self) -> None:
        """Drop all sessions, as a redeployed server does."""
        self.sessions.clear()

    def asked(self, method: str) -> list[Received]:
        """The requests that carried this JSON-RPC method."""
        return [one for one in self.received if isinstance(one.body, dict) and one.body.get("method") == method]

    def give(self, message: Any) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def _relay(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            if not isinstance(message, dict) or "jsonrpc" not in message:
                continue
            if "method" not in message:
                self._put(message.get("id"), message, line)
            elif any(word in message["method"] for word in ("subscriptions", "list_changed", "updated")):
                for each in self.listening:
                    each.put(line)
            elif self.waiting:
                next(reversed(self.waiting.values())).put(line)

    def _put(self, id: Any, message: Any, line: bytes) -> None:
        if id in self.waiting:
            self.waiting.pop(id).put(line)

    def close(self) -> None:
        for each in self.listening:
            each.put(None)
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self.server.shutdown()
        self.server.server_close()


class Talk(BaseHTTPRequestHandler):
    """One connection."""

    owner: Web
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _note(self, body: Any = None) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.received.append(Received(self.command, self.path, headers, body))

    def _answer(self, status: int, body: bytes = b"", kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _refused(self) -> bool:
        web = self.owner
        if web.issuer is not None:
            shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if shown not in web.issuer.valid:
                where = f"{web.url.removesuffix('/mcp')}/.well-known/oauth-protected-resource/mcp"
                self._answer(401, WWW_Authenticate=f'Bearer resource_metadata="{where}", scope="jugs"')
                return True
        if web.token is not None and self.headers.get("Authorization") != f"Bearer {web.token}":
            self._answer(401, b"<html>who are you?</html>", "text/html", WWW_Authenticate="Bearer")
            return True
        if web.era == "legacy" and self.headers.get("Mcp-Session-Id", "none") not in {*web.sessions, "none"}:
            self._answer(404, b"no such session", "text/plain")
            return True
        return False

    def do_GET(self) -> None:
        self._note()
        if self.path.startswith("/.well-known/oauth-protected-resource") and self.owner.issuer is not None:
            says = {"resource": self.owner.url, "authorization_servers": [self.owner.issuer.url]}
            self._answer(200, json.dumps(says).encode())
            return
        if self._refused():
            return
        if self.owner.era == "modern" or "no_get" in self.owner.traits:
            self._answer(405)
            return
        self._begin_stream()
        if "short_get" in self.owner.traits:
            return
        mine: queue.Queue[Any] = queue.Queue()
        self.owner.listening.append(mine)
        self.owner.listened.set()
        self._stream(mine)

    def do_DELETE(self) -> None:
        self._note()
        self.owner.sessions.discard(self.headers.get("Mcp-Session-Id", ""))
        self._answer(200)

    def do_POST(self) -> None:
        web = self.owner
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(message)
        if self._refused() or self._odd(message):
            return
        if "id" not in message or "method" not in message:
            web.give(message)
            self._answer(202)
            return
        mine: queue.Queue[Any] = queue.Queue()
        extra = {}
        if message["method"] == "initialize":
            extra["Mcp-Session-Id"] = f"s{len(web.received)}"
            web.sessions.add(extra["Mcp-Session-Id"])
        listens = message["method"] == "subscriptions/listen"
        # Several sessions count their requests alike.
        theirs, ours = message["id"], message["id"] if listens else next(web.numbers)
        web.waiting[ours] = mine
        if listens:
            web.listening.append(mine)
            web.listened.set()
        web.give(message | {"id": ours})
        if "json" in web.traits and not listens:
            self._answer(200, again(mine.get(), ours, theirs), **extra)
            return
        self._begin_stream(**extra)
        self._stream(mine, ours, theirs)

    def _odd(self, message: Any) -> bool:
        traits, call = self.owner.traits, message.get("method") == "tools/call"
        if "elsewhere" in traits:
            self._answer(307, Location="http://localhost:1/mcp")
        elif call and self.owner.wants and self.owner.wants not in self.headers:
            error = {"code": -32020, "message": "the headers are not as the tool says"}
            said = {"jsonrpc": "2.0", "id": message["id"], "error": error}
            self._answer(400, json.dumps(said).encode())
            return True
        elif "html" in traits and call:
            self._answer(503, b"<html>come back later</html>", "text/html")
        elif "gzip" in traits and call:
            self._answer(200, b"\x1f\x8b", Content_Encoding="gzip")
        elif "cut" in traits and call:
            self._begin_stream()
        elif "huge" in traits and call:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            for _ in range(65):
                self.wfile.write(b" " * 2**20)
        elif "huge_event" in traits and call:
            self._begin_stream()
            self.wfile.write(b"event: message\ndata: ")
            with suppress(OSError):
                for _ in range(80):
                    self.wfile.write(b" " * 2**20)
        else:
            return False
        self.close_connection = True
        return True

    def _begin_stream(self, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "text/event-stream", "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True

    def _stream(self, mine: "queue.Queue[Any]", ours: Any = None, theirs: Any = None) -> None:
        try:
            while (line := mine.get()) is not None:
                last = ours is not None and "method" not in json.loads(line)
                self.wfile.write(b"event: message\ndata: " + again(line, ours, theirs) + b"\n\n")
                self.wfile.flush()
                if last:
                    return
        except OSError:
            pass


def again(line: bytes, ours: Any, theirs: Any) -> bytes:
    """The reply under the id that it was asked for by."""
    message = json.loads(line)
    return line.rstrip() if "method" in message or ours is None else json.dumps(message | {"id": theirs}).encode()


@contextmanager
def web(era: str, *traits: str, **more: Any) -> Iterator[Web]:
    """A server at an address, for as long as it is wanted."""
    server = Web(era, traits, **more)
    try:
        yield server
    finally:
        server.close()
