"""Servers at an address: where a token may go (T6), where their word may lead (T7), who may knock at the listener that
waits for a sign-in (T9)."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from field import ROOT, Attack, World, converse, field
from rows_wire import listening
from terminal import Terminal

sys.path.append(str(ROOT / "tests" / "servers"))

from issuer import Issuer

TOKEN = "CANARY-token-of-the-user"
REDIRECTS = {"moved": 301, "found": 302, "see other": 303, "temporary": 307, "permanent": 308}
FORMS = ("plain", "decimal", "hexadecimal", "octal", "in IPv6 clothes")
HERE = b" HTTP/1.1\r\nHost: {here}\r\n"
PROBES = {
    "another host's name": b"GET /callback?code=EVIL&state={state} HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a guessed state": b"GET /callback?code=EVIL&state=guess" + HERE + b"\r\n",
    "no state": b"GET /callback?code=EVIL" + HERE + b"\r\n",
    "two states": b"GET /callback?code=EVIL&state=guess&state={state}" + HERE + b"\r\n",
    "a form": b"POST /callback?code=EVIL&state={state}" + HERE + b"Content-Length: 0\r\n\r\n",
}


def found(name: str) -> Any:
    return lambda world: name in (world.folder / "found").read_text().split("\n")


ATTACKS = (
    *(Attack("T6", f"redirect: {name}", found(name)) for name in REDIRECTS),
    *(Attack("T7", f"metadata at an address {form}", found(form)) for form in FORMS),
    Attack("T7", "metadata that redirects there", found("redirected")),
    *(Attack("T9", name, found(name)) for name in PROBES),
    Attack("T9", "from the network", found("from the network")),
)


@contextmanager
def answering(code: int, header: str, value: str) -> Iterator[str]:
    """A server that answers each request with this alone; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(code)
            self.send_header(header, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on stderr."""

    with serving(Handler) as url:
        yield url


def own_address() -> str:
    """An address of this machine that is not loopback; loopback where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def written(address: str) -> dict[str, str]:
    number = int(IPv4Address(address))
    octal = ".".join(f"0{int(part):o}" for part in address.split("."))
    return dict(zip(FORMS, (address, str(number), hex(number), octal, f"[::ffff:{address}]"), strict=True))


def run(folder: Path, user: str) -> World:
    seen: list[str] = []
    for name, code in REDIRECTS.items():
        with listening() as (port, came), answering(code, "Location", f"http://127.0.0.1:{port}/mcp") as url:
            more = f'url = "{url}/mcp"\nbearer_token_env_var = "TOKEN"\n'
            use(folder / str(code), user, more)
            seen += [name] if any(TOKEN.encode() in data for data in came) else []
    own = own_address()
    if not own.startswith("127."):
        for form, host in written(own).items():
            with listening("0.0.0.0") as (port, came):
                challenge = f'Bearer resource_metadata="http://{host}:{port}/meta"'
                with answering(401, "WWW-Authenticate", challenge) as url:
                    use(folder / form.replace(" ", "-"), user, f'url = "{url}/mcp"\n')
                seen += [form] if came else []
        with listening("0.0.0.0") as (port, came), answering(302, "Location", f"http://{own}:{port}/") as there:
            with answering(401, "WWW-Authenticate", f'Bearer resource_metadata="{there}/meta"') as url:
                use(folder / "redirected", user, f'url = "{url}/mcp"\n')
            seen += ["redirected"] if came else []
    seen += knocked(folder / "login", own)
    (folder / "found").write_text("\n".join(seen))
    return World([], [], [], folder)


def use(folder: Path, user: str, more: str) -> None:
    """A session with one server at an address."""
    with field(folder, {}) as home:
        converse(home, user, [("s__x", {})], more=f"[mcp_servers.s]\nstartup_timeout_sec = 5\n{more}", TOKEN=TOKEN)


def knocked(folder: Path, own: str) -> list[str]:
    """While a sign-in waits for the browser, others knock. Whoever is let in gets another answer than the rest."""
    issuer = Issuer()
    with field(folder, {}) as home, protected(issuer.url) as url:
        home.prepare("careful", f'[mcp_servers.s]\nurl = "{url}/mcp"\n')
        screen = Terminal(home.command("mcp", "login", "s"), home.env, folder)
        try:
            assert screen.until("state=", seconds=20), screen.words
            screen.until("paste", seconds=5)
            state = re.search(r"state=([\w-]+)", screen.words)
            port = re.search(r"127\.0\.0\.1%3A(\d+)", screen.words)
            assert state and port, screen.words
            here = f"127.0.0.1:{port[1]}"
            seen = []
            for name, probe in PROBES.items():
                asked = probe.replace(b"{state}", state[1].encode()).replace(b"{here}", here.encode())
                seen += [name] if b" 200 " in knock("127.0.0.1", int(port[1]), asked) else []
            far = knock(own, int(port[1]), b"GET / HTTP/1.1\r\n\r\n") if not own.startswith("127.") else b""
            return seen + (["from the network"] if far else [])
        finally:
            screen.close()


def knock(host: str, port: int, words: bytes) -> bytes:
    """The first line of the answer; nothing where nobody answers."""
    try:
        with socket.create_connection((host, port), 5) as connection:
            connection.sendall(words)
            return connection.recv(4096).partition(b"\r\n")[0]
    except OSError:
        return b""


@contextmanager
def protected(issuer: str) -> Iterator[str]:
    """A server that wants a token of this issuer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            here = f"http://{self.headers['Host']}"
            about = json.dumps({"resource": f"{here}/mcp", "authorization_servers": [issuer]}).encode()
            public = "well-known" in self.path
            self.send_response(200 if public else 401)
            meta = f"{here}/.well-known/oauth-protected-resource/mcp"
            self.send_header("WWW-Authenticate", f'Bearer resource_metadata="{meta}"')
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(about)))
            self.end_headers()
            self.wfile.write(about)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on stderr."""

    with serving(Handler) as url:
        yield url


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
