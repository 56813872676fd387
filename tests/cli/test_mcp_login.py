"""`agent-host mcp login, logout`, as a process, with a browser on another machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2

ROOT = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT / "tests" / "servers"))

from issuer import issuing  # noqa: E402
from web import web  # noqa: E402


def program(home, config, *words):
    env = {"PATH": os.environ["PATH"], "AGENT_HOST_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "host", "mcp", *words, "--config", str(config)]
    return subprocess.Popen(
        command, env=env, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_signed_in_by_pasting_the_server_answers_and_signed_out_it_does_not(tmp_path):
    config = tmp_path / "x.toml"
    with issuing() as issuer, web("modern", issuer=issuer) as server:
        config.write_text(f'[mcp_servers.lean]\nurl = "{server.url}"\n')
        process = program(tmp_path, config, "login", "lean")
        shown = next(line.strip() for line in process.stderr if line.startswith("  http"))
        assert shown.startswith(f"{issuer.url}/authorize?")
        sent = httpx2.get(shown, trust_env=False).headers["location"]
        out, _ = process.communicate(sent + "\n", timeout=30)
        assert (process.returncode, out) == (0, "lean: signed in\n")

        told, _ = program(tmp_path, config, "inspect", "lean", "--json").communicate(timeout=30)
        assert "add" in {tool["name"] for tool in json.loads(told)["tools"]}

        out, _ = program(tmp_path, config, "logout", "lean").communicate(timeout=30)
        assert out == "lean: forgotten\n"
        told, _ = program(tmp_path, config, "inspect", "lean", "--json").communicate(timeout=30)
        assert "agent-host mcp login lean" in json.loads(told)["errors"]["connection"]


def test_a_program_has_nothing_to_sign_in_to(tmp_path):
    config = tmp_path / "x.toml"
    config.write_text('[mcp_servers.lean]\ncommand = "python"\n')
    process = program(tmp_path, config, "login", "lean")
    _, said = process.communicate(timeout=30)
    assert (process.returncode, "nothing to sign in to" in said) == (7, True)
