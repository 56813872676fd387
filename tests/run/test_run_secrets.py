"""No secret that the host knows is printed, stored or sent, whoever repeats it."""

import sys
from pathlib import Path

import httpx2
import keyring
from model_server import Call, Fault, Say
from playing import Home, call, outputs, playing, turns, words
from test_run_telemetry import collecting

from host import cli
from host.arguments import parse

sys.path.append(str(Path(__file__).parent.parent / "servers"))

from issuer import issuing
from web import web

KEY = "sk-canary-0123456789"
TOKEN = 'tok"canary\\é-90817263'


def test_a_secret_that_a_tool_repeats_goes_nowhere(tmp_path):
    home = Home(tmp_path)
    server = home.server(env='SHOP_TOKEN = "${SHOP_TOKEN}"')
    with playing(tmp_path, server) as home:
        home.env |= {"SHOP_TOKEN": TOKEN, "MY_API_KEY": KEY}
        home.write(server, key="${MY_API_KEY}")
        done = home.run(
            "run", "-v", "--output-format", "stream-json",
            turns([call("s__mine"), call("s__moving"), call("s__big", size=40_000, needle=f" {TOKEN} {KEY} ")], "done"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (mine, _, _) = (words(output) for output in outputs(home.model.requests[1]).values())
        assert "⟦secret:SHOP_TOKEN⟧" in mine
        assert '"of":"progress"' in done.stdout
        assert home.model.headers[0]["authorization"] == f"Bearer {KEY}"
        home.model.faults.append(Fault(status=401, body=f'{{"error":{{"message":"bad key {KEY}"}}}}'.encode()))
        refused = home.run("run", "-v", turns(f"say {TOKEN}"))
        assert refused.returncode == 4
        everything = [done.stdout, done.stderr, refused.stdout, refused.stderr, str(home.model.requests)]
        everything += [path.read_bytes().decode("utf-8", "replace") for path in home.state.rglob("*") if path.is_file()]
    for form in (KEY, "canary", "90817263"):
        assert not [text[max(0, text.find(form) - 80) :][:200] for text in everything if form in text]


ENV_VALUE, FILED, HEADER, BEARER, SAID, KEPT = (
    f"{where}-canary-5550{number}" for number, where in enumerate(("env", "filed", "header", "bearer", "said", "kept"))
)
GIVEN = (ENV_VALUE, FILED, SAID, KEPT)
"""What one server is given, in its environment."""
ACCESS, REFRESH = "access-1", "refresh-1"
CANARIES = (KEY, *GIVEN, HEADER, BEARER, ACCESS, REFRESH)
RING = f"""
import json, pathlib
from keyring.backend import KeyringBackend

class Ring(KeyringBackend):
    priority = 5
    kept = pathlib.Path(__file__).with_name("ring")
    def _all(self):
        return json.loads(self.kept.read_text()) if self.kept.exists() else {{}}
    def get_password(self, service, name):
        return "{KEPT}" if service == "shop" else self._all().get(name)
    def set_password(self, service, name, value):
        self.kept.write_text(json.dumps(self._all() | {{name: value}}))
    def delete_password(self, service, name): ...
"""
"""A keyring: it holds one secret, and takes what is signed in for."""


def leaky(body):
    """A model that says every secret aloud, as one would that was sent them."""
    words = ", ".join(CANARIES)
    return [Say(f"They are {words}.")] if outputs(body) else [Say(f"First {words}!"), Call("s__mine", {"all": words})]


def descendants(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in map(int, children) for found in (child, *descendants(child))]


def proc(pid, what):
    try:
        return Path(f"/proc/{pid}/{what}").read_text(errors="replace")
    except OSError:
        return ""


def test_no_door_of_the_program_lets_a_secret_out(tmp_path, monkeypatch, capsys):
    with issuing() as issuer, web("modern", issuer=issuer) as lean, collecting() as (collector, spans):
        with playing(tmp_path, decide=leaky) as home:
            (tmp_path / "kept").write_text(FILED + "\n")
            (tmp_path / "ring").mkdir()
            (tmp_path / "ring" / "ring.py").write_text(RING)
            secret = 'SHOP_TOKEN = "${SHOP_TOKEN}", FILED = "${file:kept}", '
            secret += f'SAID = "${{cmd:echo {SAID}}}", KEPT = "${{keyring:shop/ann}}"'
            remote = '[mcp_servers.far]\nurl = "http://127.0.0.1:9/mcp"\nheaders = { X-Key = "${HKEY}" }\n'
            remote += f'bearer_token_env_var = "FAR_TOKEN"\n[mcp_servers.lean]\nurl = "{lean.url}"\n'
            home.write(home.server(env=secret), home.server("t"), remote, key="${MY_API_KEY}")
            home.env |= {"SHOP_TOKEN": ENV_VALUE, "MY_API_KEY": KEY, "HKEY": HEADER, "FAR_TOKEN": BEARER}
            home.env |= {"PYTHON_KEYRING_BACKEND": "ring.Ring"}
            home.env["PYTHONPATH"] += f":{tmp_path / 'ring'}"
            otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
            otel["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true"
            with home.talk("-v", **otel) as talk:
                httpx2.get(talk.until("asked", about="sign_in")["url"], follow_redirects=True, trust_env=False)
                talk.until("answered")
                talk.say("tell me")
                talk.until("turn_ended", reason="done")
                started = descendants(talk.process.pid)
                shown = [proc(pid, "cmdline") for pid in (talk.process.pid, *started)]
                environs = [text for pid in started if ENV_VALUE in (text := proc(pid, "environ"))]
                others = [text for pid in started if ENV_VALUE not in (text := proc(pid, "environ"))]
                live = stored(home)
                assert talk.end() == 0
            assert len(shown) > 2
            assert any("NOTES=" in text for text in others), "the other server is among them"
            assert environs, "it was given them"
            assert all(form in text for text in environs for form in GIVEN)
            assert ACCESS in (kept := (tmp_path / "ring" / "ring").read_text()) and REFRESH in kept
            streamed = "".join(line["value"] for line in talk.of("delta", of="text"))
            assert "⟦secret:MY_API_KEY⟧" in streamed, "they came in pieces of seven characters"
            assert "⟦secret:lean.token⟧" in streamed
            parts = "".join(line["value"] for line in talk.of("delta"))
            ran = [home.run("doctor", "--json"), home.run("mcp", "inspect", "lean", "--wire", "--json")]
            ran += [home.run("mcp", "call", "s", "mine")]
            assert "⟦secret:SHOP_TOKEN⟧" in ran[-1].stdout
            for name, text in home.env.items():
                monkeypatch.setenv(name, text)
            monkeypatch.chdir(tmp_path)
            told = [done.stdout + done.stderr for done in ran]
            told += in_process(home, talk.lines[0]["session"], monkeypatch, capsys)
            sent = str([body["input"] for body in home.model.requests[1:]])
            spoken = str([body for _, _, body in spans])
            assert "⟦secret:MY_API_KEY⟧" in spoken
            later = stored(home)
    printed = "\n".join(map(str, talk.lines)) + talk.errors.read_text()
    everything = [live, later, sent, printed, streamed, parts, spoken, *shown, *others, *told]
    for form in CANARIES:
        assert not [text[max(0, text.find(form) - 80) :][:200] for text in everything if form in text]
    for environ in environs:
        assert not [form for form in (KEY, HEADER, BEARER) if form in environ]


def stored(home):
    """All that lies in the state folder."""
    found = b"".join(path.read_bytes() for path in home.state.rglob("*") if path.is_file())
    return found.decode(errors="replace")


def in_process(home, session, monkeypatch, capsys):
    """What commands print that start nothing, and one that ends in a fault that nobody foresaw."""
    monkeypatch.syspath_prepend(str(home.folder / "ring"))
    from ring import Ring

    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    config = ("--config", str(home.config), "--trust")
    commands = [("audit", "show", session), ("audit", "show", session, "--json"), ("audit", "export", session)]
    commands += [("audit", "export", session, "--format", "otlp"), ("session", "list"), ("session", "show", session)]
    commands += [("session", "export", session, "--format", form) for form in ("md", "json", "jsonl")]
    commands += [("mcp", "list"), ("mcp", "list", "--json"), ("mcp", "get", "s", "--json"), ("mcp", "get", "far")]
    told = []
    try:
        for command in commands:
            assert cli.run(parse([*command, *config])) == 0, command
            told.append("".join(capsys.readouterr()))
        options = parse(["policy", "explain", "s.mine", "-v", *config])
        options.args = type(f"{KEY}\x1b[2J{KEPT}", (), {})()  # which json.loads names when it fails
        assert cli.run(options) == 1
        told.append("".join(capsys.readouterr()))
        assert "internal error: TypeError: the JSON object must be" in told[-1] and "\x1b" not in told[-1]
    finally:
        keyring.set_keyring(before)
    return told
