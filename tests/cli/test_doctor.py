"""`agent-host doctor` as a script sees it: what it finds, what it does not send, how it exits."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from held import FREE
from model_server import Call, ModelServer, Say

ROOT = Path(__file__).parent.parent.parent
LEAN = ROOT / "tests" / "servers" / "programs" / "lean.py"
KEY = "sk-canary-0123456789"
BROKEN = f"""[mcp_servers.broken]
command = "python"
args = ["-c", "import sys; sys.exit('no database here')"]
{FREE}"""


@pytest.fixture
def doctor(tmp_path):
    """Runs the doctor in a folder and a home of its own, with what `configured` wrote."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AGENT_HOST_HOME": str(tmp_path / "home")}
    env |= {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}

    def run(text, *arguments, **more):
        (tmp_path / "mine.toml").write_text(text)
        named = ("--config", "mine.toml") if text else ()
        return subprocess.run(
            [sys.executable, "-m", "host", "doctor", *named, *arguments],
            cwd=tmp_path, env=env | more, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    return run


def model(base_url, wire="responses"):
    return f'model = "mine/test-model"\n[providers.mine]\nwire = "{wire}"\napi_key = "{KEY}"\nbase_url = "{base_url}"\n'


def lean(*traits, more=""):
    arguments = ", ".join(f'"{one}"' for one in (LEAN, "modern", *traits))
    return f'[mcp_servers.lean]\ncommand = "python"\nargs = [{arguments}]\n{FREE}{more}'


def report(ran):
    assert ran.stderr == "", ran.stderr
    return json.loads(ran.stdout)


def test_all_well(doctor, tmp_path):
    with ModelServer(lambda body: [Say("no")]) as server:
        ran = doctor(model(server.base_url) + lean(), "--json")
        assert server.requests == [], "a request costs money, and was not asked for"
    assert ran.returncode == 0
    found = report(ran)
    assert (found["ok"], found["code"], found["missing"], found["config"]["problems"]) == (True, 0, [], [])
    assert found["config"]["files"] == [{"path": str(tmp_path / "mine.toml"), "origin": "user", "used": True}]
    told = found["model"]
    assert (told["name"], told["why"]) == ("mine/test-model", "named by servers.toml")
    assert (told["reachable"], told["listed"], told["models"], told["tools"], told["key"]) == (
        True,
        True,
        1,
        None,
        True,
    )
    (one,) = found["servers"]
    assert (one["name"], one["state"], one["protocol"], one["era"]) == ("lean", "ready", "2026-07-28", "modern")
    assert one["tools"] > 0 and one["milliseconds"] > 0
    assert found["machine"]["python"].endswith(sys.version.split()[0])
    assert found["state"]["writable"] and found["state"]["free_bytes"] > 0
    assert not (tmp_path / "home").exists(), "looking makes nothing"


def test_for_a_person_it_says_the_same_and_what_was_not_tried(doctor):
    with ModelServer(lambda body: [Say("no")]) as server:
        ran = doctor(model(server.base_url) + lean())
    assert ran.returncode == 0
    for words in ("mine/test-model: named by servers.toml", "lean: 2026-07-28 (modern)", "costs money", "all is well"):
        assert words in ran.stdout
    assert KEY not in ran.stdout + ran.stderr


@pytest.mark.parametrize("wire", ["responses", "chat", "messages"])
def test_a_probe_sees_a_tool_call_come_back(doctor, wire):
    def decide(body):
        return [Call("probe__repeat", {"word": "harbour"})]

    with ModelServer(decide) as server:
        ran = doctor(model(server.base_url, wire), "--probe", "--json")
        assert len(server.requests) == 1
    assert ran.returncode == 0
    assert report(ran)["model"]["tools"]["works"] is True


def test_a_model_that_only_talks_is_found_out(doctor):
    with ModelServer(lambda body: [Say("harbour")]) as server:
        ran = doctor(model(server.base_url), "--probe", "--json")
    assert ran.returncode == 7
    assert "called nothing" in report(ran)["missing"][0]


def test_a_model_that_is_not_there(doctor):
    ran = doctor(model("http://127.0.0.1:1/v1"), "--json")
    assert ran.returncode == 7
    found = report(ran)
    assert found["model"]["reachable"] is False
    assert "check base_url" in found["missing"][0]


@pytest.mark.parametrize(
    ("status", "code", "words"), [(401, 7, "the key was refused"), (404, 0, "no list"), (302, 0, "no list")]
)
def test_an_endpoint_that_refuses(doctor, status, code, words):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        ran = doctor(model(f"http://127.0.0.1:{server.server_address[1]}/v1"), "--json")
        server.shutdown()
    assert ran.returncode == code
    assert words in report(ran)["model"]["detail"]
    assert asked == [("/v1/models", f"Bearer {KEY}")], "the key goes nowhere else"
    assert KEY not in ran.stdout


def test_a_required_server_that_fails_is_7_with_its_last_words(doctor):
    ran = doctor(BROKEN + "required = true\n" + lean(), "--json")
    assert ran.returncode == 7
    broken, well = report(ran)["servers"]
    assert (broken["state"], broken["required"], broken["stderr"]) == ("failed", True, "no database here")
    assert broken["milliseconds"] is None and well["state"] == "ready"


def test_a_server_that_is_not_required_may_fail(doctor):
    ran = doctor(BROKEN + '[[rules]]\nserver = "brokem"\ntool = "*"\nverdict = "deny"\n')
    assert ran.returncode == 0
    assert "is for brokem: no such server; did you mean broken?" in ran.stdout
    assert "!!  broken: failed" in ran.stdout and "no database here" in ran.stdout
    assert "all is well" not in ran.stdout


def test_one_server_by_name_is_asked_for_and_so_required(doctor):
    ran = doctor(BROKEN + lean(), "broken", "--json")
    assert ran.returncode == 7
    assert [one["name"] for one in report(ran)["servers"]] == ["broken"]
    assert doctor(BROKEN + lean(), "lean").returncode == 0
    ran = doctor(BROKEN + lean(), "lane")
    assert ran.returncode == 2
    assert "did you mean lean?" in ran.stderr


def test_only_the_servers_of_a_profile(doctor):
    text = BROKEN + lean() + '[profiles.p]\nservers = ["lean"]\n'
    assert [one["name"] for one in report(doctor(text, "-p", "p", "--json"))["servers"]] == ["lean"]
    assert doctor(text, "-p", "q").returncode == 3


def test_tools_that_were_set_aside_are_told(doctor):
    (one,) = report(doctor(lean("bad_tool"), "--json"))["servers"]
    ran = doctor(lean("bad_tool"))
    assert set(one["quarantined"]) == {"odd_schema", "no_schema", "deep"}
    for tool in one["quarantined"]:
        assert f"quirk: the tool {tool} is set aside: " in ran.stdout


def test_a_mistake_in_a_file_is_3_with_its_line_and_the_machine_is_told_all_the_same(doctor, tmp_path):
    ran = doctor('model = "mine/x"\n[mcp_servers.a]\ncomand = "x"\n', "--json")
    assert ran.returncode == 3
    found = report(ran)
    assert any(f"{tmp_path / 'mine.toml'}:3" in problem for problem in found["config"]["problems"])
    assert found["machine"]["python"] and found["servers"] == []


def test_a_project_starts_nothing_without_consent(doctor, tmp_path):
    mark = tmp_path / "started"
    (tmp_path / "servers.toml").write_text(
        f'[mcp_servers.s]\ncommand = "python"\nargs = ["-c", "open({str(mark)!r}, \'w\')"]\nsandbox = "workspace"\n'
    )
    ran = doctor("", "--json")
    assert ran.returncode == 3
    assert report(ran)["config"]["files"][0]["used"] is False
    assert not mark.exists()
    doctor("", "--trust", AGENT_HOST_HOME=f"{tmp_path}.state")  # what the host keeps, no server may write
    assert mark.exists()


def test_a_state_folder_that_cannot_be_written(doctor, tmp_path):
    (tmp_path / "file").write_text("")
    ran = doctor(lean(), "--json", AGENT_HOST_HOME=str(tmp_path / "file" / "home"))
    assert ran.returncode == 7
    found = report(ran)
    assert found["state"]["writable"] is False
    assert "cannot be written" in found["missing"][0]


def test_help_tells_of_it():
    ran = subprocess.run(
        [sys.executable, "-m", "host", "doctor", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "costs money" in ran.stdout
