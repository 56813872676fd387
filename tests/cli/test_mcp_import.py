"""`agent-host mcp import`: entries of other hosts' files, each shown, made valid and without its secrets."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CLAUDE = {
    "mcpServers": {
        "My Files!": {"command": "npx", "args": ["-y", "files@1.0.0", "${HOME}"], "autoApprove": ["read"]},
        "git": {"command": "python", "args": ["serve.py"], "env": {"GIT_TOKEN": "ghp_very_secret", "MODE": "a"}},
        "bad": {"args": []},
    }
}
CODE = {
    "servers": {
        "web": {
            "type": "http",
            "url": "https://web.invalid/mcp",
            "headers": {"Authorization": "Bearer very-secret", "X-Room": "${input:room-name}"},
        }
    }
}
CODEX = '[mcp_servers.docs]\ncommand = "docs-server"\nstartup_timeout_sec = 5\nenabled = false\n'


@pytest.fixture
def imported(tmp_path):
    """Imports a file; exit code, stderr, what stands in servers.toml then."""

    def run(path, text, *words):
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        (tmp_path / "serve.py").touch()
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AGENT_HOST_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, "-m", "host", "mcp", "import", path, *words],
            cwd=tmp_path,
            env=env | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        written = tmp_path / "home" / "servers.toml"
        text = written.read_text() if written.exists() else ""
        return done.returncode, done.stderr, text

    return run


def test_each_entry_is_shown_made_valid_and_loses_its_secrets(imported, tmp_path):
    code, told, text = imported(".mcp.json", json.dumps(CLAUDE), "--trust")
    found = tomllib.loads(text)["mcp_servers"]
    assert code == 3 and "bad" not in found and "bad was not added" in told
    assert found["my-files"] == {
        "command": "npx",
        "args": ["-y", "files@1.0.0", "${HOME}"],
        "tools": {"read": {"approval_mode": "approve"}},
    }
    assert found["git"]["env"] == {"GIT_TOKEN": "${GIT_TOKEN:-}", "MODE": "a"}
    assert found["git"]["cwd"] == str(tmp_path)
    assert "My Files! is called my-files here" in told and "allows nothing here; agent-host lock" in told
    assert "set GIT_TOKEN" in told and '["python", "serve.py"]' in told
    assert "ghp_very_secret" not in text + told


def test_nothing_is_written_without_a_yes(imported):
    code, told, text = imported(".mcp.json", json.dumps(CLAUDE))
    assert code == 3 and text == "" and "--trust" in told


def test_files_of_vs_code_and_codex(imported):
    code, told, text = imported(".vscode/mcp.json", json.dumps(CODE), "--trust")
    assert code == 0, told
    headers = {"Authorization": "Bearer ${WEB_AUTHORIZATION:-}", "X-Room": "${ROOM_NAME:-}"}
    assert tomllib.loads(text)["mcp_servers"]["web"] == {"url": "https://web.invalid/mcp", "headers": headers}
    assert "set ROOM_NAME" in told
    code, told, text = imported("config.toml", CODEX, "--trust")
    assert code == 0 and '["docs-server"]' in told, told
    docs = {"command": "docs-server", "startup_timeout_sec": 5, "enabled": False}
    assert tomllib.loads(text)["mcp_servers"]["docs"] == docs


def test_a_file_without_servers_is_told_so(imported):
    assert "names no servers" in imported("x.json", "{}")[1]
    assert "cannot be read" in imported("x.json", "// no\n{}")[1]
