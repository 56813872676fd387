"""Secrets that a file refers to: in the keyring, a file, a program's output; and where they may stand."""

import json
import os
import select
import shlex
import sys

import pytest

from host.config import environment, merge, read_files
from host.config.references import References
from host.core.errors import ConfigError
from host.core.text import Secrets

KEYRING = """
import json, pathlib
from keyring.backend import KeyringBackend

class Kept(KeyringBackend):
    priority = 5
    def get_password(self, service, name):
        return {"crm/prod": {"ann": "kept-0123"}}.get(service, {}).get(name)
    def set_password(self, service, name, value): ...
    def delete_password(self, service, name): ...
"""


def read(tmp_path, text, project=False):
    path = tmp_path / "servers.toml"
    path.write_text(text)
    files = read_files(environment(), tmp_path, [] if project else [path], admin=tmp_path / "none")
    return merge(files, environment())


def wrong(tmp_path, text, project=False):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, project)
    return str(caught.value)


def said(*argv):
    return "${cmd:" + shlex.join(argv) + "}"


def entry(value, key="env"):
    return f"[mcp_servers.crm]\ncommand = 'python'\n{key} = {{ X = {json.dumps(value)} }}\n"


def test_a_file_and_a_program_are_read_and_what_they_hold_is_a_secret(tmp_path):
    (tmp_path / "token").write_text("from-a-file\n")
    counter = tmp_path / "runs"
    program = "import sys; open(sys.argv[1], 'a').write('x'); print('said;$(id)')"
    word = said(sys.executable, "-c", program, str(counter))
    text = entry("Bearer ${file:token}") + f"args = ['a']\n[providers.openai]\napi_key = {json.dumps(word)}\n"
    text += f"[mcp_servers.b]\ncommand = 'python'\nenv = {{ Y = {json.dumps(word)} }}\n"
    config = read(tmp_path, text)
    assert config.servers["crm"].env == {"X": "Bearer from-a-file"}
    assert config.servers["b"].env["Y"] == config.providers["openai"].api_key == "said;$(id)"
    assert counter.read_text() == "x", "asked once"
    shown = Secrets(config.secrets).clean("it said from-a-file and said;$(id)")
    assert shown.count("⟦secret:") == 2 and "from-a-file" not in shown and "$(id)" not in shown


def test_the_keyring_is_asked_by_service_and_name(tmp_path, monkeypatch):
    (tmp_path / "kept.py").write_text(KEYRING)
    import keyring

    monkeypatch.syspath_prepend(tmp_path)
    before = keyring.get_keyring()
    from kept import Kept

    try:
        keyring.set_keyring(Kept())
        config = read(tmp_path, entry("${keyring:crm/prod/ann}"))
        assert config.servers["crm"].env == {"X": "kept-0123"}
        assert "kept-0123" in config.secrets.values()
        assert "keyring set crm/prod bob" in wrong(tmp_path, entry("${keyring:crm/prod/bob}"))
    finally:
        keyring.set_keyring(before)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("${file:nowhere}", "cannot read"),
        ("${file:empty}", "is empty"),
        ("${file:binary}", "is not UTF-8 text"),
        ("${file:long}", "is longer than 64 KiB"),
        ("${cmd:no-such-program-here}", "no-such-program-here cannot be run"),
        (said(sys.executable, "-c", "exit(3)"), "ended with code 3"),
        ("${cmd:'half}", "No closing quotation"),
        ("${keyring:alone}", "is written keyring:SERVICE/NAME"),
        ("${vault:x}", "is no reference"),
    ],
)
def test_a_reference_that_leads_nowhere_is_an_error_with_its_line(tmp_path, value, words):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_text("x" * 70_000)
    told = wrong(tmp_path, entry(value))
    assert "servers.toml:3: mcp_servers.crm.env.X: " in told
    assert words in told


def test_a_program_that_does_not_end_is_put_down_with_all_it_started(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        look = References(tmp_path, 1.0).value
        with pytest.raises(ValueError, match="sh did not end within 1 s"):
            look("cmd:" + shlex.join(["sh", "-c", "exec 3>fifo; sleep 60 & sleep 60"]))
        os.set_blocking(reading, True)
        ended, _, _ = select.select([reading], [], [], 10)
        assert ended and os.read(reading, 1) == b"", "no process holds the other end"
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[mcp_servers.crm]\ncommand = 'python'\nargs = ['${file:token}']\n", "mcp_servers.crm.args[1]: ${file:token}"),
        ("[mcp_servers.crm]\nurl = 'https://x.example/${file:token}'\n", "a secret stands in env, headers"),
        ("model = '${file:token}'\n", "a secret stands in env, headers"),
        ("[mcp_servers.crm]\ncommand = 'python'\nargs = ['--user=${fact.user}']\n", "args[1]: ${fact.user}: a fact is"),
        ("[mcp_servers.crm]\ncommand = 'python'\ncwd = '${fact.user}'\n", "a fact is filled in in env, headers"),
    ],
)
def test_a_secret_or_a_fact_stands_where_nobody_else_reads_it(tmp_path, text, words):
    (tmp_path / "token").write_text("from-a-file")
    assert words in wrong(tmp_path, text)


@pytest.mark.parametrize("reference", ["${file:token}", "${keyring:a/b}", "${cmd:touch ran}"])
def test_a_project_gets_no_secret_and_runs_nothing_to_be_read(tmp_path, reference):
    (tmp_path / "token").write_text("from-a-file")
    told = wrong(tmp_path, entry(reference), project=True)
    assert "a project's file may not set this" in told
    assert not (tmp_path / "ran").exists()


OAUTH = "[mcp_servers.w]\nurl = 'https://w.example/mcp'\noauth = {{ {} }}\n"
MACHINE = "grant = 'client_credentials', issuer = 'https://i.example', client_id = 'c'"


@pytest.mark.parametrize(
    ("oauth", "words"),
    [
        ("grant = 'client_credentials', client_id = 'c', client_secret = 's'", "oauth.issuer: is missing"),
        (MACHINE, "needs client_secret or private_key, one of the two"),
        (MACHINE + ", client_secret = 's', private_key = 'k'", "needs client_secret or private_key, one of the two"),
        ("private_key = 'k'", 'oauth.private_key: belongs to grant = "client_credentials"'),
        ("grant = 'jwt_bearer', issuer = 'https://i.example', client_id = 'c', client_secret = 's'", "oauth.idp: is"),
        ("issuer = 'http://i.example'", "oauth.issuer: a secret would travel readable"),
    ],
)
def test_what_a_sign_in_without_a_person_lacks_is_named(tmp_path, oauth, words):
    assert words in wrong(tmp_path, OAUTH.format(oauth))
