"""Who gives out tokens for a tests' server: OAuth on loopback, with a record of what was asked of it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"


class Issuer:
    """`valid` are the access tokens that a server should take; none are, where they are `useless`. While `held` is
    true no token is given. Settings: `pkce` of its metadata, `expires` of its tokens, whether it `refreshes`, the
    `authorize` address it names."""

    def __init__(self, **settings: Any) -> None:
        self.settings = {"pkce": ["S256"], "expires": 3600, "refreshes": True, "authorize": None} | settings
        self.valid: set[str] = set()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.number = 0
        self.useless = False
        self.redirects: str | None = None
        self.headers: list[dict[str, str]] = []
        self.held: Callable[[], bool] | None = None
        self.refresh = ""
        self.lock = threading.Lock()
        issuer = self

        class Handler(Talk):
            owner = issuer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def grants(self, kind: str) -> list[dict[str, str]]:
        """The requests for a token of this grant type."""
        return [form for path, form in self.asked if path == "/token" and form["grant_type"] == kind]

    def metadata(self) -> dict[str, Any]:
        methods = {"code_challenge_methods_supported": self.settings["pkce"]} if self.settings["pkce"] else {}
        return methods | {
            "issuer": self.url,
            "authorization_endpoint": self.settings["authorize"] or f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
            "response_types_supported": ["code"],
            "authorization_response_iss_parameter_supported": True,
        }

    def token(self, form: dict[str, str]) -> dict[str, Any] | None:
        if form["grant_type"] == EXCHANGE:
            return {"access_token": f"word-for-{form['audience']}", "issued_token_type": ID_JAG, "token_type": "N_A"}
        with self.lock:
            if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh:
                self.valid, self.refresh = set(), ""
                return None  # used twice: the whole family is taken back
            self.number += 1
            self.valid = set() if self.useless else {f"access-{self.number}"}
            self.refresh = f"refresh-{self.number}"
        more = {"refresh_token": self.refresh} if self.settings["refreshes"] else {}
        kept = {"access_token": f"access-{self.number}", "token_type": "Bearer", "expires_in": self.settings["expires"]}
        return kept | more


class Talk(BaseHTTPRequestHandler):
    owner: Issuer

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, body: Any = None, **headers: str) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        self.owner.asked.append((path, {name: values[0] for name, values in query.items()}))
        self.owner.headers.append(dict(self.headers))
        if self.owner.redirects and path != "/authorize":
            self._answer(302, Location=self.owner.redirects)
        elif path == "/.well-known/oauth-authorization-server":
            self._answer(200, self.owner.metadata())
        elif path == "/authorize":
            back = urlencode({"code": "c-1", "state": query["state"][0], "iss": self.owner.url})
            self._answer(302, Location=f"{query['redirect_uri'][0]}?{back}")
        else:
            self._answer(404)

    def do_POST(self) -> None:
        self.owner.headers.append(dict(self.headers))
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/register":
            form = json.loads(body)
            self.owner.asked.append((self.path, form))
            self._answer(201, form | {"client_id": "registered-1"})
            return
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.owner.asked.append((self.path, form))
        end = time.monotonic() + 30
        while self.owner.held and self.owner.held() and time.monotonic() < end:
            time.sleep(0.01)
        token = self.owner.token(form)
        self._answer(200 if token else 400, token or {"error": "invalid_grant"})


@contextmanager
def issuing(**settings: Any) -> Iterator[Issuer]:
    issuer = Issuer(**settings)
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()
