"""No secret that the host knows is printed, stored or sent, whoever repeats it."""

from pathlib import Path

from model_server import Call, Fault, Say
from playing import Home, call, outputs, playing, turns, words

from host import cli
from host.arguments import parse

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


ENV_VALUE, FILED, HEADER, BEARER = (
    "env-canary-55501",
    "filed-canary-55502",
    "header-canary-55503",
    "bearer-canary-55504",
)
CANARIES = (KEY, ENV_VALUE, FILED, HEADER, BEARER)


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
    with playing(tmp_path, decide=leaky) as home:
        (tmp_path / "kept").write_text(FILED + "\n")
        secret = 'SHOP_TOKEN = "${SHOP_TOKEN}", OTHER = "${file:kept}"'
        remote = '[mcp_servers.far]\nurl = "http://127.0.0.1:9/mcp"\nheaders = { X-Key = "${HKEY}" }\n'
        remote += 'bearer_token_env_var = "FAR_TOKEN"\n'
        home.write(home.server(env=secret), home.server("t"), remote, key="${MY_API_KEY}")
        home.env |= {"SHOP_TOKEN": ENV_VALUE, "MY_API_KEY": KEY, "HKEY": HEADER, "FAR_TOKEN": BEARER}
        with home.talk("-v") as talk:
            talk.say("tell me")
            talk.until("turn_ended", reason="done")
            started = descendants(talk.process.pid)
            shown = [proc(pid, "cmdline") for pid in (talk.process.pid, *started)]
            environs = [text for pid in started if ENV_VALUE in (text := proc(pid, "environ"))]
            others = [text for pid in started if ENV_VALUE not in (text := proc(pid, "environ"))]
            live = b"".join(path.read_bytes() for path in home.state.rglob("*") if path.is_file()).decode(
                errors="replace"
            )
            assert talk.end() == 0
        assert len(shown) > 2
        assert any("NOTES=" in text for text in others), "the other server is among them"
        assert environs, "it was given them"
        assert all(FILED in text for text in environs)
        streamed = "".join(line["value"] for line in talk.of("delta", of="text"))
        assert "⟦secret:MY_API_KEY⟧" in streamed, "they came in pieces of seven characters"
        parts = "".join(line["value"] for line in talk.of("delta"))
        doctor = home.run("doctor", "--json")
        for name, text in home.env.items():
            monkeypatch.setenv(name, text)
        monkeypatch.chdir(tmp_path)
        session, config = talk.lines[0]["session"], ("--config", str(home.config), "--trust")
        commands = [("audit", "show", session), ("audit", "show", session, "--json"), ("audit", "export", session)]
        commands += [
            ("audit", "export", session, "--format", "otlp"),
            ("session", "list"),
            ("session", "show", session),
        ]
        commands += [("session", "export", session, "--format", f) for f in ("md", "json", "jsonl")]
        commands += [("mcp", "list"), ("mcp", "list", "--json"), ("mcp", "get", "s", "--json"), ("mcp", "get", "far")]
        told = []
        for command in commands:
            assert cli.run(parse([*command, *config])) == 0, command
            told.append("".join(capsys.readouterr()))
        stored = b"".join(path.read_bytes() for path in home.state.rglob("*") if path.is_file()).decode(
            errors="replace"
        )
        sent = str([body["input"] for body in home.model.requests[1:]])
    printed = "\n".join(map(str, talk.lines)) + talk.errors.read_text()
    everything = [live, stored, sent, printed, streamed, parts, doctor.stdout, doctor.stderr, *shown, *others, *told]
    for form in CANARIES:
        assert not [text[max(0, text.find(form) - 80) :][:200] for text in everything if form in text]
    for environ in environs:
        assert not [form for form in (KEY, HEADER, BEARER) if form in environ]
