"""The program as a script sees it: processes, exit codes, stdout and stderr."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema_rs
import pytest
from held import FREE
from model_server import Call, Fault, ModelServer, Say

from host.core import events as ev
from host.core.types import Text, ToolCall, Usage

ROOT = Path(__file__).parent.parent.parent
LEAN = ROOT / "tests" / "servers" / "programs" / "lean.py"
KEEP = ("PATH", "LANG", "LC_ALL", "TMPDIR")


@pytest.fixture
def host(tmp_path):
    """Runs the program in a folder and a home of its own."""
    env = {name: os.environ[name] for name in KEEP if name in os.environ}
    env |= {"HOME": str(tmp_path), "AGENT_HOST_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}

    def run(*arguments, stdin="", **more):
        return subprocess.run(
            [sys.executable, "-m", "host", *map(str, arguments)],
            cwd=tmp_path,
            env=env | more,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    run.env = env
    return run


def configured(tmp_path, server, more=""):
    path = tmp_path / "mine.toml"
    path.write_text(
        'model = "mine/test"\n[providers.mine]\nwire = "responses"\napi_key = "k"\n'
        f'base_url = "{server.base_url}"\n{more}'
    )
    return ("--config", path)


def lean(rules=""):
    return (
        f'[mcp_servers.lean]\ncommand = "python"\nargs = ["{LEAN}", "modern"]\n{FREE}'
        f'[profiles.default]\nservers = ["lean"]\n{rules}'
    )


DENY = '[[profiles.default.rules]]\nserver = "lean"\ntool = "add"\nverdict = "deny"\nreason = "no sums"\n'


def one_call(name, **arguments):
    """A model that calls one tool, then says what came of it."""

    def decide(body):
        outputs = [item for item in body["input"] if item.get("type") == "function_call_output"]
        return [Say(f"got {outputs[-1]['output']}")] if outputs else [Call(name, arguments)]

    return decide


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(flag, tmp_path):
    code = (
        "import sys\nfrom host.cli import main\ntry:\n    main([sys.argv[1]])\nexcept SystemExit as end:\n"
        "    assert not end.code\n"
        "heavy = {'pydantic', 'openai', 'anthropic', 'mcp', 'textual', 'rich', 'anyio', 'asyncio', 'sqlite3'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, flag], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "agent-host" in done.stdout


def test_an_answer_is_all_that_stdout_carries(host, tmp_path):
    with ModelServer(lambda body: [Say("Grüße")]) as server:
        done = host("run", *configured(tmp_path, server), "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Grüße\n", "")
    assert "hello" in json.dumps(server.requests[0]["input"])


@pytest.mark.parametrize(
    ("arguments", "stdin", "prompt"),
    [
        (["run"], "from stdin\n", "from stdin"),
        (["run", "-"], "from stdin\n", "from stdin"),
        (["run", "Sum:"], "from stdin\n", "Sum:\n\nfrom stdin"),
        (["run", "--", "-x"], "", "-x"),
    ],
)
def test_the_prompt_is_argument_stdin_or_both(host, tmp_path, arguments, stdin, prompt):
    with ModelServer(lambda body: [Say("ok")]) as server:
        done = host(*configured(tmp_path, server), *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert prompt in json.dumps(server.requests[0]["input"][-1], ensure_ascii=False).replace("\\n", "\n")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["run"], 2, "no prompt"),
        (["run", "x", "--nonsense"], 2, "--nonsense"),
        (["-p", "two words", "run", "x"], 2, "agent-host run"),
        (["run", "x", "--resume", "nope"], 2, "no session 'nope'"),
        (["run", "x", "--continue"], 2, "no session yet"),
        (["run", "x", "-C", "nowhere"], 2, "nowhere"),
        (["run", "x", "--json-schema", "no.json"], 2, "no.json"),
        (["run", "x", "--fact", "id:={"], 2, "not JSON"),
        (["run", "x", "--allow", "crn.get"], 2, "no server crn"),
        (["batch", "no.jsonl"], 2, "no.jsonl: cannot be read: No such file"),
        (["demo", "no-such"], 2, "no demo no-such"),
        (["demo", "customer-support"], 2, "--headless PROMPT"),
        (["session", "show", "nope"], 2, "no session 'nope'"),
        (["audit", "verify", "nope"], 2, "no session 'nope'"),
        (["policy", "explain", "crm"], 2, "SERVER.TOOL"),
        ([], 2, "agent-host run PROMPT"),
        (["run", "x", "--config", "no.toml"], 3, "no.toml:1: cannot be read"),
        (["run", "x", "-p", "nope"], 3, "no such profile"),
        (["run", "x", "-m", "opnai/gpt"], 3, "did you mean openai?"),
        (["run", "x", "-m", "anthropik/claude"], 3, "did you mean anthropic?"),
    ],
)
def test_usage_exits_2_and_config_3(host, arguments, code, told):
    done = host(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_project_without_consent_exits_3_and_starts_nothing(host, tmp_path):
    mark = tmp_path / "started"
    text = f'[mcp_servers.x]\ncommand = "python"\nargs = ["-c", "open({str(mark)!r}, \'w\')"]\nsandbox = "workspace"\n'
    (tmp_path / "servers.toml").write_text(text)
    done = host("run", "x")
    assert (done.returncode, "--trust" in done.stderr, mark.exists()) == (3, True, False)
    beside = f"{tmp_path}.state"  # what the host keeps, no server may write
    assert host("run", "x", "--trust", AGENT_HOST_HOME=beside).returncode == 0
    assert mark.exists()


def test_a_project_that_only_tightens_needs_no_consent(host, tmp_path):
    (tmp_path / "servers.toml").write_text('[[rules]]\nserver = "*"\ntool = "*"\nverdict = "deny"\n')
    assert host("run", "x").returncode == 0


def test_a_refused_key_exits_4_and_a_broken_model_7(host, tmp_path):
    with ModelServer(lambda body: [Say("ok")]) as server:
        server.faults.append(Fault(status=401))
        refused = host("run", *configured(tmp_path, server), "x")
        server.faults.append(Fault(status=400))
        broken = host("run", *configured(tmp_path, server), "x")
    assert (refused.returncode, broken.returncode) == (4, 7), refused.stderr + broken.stderr


def test_a_denied_call_exits_5_only_when_asked_for(host, tmp_path):
    with ModelServer(one_call("lean__add", a=1, b=2)) as server:
        where = configured(tmp_path, server, lean(DENY))
        strict = host("run", *where, "--fail-on-denied", "--output-format", "json", "x")
        lax = host("run", *where, "x")
    assert (strict.returncode, lax.returncode) == (5, 0), strict.stderr
    (denial,) = json.loads(strict.stdout)["denials"]
    assert (denial["tool"], "no sums" in denial["reason"]) == ("lean__add", True)


def test_allow_lets_a_call_through_for_this_run(host, tmp_path):
    with ModelServer(one_call("lean__add", a=1, b=2)) as server:
        where = configured(tmp_path, server, lean())
        declined = host("run", *where, "--output-format", "json", "x")
        allowed = host("run", *where, "--output-format", "json", "--allow", "lean.add", "x")
    assert [call["outcome"] for call in json.loads(declined.stdout)["calls"]] == ["declined"]
    assert json.loads(declined.stdout)["denials"][0]["would_allow"] == "--allow 'lean.add'"
    assert [call["outcome"] for call in json.loads(allowed.stdout)["calls"]] == ["ok"]


def test_a_limit_exits_6_and_a_required_server_7(host, tmp_path):
    with ModelServer(one_call("lean__add", a=1, b=2)) as server:
        where = configured(tmp_path, server, lean())
        limited = host("run", *where, "--max-turns", "1", "x")
        broken = lean().replace(str(LEAN), "/no/such/file").replace("[profiles", "required = true\n[profiles")
        absent = host("run", *configured(tmp_path, server, broken), "x")
    assert (limited.returncode, absent.returncode) == (6, 7), limited.stderr + absent.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_the_turn_in_good_order(host, tmp_path, number):
    gate = threading.Event()
    with ModelServer(lambda body: [Say("never")]) as server:
        server.faults.append(Fault(gate=gate))
        arguments = ["run", *map(str, configured(tmp_path, server)), "--output-format", "stream-json", "x"]
        with subprocess.Popen(
            [sys.executable, "-m", "host", *arguments],
            cwd=tmp_path, env=host.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert [json.loads(process.stdout.readline())["kind"] for _ in range(2)] == ["session_opened", "user_said"]
            process.send_signal(number)
            rest = [json.loads(line) for line in process.stdout]
            assert process.wait(30) == 130
        gate.set()
    assert rest[-1]["kind"] == "turn_ended"
    assert rest[-1]["reason"] == "interrupted"


def test_sessions_are_listed_shown_exported_verified_and_deleted(host, tmp_path):
    with ModelServer(lambda body: [Say("the answer")]) as server:
        host("run", *configured(tmp_path, server), "the question")
        host("run", *configured(tmp_path, server), "another question")
    rows = json.loads(host("session", "list", "--output-format", "json").stdout)
    assert [row["title"] for row in rows] == ["another question", "the question"]
    first, second = rows[1]["id"], rows[0]["id"]
    assert "the question" in host("session", "list").stdout
    shown = host("session", "show", first).stdout
    assert "the question" in shown
    assert "the answer" in shown
    lines = host("session", "export", first, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in lines][:2] == ["session_opened", "user_said"]
    assert host("session", "export", first, "--format", "json", "-o", tmp_path / "out.json").stdout == ""
    assert len(json.loads((tmp_path / "out.json").read_text())["events"]) == len(lines)
    assert "the question" in host("audit", "show", first).stdout
    assert host("audit", "verify").returncode == 0
    with sqlite3.connect(tmp_path / "home" / "sessions" / f"{first}.db") as db:
        db.execute("UPDATE event SET body = replace(body, 'question', 'quest') WHERE seq = 2")
    db.close()
    damaged = host("audit", "verify", "--json")
    (found,) = json.loads(damaged.stdout)["damaged"]
    assert (damaged.returncode, found["session"], found["seq"], found["kind"]) == (8, first, 2, "edit")
    assert host("audit", "verify", second).returncode == 0
    assert host("session", "delete", first, second).returncode == 0
    assert host("session", "list").stdout == "no sessions yet\n"


def test_a_session_is_carried_on(host, tmp_path):
    with ModelServer(lambda body: [Say(f"{len(body['input'])} items")]) as server:
        where = configured(tmp_path, server)
        id = json.loads(host("run", *where, "--output-format", "json", "one").stdout)["session"]
        again = host("run", *where, "--resume", id, stdin="two")
        latest = host("run", *where, "-c", "--output-format", "json", "three")
        nothing = host("run", *where, "--resume", id)
    assert again.stdout == "3 items\n"
    assert (json.loads(latest.stdout)["session"], json.loads(latest.stdout)["answer"]) == (id, "5 items")
    assert (nothing.returncode, "no unfinished turn" in nothing.stderr) == (2, True)


def test_a_batch_answers_each_line_in_a_session_of_its_own(host, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"id": 1, "prompt": "a"}\n\n{"id": "two", "prompt": "b"}\n')
    with ModelServer(lambda body: [Say("ok")]) as server:
        done = host("batch", "in.jsonl", *configured(tmp_path, server), "-o", "out.jsonl", "--concurrency", "2")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert (done.returncode, {row["id"] for row in rows}, len({row["session"] for row in rows})) == (0, {1, "two"}, 2)
    assert {row["answer"] for row in rows} == {"ok"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "in.jsonl:2: not JSON"),
        ('{"id": 1}', 'in.jsonl:2: write {"id"'),
        ('{"prompt": "a", "profil": "x"}', "in.jsonl:2: profil: unknown key; did you mean profile?"),
        ('{"prompt": "a", "profile": "x"}', "in.jsonl:2: profile: no profile x"),
    ],
)
def test_a_bad_line_of_a_batch_is_named_before_anything_runs(host, tmp_path, line, told):
    (tmp_path / "in.jsonl").write_text('{"id": 1, "prompt": "a"}\n' + line + "\n")
    done = host("batch", "in.jsonl")
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_policy_explains_a_call_without_starting_a_server(host, tmp_path):
    mark = tmp_path / "started"
    path = tmp_path / "mine.toml"
    path.write_text(
        f'[mcp_servers.crm]\ncommand = "python"\nargs = ["-c", "open({str(mark)!r}, \'w\')"]\n'
        'tools.get = { effect = "read", open = false }\n[[rules]]\nid = "small"\nserver = "crm"\ntool = "refund"\n'
        "args.amount.max = 50\nneeds = ['who']\nverdict = \"allow\"\nmatch = [{ amount = 1 }]\n"
        '[[rules]]\nid = "seven"\nserver = "*"\ntool = "refund"\nargs.amount.equals = 7\nverdict = "ask"\n'
    )

    def explained(*arguments):
        found = json.loads(host("policy", "explain", "--config", path, "--json", *arguments).stdout)
        return found["verdict"], [rule["id"] for rule in found["rules"]]

    assert explained("crm.get") == ("allow", [])
    assert explained("crm.put") == ("ask", [])
    assert explained("crm.refund", "--args", '{"amount": 5}') == ("deny", ["small"])
    assert explained("crm.refund", "--args", '{"amount": 5}', "--fact", "who=me") == ("allow", ["small"])
    assert explained("crm.refund", "--args", '{"amount": 80}', "--fact", "who=me") == ("ask", [])
    told = host("policy", "explain", "--config", path, "crm.refund", "--fact", "who=me", "--args", '{"amount": 7}')
    assert f"rule      seven ({path}:13)" in told.stdout
    assert f"overruled small ({path}:5): allow" in told.stdout
    tested = host("policy", "test", path).stdout
    assert f"{path}:13: rule seven has conditions and no example" in tested
    assert "2 rules, 1 examples" in tested
    path.write_text(path.read_text().replace("amount = 1 ", "amount = 51 "))
    assert "match example" in host("policy", "test", path).stderr
    assert not mark.exists()


def test_a_bypass_that_is_forbidden_is_refused(host, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("forbid_bypass = true")
    done = host("run", "x", "--config", path, "--dangerously-bypass-approvals")
    assert (done.returncode, "forbid_bypass" in done.stderr) == (3, True)


def test_the_schema_is_one_and_fits_what_is_sent(host):
    document = json.loads(host("schema").stdout)
    assert set(document) == {"version", "events", "commands", "config"}
    for name in ("events", "commands", "config"):
        jsonschema_rs.meta.validate(document[name])
    events = jsonschema_rs.validator_for(document["events"])
    said = ev.ModelSaid((Text("a"), ToolCall("1", "t", {"a": 1})), "m/x", "calls", Usage(1, 2))
    asked = ev.Asked("r1", "approval", "crm", call_id="1", arguments={"a": 1}, effect="read", open=True)
    for event in (said, asked, ev.UserSaid((Text("hi"),)), ev.TurnEnded("done"), ev.CallFinished("1", "ok", False)):
        line = json.loads(ev.envelope(ev.Recorded("s", 1, "2026-01-01T00:00:00.000Z", event)))
        events.validate(line)
        assert not events.is_valid({key: value for key, value in line.items() if key != "seq"})
    events.validate(json.loads(ev.live("s", ev.Delta(0, 0, "text", "a"))))
    commands = jsonschema_rs.validator_for(document["commands"])
    assert commands.is_valid({"kind": "say", "text": "x"})
    assert commands.is_valid({"kind": "answer", "request_id": "r", "action": "accept"})
    assert not commands.is_valid({"kind": "say", "txt": "x"})
    assert not commands.is_valid({"kind": "shout", "text": "x"})
    config = jsonschema_rs.validator_for(document["config"])
    assert config.is_valid({"mcp_servers": {"crm": {"command": "python", "tools": {"t": {"effect": "read"}}}}})
    assert not config.is_valid({"mcp_servers": {"crm": {"comand": "python"}}})


def test_a_demo_works_on_a_copy(host, tmp_path):
    names = [line.split()[0] for line in host("demo", "--list").stdout.splitlines()]
    if not names:
        pytest.skip("no demo travels with this checkout")
    before = {path: path.stat().st_mtime_ns for path in (ROOT / "scripts" / "demos").rglob("*") if path.is_file()}
    done = host("demo", names[0], "--headless", "What can you do?")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    copies = list((tmp_path / "home" / "demos" / names[0]).iterdir())
    assert len(copies) == 1
    assert (copies[0] / "servers.toml").is_file()
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_reader_that_had_enough_ends_the_program_quietly(host, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "host", "schema"],
        cwd=tmp_path, env=host.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0
