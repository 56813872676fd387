"""`agent-host mcp login, logout`, as a process, with a browser on another machine."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import httpx2

ROOT = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT / "tests" / "servers"))

from issuer import issuing  # noqa: E402
from web import web  # noqa: E402

NO_KEYRING = "keyring.backends.fail.Keyring"
KEYRING = """
import json, os, pathlib
from keyring.backend import KeyringBackend

class Kept(KeyringBackend):
    priority = 5
    path = pathlib.Path(os.environ["AGENT_HOST_HOME"], "ring")
    def _all(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}
    def get_password(self, service, name):
        return self._all().get(f"{service} {name}")
    def set_password(self, service, name, value):
        self.path.write_text(json.dumps(self._all() | {f"{service} {name}": value}))
    def delete_password(self, service, name):
        self.path.write_text(json.dumps({key: v for key, v in self._all().items() if key != f"{service} {name}"}))
"""


def program(home, config, *words, keyring=NO_KEYRING, stdin=subprocess.PIPE, **more):
    env = {"PATH": os.environ["PATH"], "AGENT_HOST_HOME": str(home), "PYTHONPATH": f"{ROOT}{os.pathsep}{home}"}
    env |= {"PYTHON_KEYRING_BACKEND": keyring, **more}
    command = [sys.executable, "-m", "host", "mcp", *words, "--config", str(config)]
    return subprocess.Popen(
        command, env=env, cwd=home, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_signed_in_by_pasting_the_server_answers_and_signed_out_it_does_not(tmp_path):
    config = tmp_path / "x.toml"
    with issuing() as issuer, web("modern", issuer=issuer) as server:
        config.write_text(f'[mcp_servers.lean]\nurl = "{server.url}"\n')
        sign_in(tmp_path, config)

        told, _ = program(tmp_path, config, "inspect", "lean", "--json").communicate(timeout=30)
        assert "add" in {tool["name"] for tool in json.loads(told)["tools"]}

        out, _ = program(tmp_path, config, "logout", "lean").communicate(timeout=30)
        assert out == "lean: forgotten\n"
        told, _ = program(tmp_path, config, "inspect", "lean", "--json").communicate(timeout=30)
        assert "agent-host mcp login lean" in json.loads(told)["errors"]["connection"]


def sign_in(home, config, keyring=NO_KEYRING):
    """Sign in as a person does whose browser is on another machine."""
    process = program(home, config, "login", "lean", keyring=keyring)
    shown = next(line.strip() for line in process.stderr if line.startswith("  http"))
    sent = httpx2.get(shown, trust_env=False).headers["location"]
    out, said = process.communicate(sent + "\n", timeout=60)
    assert (process.returncode, out) == (0, "lean: signed in\n"), said


def test_two_processes_that_renew_a_token_at_once_renew_it_once_and_both_go_on(tmp_path):
    config = tmp_path / "x.toml"
    with issuing() as issuer, web("modern", issuer=issuer) as server:
        config.write_text(f'[mcp_servers.lean]\nurl = "{server.url}"\nheaders = {{ X-Who = "${{WHO:-0}}" }}\n')
        sign_in(tmp_path, config)
        issuer.valid.clear()
        server.received.clear()

        def refused():
            old = [one for one in server.received if one.headers.get("authorization") == "Bearer access-1"]
            return {one.headers["x-who"] for one in old}

        # No new token before both were refused with the old one.
        issuer.held = lambda: refused() != {"1", "2"}
        both = [program(tmp_path, config, "inspect", "lean", "--json", WHO=who) for who in "12"]
        for process in both:
            told, said = process.communicate(timeout=60)
            assert "add" in {tool["name"] for tool in json.loads(told)["tools"]}, said
        assert len(issuer.grants("refresh_token")) == 1
        assert refused() == {"1", "2"}


def test_where_there_is_a_keyring_it_has_the_tokens_and_no_file_does(tmp_path):
    (tmp_path / "kept.py").write_text(KEYRING)
    config = tmp_path / "x.toml"
    with issuing() as issuer, web("modern", issuer=issuer) as server:
        config.write_text(f'[mcp_servers.lean]\nurl = "{server.url}"\n')
        sign_in(tmp_path, config, "kept.Kept")
        assert "access-1" in (tmp_path / "ring").read_text()
        files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "ring"]
        assert not [path for path in files if b"access-1" in path.read_bytes() or b"refresh-1" in path.read_bytes()]
        issuer.valid.clear()
        told, said = program(tmp_path, config, "inspect", "lean", "--json", keyring="kept.Kept").communicate(timeout=60)
        assert "add" in {tool["name"] for tool in json.loads(told)["tools"]}, said
        assert len(issuer.grants("refresh_token")) == 1, "what was kept did for a renewal"
        out, _ = program(tmp_path, config, "logout", "lean", keyring="kept.Kept").communicate(timeout=60)
        assert (out, (tmp_path / "ring").read_text()) == ("lean: forgotten\n", "{}")


def test_a_browser_is_opened_after_the_address_was_seen_with_that_as_its_only_argument(tmp_path):
    config, opened = tmp_path / "x.toml", tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nfor each; do echo "$each" >> {opened}.new; done\nmv {opened}.new {opened}\n')
    browser.chmod(0o700)
    mine, theirs = pty.openpty()
    with issuing() as issuer, web("modern", issuer=issuer) as server:
        config.write_text(f'[mcp_servers.lean]\nurl = "{server.url}"\n')
        process = program(tmp_path, config, "login", "lean", stdin=theirs, BROWSER=str(browser), DISPLAY=":0")
        shown = next(line.strip() for line in process.stderr if line.startswith("  http"))
        assert "/authorize" not in [path for path, _ in issuer.asked] and not opened.exists()
        os.write(mine, b"\n")
        end = time.monotonic() + 20
        while not opened.exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert opened.read_text() == f"{shown}\n"
        sent = httpx2.get(shown, trust_env=False).headers["location"]
        os.write(mine, sent.encode() + b"\n")
        out, said = process.communicate(timeout=60)
        assert out == "lean: signed in\n", said
    os.close(mine)
    os.close(theirs)


def test_a_program_has_nothing_to_sign_in_to(tmp_path):
    config = tmp_path / "x.toml"
    config.write_text('[mcp_servers.lean]\ncommand = "python"\n')
    process = program(tmp_path, config, "login", "lean")
    _, said = process.communicate(timeout=30)
    assert (process.returncode, "nothing to sign in to" in said) == (7, True)
