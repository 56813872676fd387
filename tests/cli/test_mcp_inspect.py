"""`agent-host mcp inspect`: what a server says of itself, over real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from held import FREE

ROOT = Path(__file__).parent.parent.parent
LEAN = ROOT / "tests" / "servers" / "programs" / "lean.py"
ON_SDK = ROOT / "tests" / "servers" / "programs" / "on_sdk.py"
KEYS = {"name", "protocol", "server", "capabilities", "tools", "resources", "prompts", "errors", "quirks", "wire"}


@pytest.fixture
def inspect(tmp_path):
    """Runs `mcp inspect it` with one server; exit code, stdout, stderr."""

    def run(*command, words=("--json",), keys="", env=None):
        file = tmp_path / "servers.toml"
        entry = f"[mcp_servers.it]\ncommand = {json.dumps(command[0])}\nargs = {json.dumps(command[1:])}\n{FREE}"
        file.write_text(entry + keys)
        home = {"PATH": os.environ["PATH"], "AGENT_HOST_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "host", "mcp", "inspect", "it", "--config", file, *words],
            cwd=tmp_path,
            env=home | (env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize(("era", "protocol"), [("modern", "2026-07-28"), ("legacy", "2025-11-25")])
def test_it_tells_the_protocol_and_every_list(inspect, era, protocol):
    says = {"modern": {"name": None, "version": None}, "legacy": {"name": "lean", "version": "1"}}  # modern may not
    code, out, _ = inspect("python", str(LEAN), era, "pages")
    found = json.loads(out)
    assert code == 0 and found.keys() >= KEYS
    assert (found["name"], found["protocol"], found["server"]) == ("it", protocol, says[era])
    assert {"add", "wrong"} <= {tool["name"] for tool in found["tools"]}
    add = next(tool for tool in found["tools"] if tool["name"] == "add")
    assert add["inputSchema"]["properties"]["a"] == {"type": "integer"}
    assert found["resources"] == [] and "resources" in found["errors"]
    assert found["prompts"] == [] and "prompts" not in found["errors"]


def test_a_list_that_fails_is_empty_with_its_error(inspect):
    code, out, _ = inspect("python", str(LEAN), "modern", "no_listing")
    found = json.loads(out)
    assert code == 0 and found["tools"] == [] and "no list today" in found["errors"]["tools"]
    code, out, _ = inspect("python", str(LEAN), "modern", "endless_pages")
    assert code == 0 and "does not end" in json.loads(out)["errors"]["tools"]


def test_quirks_name_what_is_odd(inspect):
    _, out, _ = inspect("python", str(LEAN), "legacy", "dies_on_discover", "bad_tool", "chatters", "raises")
    quirks = "\n".join(json.loads(out)["quirks"])
    assert "second time" in quirks
    assert "the tool odd_schema is set aside: inputSchema" in quirks
    assert "lines on its stdout were not messages; the last: I am ready" in quirks
    assert "it wrote a traceback to stderr; its last line there: KeyError: 'config'" in quirks
    _, out, _ = inspect("python", str(LEAN), "modern", "no_result_type", "endless_pages")
    quirks = "\n".join(json.loads(out)["quirks"])
    assert "its result of tools/list has no resultType" in quirks
    assert "it does not say its name and version" in quirks
    _, out, _ = inspect("python", str(LEAN), "modern", "endless_pages")
    assert "tools/list does not end" in "\n".join(json.loads(out)["quirks"])


def test_the_messages_are_told_with_times_and_without_secrets(inspect):
    keys = 'env = { VERSION = "${DEPLOY_TOKEN}" }\n'
    env = {"DEPLOY_TOKEN": 'top"secret-\x1b[2J'}
    _, out, _ = inspect("python", str(LEAN), "legacy", keys=keys, env=env)
    assert "secret-" not in out
    wire = json.loads(out)["wire"]
    said = [(each["way"], each["frame"].get("method")) for each in wire[:4]]
    assert said == [("out", "server/discover"), ("in", None), ("out", "initialize"), ("in", None)]
    assert wire[3]["frame"]["result"]["serverInfo"] == {"name": "lean", "version": "⟦secret:DEPLOY_TOKEN⟧"}
    assert [each["ms"] for each in wire] == sorted(each["ms"] for each in wire)
    assert all(each["bytes"] > 20 for each in wire)
    long = next(each for each in wire if isinstance(each["frame"], str))
    assert long["frame"].endswith("characters more, shown by --wire") and long["bytes"] > 2000
    _, out, _ = inspect("python", str(LEAN), "legacy", words=("--json", "--wire"))
    assert any(each["frame"].get("result", {}).get("tools") for each in json.loads(out)["wire"])
    _, out, _ = inspect("python", str(LEAN), "legacy", keys=keys, env=env, words=("--wire",))
    assert ' ms → {"jsonrpc":"2.0"' in out and "⟦secret:DEPLOY_TOKEN⟧" in out
    assert "secret-" not in out and "\x1b" not in out


def test_templates_of_a_server_on_the_sdk(inspect):
    code, out, _ = inspect("python", str(ON_SDK))
    found = json.loads(out)
    assert code == 0 and found["errors"] == {} and found["server"]["name"] == "on-sdk"
    assert [each["uriTemplate"] for each in found["resource_templates"]] == ["note://{name}"]


def test_a_server_that_cannot_be_had_is_seven_and_the_keys_are_there(inspect):
    code, out, _ = inspect("no-such-command-anywhere")
    found = json.loads(out)
    assert code == 7 and found.keys() >= KEYS and found["protocol"] is None
    assert "no-such-command-anywhere" in found["errors"]["connection"]
    code, out, _ = inspect("python", "-c", "import sys; sys.exit('it \\x1b[2J is broken')", words=())
    assert code == 7 and "is broken" in out and "\x1b" not in out


def test_a_server_that_nobody_knows_is_a_mistake_of_usage(inspect):
    assert inspect("python", words=("--json", "-C", "/no/such/folder"))[0] == 2
