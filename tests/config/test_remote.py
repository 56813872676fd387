"""A server at an address: what is read, what is kept secret, what a person is shown before it is talked to."""

from host.config import environment, merge, read_files
from host.consent import describe, starts
from host.core.settings import OAuth

TEXT = """
[mcp_servers.web]
url = "https://xn--mnchen-3ya.example/mcp"
headers = { X-Team = "jugs", X-User = "${fact.user}" }
bearer_token_env_var = "WEB_TOKEN"
oauth = { client_id = "c-1", scopes = ["read"] }
"""


def read(tmp_path, monkeypatch):
    monkeypatch.setenv("WEB_TOKEN", "t-0123456789")
    path = tmp_path / "x.toml"
    path.write_text(TEXT)
    files = read_files(environment(), tmp_path, [path], admin=tmp_path / "none")
    return next(file for file in files if file.path == path), merge(files, environment())


def test_address_headers_and_token_are_read_and_the_token_is_a_secret(tmp_path, monkeypatch):
    _, config = read(tmp_path, monkeypatch)
    server = config.servers["web"]
    assert (server.url, server.command) == ("https://xn--mnchen-3ya.example/mcp", "")
    authorization = {"Authorization": "Bearer t-0123456789"}
    assert server.headers == {"X-Team": "jugs", "X-User": "${fact.user}"} | authorization
    assert server.oauth == OAuth("c-1", scopes=("read",))
    assert server.tokens == config.home / "tokens"
    assert config.secrets["WEB_TOKEN"] == "t-0123456789"


def test_consent_shows_the_whole_address_and_the_names_of_headers_and_no_value(tmp_path, monkeypatch):
    file, _ = read(tmp_path, monkeypatch)
    text = "\n".join(describe(file, starts(file)))
    assert "at        https://xn--mnchen-3ya.example/mcp\n" in text
    assert "sends     the headers Authorization, X-Team, X-User\n" in text
    assert "reads     WEB_TOKEN from your environment\n" in text
    assert "t-0123456789" not in text
    assert "starts a program" not in text
