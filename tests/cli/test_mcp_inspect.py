"""`agent-host mcp inspect`: what a server says of itself, over real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LEAN = ROOT / "tests" / "servers" / "programs" / "lean.py"
ON_SDK = ROOT / "tests" / "servers" / "programs" / "on_sdk.py"
KEYS = {"name", "protocol", "server", "capabilities", "tools", "resources", "prompts", "errors", "quirks"}


@pytest.fixture
def inspect(tmp_path):
    """Runs `mcp inspect it` with one server; exit code, stdout, stderr."""

    def run(*command, words=("--json",), env=None):
        file = tmp_path / "servers.toml"
        file.write_text(f"[mcp_servers.it]\ncommand = {json.dumps(command[0])}\nargs = {json.dumps(command[1:])}\n")
        done = subprocess.run(
            [sys.executable, "-m", "host", "mcp", "inspect", "it", "--config", file, *words],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "AGENT_HOST_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
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
    _, out, _ = inspect("python", str(LEAN), "legacy", "dies_on_discover", "bad_tool")
    quirks = json.loads(out)["quirks"]
    assert any("second time" in quirk for quirk in quirks)
    assert any("odd_schema" in quirk for quirk in quirks)


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
