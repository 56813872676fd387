"""Whatever is wrong in a file is told with file, line, key and the nearest thing that is right."""

import pytest

from host.config import environment, merge, read_files
from host.core.errors import ConfigError


def errors(tmp_path, text, merged=False):
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        files = read_files(environment(), tmp_path, [path], admin=tmp_path / "none")
        merge(files, environment())
    return [line.removeprefix(f"{path}:") for line in str(raised.value).splitlines()]


SERVER = '[mcp_servers.crm]\ncommand = "python"\n'
WEB = '[mcp_servers.web]\nurl = "https://x/mcp"\n'
RULE = '[[rules]]\nserver = "*"\ntool = "*"\nverdict = "deny"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('modle = "a/b"', "1: modle: unknown key; did you mean model?"),
        ("[mcp_server.x]", "1: mcp_server: unknown key; did you mean mcp_servers?"),
        (SERVER + 'arg = ["x"]', "3: mcp_servers.crm.arg: unknown key; did you mean args?"),
        (SERVER + "tools.get = { efect = 1 }", "3: mcp_servers.crm.tools.get.efect: unknown key; did you mean effect?"),
        (
            SERVER + 'tools.get = { effect = "reads" }',
            "3: mcp_servers.crm.tools.get.effect: should be 'read', 'write' or 'destructive'; did you mean read?",
        ),
        (
            '[providers.p]\nwire = "responses"\nbase_url = "http://[::1]:9/v1"\nmodels.x = { tool_mode = "schema" }',
            '1: providers.p: tool_mode = "schema" needs wire = "chat"',
        ),
        ("[mcp_servers.crm]\nargs = []", "1: mcp_servers.crm.command: is missing"),
        (SERVER + "startup_timeout_sec = 0", "3: mcp_servers.crm.startup_timeout_sec: should be greater than 0"),
        (SERVER + "startup_timeout_sec = inf", "3: mcp_servers.crm.startup_timeout_sec: not a finite number"),
        (SERVER + 'args = [\n  "a",\n  1,\n]', "5: mcp_servers.crm.args[2]: should be a string"),
        (SERVER + 'args = "a"', "3: mcp_servers.crm.args: should be a list"),
        (SERVER + 'parallel = "yes"', "3: mcp_servers.crm.parallel: should be a boolean"),
        (SERVER + 'cwd = "nowhere"', "3: mcp_servers.crm.cwd: no folder "),
        (SERVER + 'env = { "A=B" = "x" }', '3: mcp_servers.crm.env."A=B": not a name for a variable'),
        (SERVER + 'args = ["\\u0000"]', "3: mcp_servers.crm.args[1]: holds a NUL character"),
        (SERVER + 'args = [\n"${NOT_SET_HERE}"]', "4: mcp_servers.crm.args[1]: the variable NOT_SET_HERE is not set"),
        (SERVER + 'args = ["${a b}"]', "3: mcp_servers.crm.args[1]: ${a b} is no reference"),
        (SERVER + 'sandbox = "tight"', "3: mcp_servers.crm.sandbox: should be 'strict', 'workspace' or 'off'"),
        (SERVER + 'sandbox = "off"\nnetwork = false', "4: mcp_servers.crm.network: false needs a sandbox"),
        (SERVER + 'paths = ["."]', '3: mcp_servers.crm.paths: is for sandbox = "workspace"'),
        (SERVER + 'sandbox = "workspace"\npaths = ["nowhere"]', "4: mcp_servers.crm.paths: there is no "),
        (SERVER + 'default_tools_approval_mode = "always"', "should be 'auto', 'prompt', 'writes' or 'approve'"),
        ('[mcp_servers.web]\nurl = "ftp://x/mcp"', "2: mcp_servers.web.url: should be an address that begins with"),
        ('[mcp_servers.web]\nurl = "https://a:b@x/mcp"', "2: mcp_servers.web.url: a name or password in an address"),
        (WEB + 'command = "python"', "3: mcp_servers.web.command: belongs to a server that is started"),
        (WEB + 'headers = { Host = "y" }', "3: mcp_servers.web.headers.Host: this header is set by the program"),
        (WEB + 'headers = { A = "b\\n" }', "3: mcp_servers.web.headers.A: a header's value is one line of ASCII"),
        (WEB + 'bearer_token_env_var = "NOT_SET_HERE"', "the variable NOT_SET_HERE is not set"),
        (WEB + 'bearer_token = "x"', "3: mcp_servers.web.bearer_token: a token does not stand in a file"),
        (WEB + 'oauth = { client_metadata_url = "http://x/y" }', "should be an https:// address with a path"),
        (
            WEB.replace("https", "http") + 'headers = { X-Api-Key = "0123456789" }',
            "2: mcp_servers.web.url: a secret would travel readable",
        ),
        (SERVER + 'headers = { A = "b" }', "3: mcp_servers.crm.headers: belongs to a server with a url"),
        ('[mcp_servers.host]\ncommand = "x"', "1: mcp_servers.host: this name is the host's own"),
        ('[mcp_servers.a__b]\ncommand = "x"', "1: mcp_servers.a__b: a server's name is"),
        ('[mcp_servers.CRM]\ncommand = "x"', "1: mcp_servers.CRM: a server's name is"),
        ("retention_days = 3", "1: retention_days: deleting by age is not available"),
        ('[providers.x]\nwire = "chta"', "2: providers.x.wire: should be 'responses', 'chat' or"),
        ('[providers.x]\nwire = "chat"', "1: providers.x: base_url is missing"),
        ('[providers.openai]\nwire = "messages"', "1: providers.openai: base_url is missing; at its own address"),
        ('[providers.openai.models."m"]\nreasoning = "deep"', "2: providers.openai.models.m.reasoning: should be"),
        ('fallback = ["anthropic/a", "opnai/b"]', "1: fallback[2]: unknown provider opnai; did you mean openai?"),
        ('[profiles.p]\nfallback = ["x"]', '2: profiles.p.fallback[1]: should be written "provider/model"'),
        ('[providers.x]\nbase_url = "http://x/v1"', "1: providers.x: wire is missing"),
        ('[providers.x]\nwire = "responses"\nbase_url = "x"', "3: providers.x.base_url: should be an address"),
        (
            '[providers.x]\nwire = "chat"\nbase_url = "http://x/v1"\napi_key = "k\\nk"',
            "4: providers.x.api_key: a key is one",
        ),
        ('model = "gpt"', '1: model: should be written "provider/model"'),
        ('model = "opnai/gpt"', "1: model: unknown provider opnai; did you mean openai?"),
        ('model = "anthropik/x"', "1: model: unknown provider anthropik; did you mean anthropic?"),
        (RULE.replace("deny", "denied"), "4: rules[1].verdict: should be 'allow', 'ask' or 'deny'; did you mean deny?"),
        ('[[rules]]\nserver = "*"\nverdict = "deny"', "1: rules[1].tool: is missing"),
        (RULE + "args.a = { maximum = 1 }", "5: rules[1].args.a.maximum: unknown key; did you mean max?"),
        (RULE + "args.a = { max = 'x' }", "1: rules[1]: args.a.max is a number"),
        (RULE + RULE + "args.a = { max = 1 }\nmatch = [{a = 2}]", '5: rules[2]: match example {"a":2} does not match'),
        (RULE + "args.a = { equals = 2020-01-01 }", "5: rules[1].args.a.equals: a date or time is written as a text"),
        (SERVER + '[profiles.p]\nservers = ["crn"]', "4: profiles.p.servers[1]: unknown server crn; did you mean crm?"),
        ('[profiles.p]\nprompt = "no.md"', "2: profiles.p.prompt: cannot read "),
        ("[profiles.p]\nlimits = { turns = 0 }", "2: profiles.p.limits.turns: should be greater than 0"),
        (
            SERVER + '[profiles.p.facts.id]\nfrom = { server = "crm", tool = "t", path = "$[" }',
            "4: profiles.p.facts.id.from.path: not a JSON path",
        ),
        ("a = 1\nb = = 2", "2: not TOML: "),
        ('a = "', "1: not TOML: "),
        ("mcp_servers = 3", "1: mcp_servers: should be a table"),
        ("rules = [1]", "1: rules[1]: should be a table"),
    ],
)
def test_each_mistake_is_told_with_its_place(tmp_path, text, expected):
    assert any(expected in line for line in errors(tmp_path, text))


def test_all_problems_of_all_files_come_at_once(tmp_path):
    first, second = tmp_path / "1.toml", tmp_path / "2.toml"
    first.write_text('modle = 1\n[mcp_servers.a]\ncomand = "x"\n[mcp_servers.host]\ncommand = "${NOPE_A}"')
    second.write_text("retention_days = 2")
    with pytest.raises(ConfigError) as raised:
        read_files(environment(), tmp_path, [first, second], admin=tmp_path / "none")
    text = str(raised.value)
    for part in ("1.toml:1: modle", "1.toml:3: mcp_servers.a.comand", "1.toml:4", "NOPE_A", "2.toml:1: retention_days"):
        assert part in text


def test_a_name_in_two_files_is_an_error_that_names_both(tmp_path):
    first, second = tmp_path / "1.toml", tmp_path / "2.toml"
    first.write_text(SERVER)
    second.write_text("\n" + SERVER)
    with pytest.raises(ConfigError, match=r"2\.toml:2: mcp_servers\.crm: also stands in .*1\.toml:1"):
        merge(read_files(environment(), tmp_path, [first, second], admin=tmp_path / "none"), environment())


def test_a_file_that_is_not_there_or_not_text_is_an_error(tmp_path):
    binary = tmp_path / "b.toml"
    binary.write_bytes(b'a = 1\nb = "\xff"')
    with pytest.raises(ConfigError) as raised:
        read_files(environment(), tmp_path, [tmp_path / "no.toml", binary], admin=tmp_path / "none")
    assert "no.toml:1: cannot be read" in str(raised.value)
    assert "b.toml:2: not UTF-8" in str(raised.value)


def test_a_bad_variable_of_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("AGENT_HOST_TRUST", "perhaps")
    with pytest.raises(ConfigError, match="AGENT_HOST_TRUST"):
        environment()
