"""What a right file comes to: values, precedence of files, and what a project's file may not do."""

import pytest

from host.config import choose_model, environment, loosens, merge, read_files, tightening
from host.config.local import USUAL
from host.core.errors import ConfigError
from host.core.policy import Verdict
from host.core.settings import FactSource, ToolSettings


def load(tmp_path, *texts, base=""):
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.toml")
        paths[-1].write_text(text)
    return merge(read_files(environment(), tmp_path, paths, admin=tmp_path / "none"), environment(), base)


WHOLE = """
model = "mine/big"
[providers.mine]
wire = "responses"
base_url = "http://127.0.0.1:8080/v1/"
api_key = "${MY_KEY:-}"
models."big" = { context = 1000, price_in = 1 }
[mcp_servers.crm]
command = "bin/serve"
args = ["$${HOME}", "${WHO}"]
env = { CRM_TOKEN = "${CRM_TOKEN}", PLAIN = "text" }
env_vars = ["OTHER"]
cwd = "data"
tool_timeout_sec = 5
enabled_tools = []
sandbox = "off"
tools.get_order = { effect = "read", open = false, timeout_sec = 2.5 }
[mcp_servers.idle]
command = "python"
enabled = false
[profiles.support]
servers = ["crm", "idle"]
prompt = "p.md"
description = "Support"
limits = { turns = 4, usd = 1 }
recording = "r.json"
facts.customer_id.from = { server = "crm", tool = "identify", path = "$.id" }
facts.user = {}
[[profiles.support.rules]]
server = "crm"
tool = "refund"
args = { amount = { max = 50 }, customer_id = { equals = "${fact.customer_id}" }, way = { in = ["a"] } }
needs = ["customer_id"]
verdict = "allow"
match = [{ amount = 20, way = "a" }]
not_match = [{ amount = 80, way = "a" }]
[[rules]]
id = "mine"
server = "*"
tool = "drop_*"
verdict = "deny"
"""


@pytest.fixture
def whole(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "p.md").write_text("Be kind.\n")
    monkeypatch.setenv("WHO", "me")
    monkeypatch.setenv("CRM_TOKEN", "canary-secret")
    return load(tmp_path, WHOLE, base="Base.")


def test_a_server_is_resolved_against_the_folder_of_its_file(whole, tmp_path):
    crm = whole.servers["crm"]
    assert crm.command == str(tmp_path / "bin/serve")
    assert crm.args == ("${HOME}", "me")
    assert crm.cwd == tmp_path / "data"
    assert (crm.tool_timeout, crm.startup_timeout) == (5.0, 20.0)
    assert crm.enabled_tools == ()
    assert crm.tools == {"get_order": ToolSettings("read", False, 2.5)}
    assert whole.servers["idle"].command == "python"
    assert whole.servers["idle"].cwd == tmp_path


def test_a_profile_has_base_prompt_facts_rules_and_only_enabled_servers(whole, tmp_path):
    support = whole.profiles["support"]
    assert support.servers == ("crm",)
    assert support.prompt == "Base.\n\nBe kind."
    assert (support.limits.turns, support.limits.usd) == (4, 1.0)
    assert support.facts == {"customer_id": FactSource("crm", "identify", "$.id"), "user": None}
    assert [rule.id for rule in support.rules] == ["mine", "support.1"]
    assert support.rules[1].origin == f"{tmp_path / '0.toml'}:29"
    assert support.rules[1].args["way"] == {"in": ["a"]}
    assert support.recording == tmp_path / "r.json"


def test_without_a_default_profile_there_is_one_of_all_enabled_servers_and_top_rules(whole):
    default = whole.profiles["default"]
    assert (default.servers, default.prompt, default.rules) == (("crm",), "Base.", whole.rules)


def test_secrets_are_the_values_behind_names_that_say_so(whole):
    assert whole.secrets == {"CRM_TOKEN": "canary-secret"}


def test_a_provider_of_ones_own_and_the_built_in_ones(whole, monkeypatch, tmp_path):
    mine = whole.providers["mine"]
    assert (mine.base_url, mine.api_key, mine.models["big"]) == (
        "http://127.0.0.1:8080/v1",
        None,
        {"context": 1000, "price_in": 1.0},
    )
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    config = load(tmp_path, "")
    assert set(config.providers) == {"openai", "anthropic", "offline", *USUAL}
    assert (config.providers["openai"].api_key, config.providers["openai"].base_url) == (
        "sk-canary",
        "http://127.0.0.1:1/v1",
    )
    assert config.secrets == {"OPENAI_API_KEY": "sk-canary"}
    monkeypatch.setenv("OPENAI_API_KEY", "sk\ncanary")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY: a key is one line"):
        load(tmp_path, "")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://proxy.example", "https://proxy.example/v1"),
        ("https://proxy.example/anthropic/", "https://proxy.example/anthropic/v1"),
        ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
    ],
)
def test_the_anthropic_provider_is_built_in_and_its_address_may_come_without_the_version(monkeypatch, given, used):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-canary")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", given)
    config = merge([], environment())
    anthropic = config.providers["anthropic"]
    assert (anthropic.wire, anthropic.base_url, anthropic.api_key) == ("messages", used, "sk-ant-canary")
    assert config.secrets == {"ANTHROPIC_API_KEY": "sk-ant-canary"}


def test_a_wire_of_ones_own_choice(tmp_path):
    text = '[providers.x]\nwire = "{0}"\nbase_url = "http://x/v1"\n[providers.openai]\nwire = "chat"\n'
    for wire in ("responses", "chat", "messages"):
        providers = load(tmp_path, text.format(wire)).providers
        assert (providers["x"].wire, providers["openai"].wire) == (wire, "chat")


def test_models_to_fall_back_on_hold_for_every_profile_that_names_none_of_its_own(tmp_path):
    text = 'fallback = ["openai/a", "anthropic/b"]\n[profiles.p]\nservers = []\n'
    text += '[profiles.q]\nservers = []\nfallback = ["offline/c"]\n[profiles.r]\nservers = []\nfallback = []\n'
    profiles = load(tmp_path, text).profiles
    common = ("openai/a", "anthropic/b")
    assert {name: profiles[name].fallback for name in ("default", "p", "q", "r")} == {
        "default": common,
        "p": common,
        "q": ("offline/c",),
        "r": (),
    }


def test_the_model_is_flag_then_environment_then_file_then_key_then_offline(whole, monkeypatch):
    def chosen(flag=None, config=whole):
        return choose_model(flag, config, environment())

    bare = merge([], environment())
    assert chosen(config=bare)[0] == "offline/planner"
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert chosen(config=bare)[0].startswith("openai/")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
    assert chosen(config=bare)[0].startswith("anthropic/claude-")
    assert "ANTHROPIC_API_KEY" in chosen(config=bare)[1]
    assert chosen()[0] == "mine/big"
    monkeypatch.setenv("AGENT_HOST_MODEL", "offline/other")
    assert chosen()[0] == "offline/other"
    assert chosen("openai/x")[0] == "openai/x"
    with pytest.raises(ConfigError, match="did you mean mine"):
        chosen("mime/x")


def test_admin_user_and_project_rules_add_up_and_keep_their_numbers(tmp_path):
    env = environment()
    env.user_file.parent.mkdir(parents=True)
    rule = '[[rules]]\nserver = "*"\ntool = "{0}"\nverdict = "ask"\n'
    admin = tmp_path / "admin.toml"
    admin.write_text("forbid_bypass = true\n" + rule.format("a"))
    env.user_file.write_text('model = "openai/x"\n' + rule.format("u"))
    (tmp_path / "servers.toml").write_text(rule.format("p"))
    config = merge(read_files(env, tmp_path, admin=admin), env)
    assert [(rule.id, rule.tool) for rule in config.rules] == [("rules.1", "a"), ("rules.2", "u"), ("rules.3", "p")]
    assert config.forbid_bypass
    assert config.model == "openai/x"


def test_named_files_stand_for_user_and_project_but_not_for_admin(tmp_path):
    env = environment()
    env.user_file.parent.mkdir(parents=True)
    env.user_file.write_text('model = "openai/user"')
    (tmp_path / "servers.toml").write_text('model = "openai/project"')
    admin, named = tmp_path / "admin.toml", tmp_path / "named.toml"
    admin.write_text("forbid_bypass = true")
    named.write_text('model = "openai/named"')
    files = read_files(env, tmp_path, [named], admin=admin)
    assert [(file.path, file.origin) for file in files] == [(admin, "admin"), (named, "user")]


PROJECT = """
model = "openai/x"
[mcp_servers.crm]
command = "python"
trust_hints = true
[profiles.default]
[[rules]]
server = "*"
tool = "*"
verdict = "allow"
[[rules]]
server = "*"
tool = "drop"
verdict = "deny"
"""


def test_of_a_project_without_consent_only_what_tightens_is_left(tmp_path):
    (tmp_path / "servers.toml").write_text(PROJECT)
    env = environment()
    (project,) = read_files(env, tmp_path, admin=tmp_path / "none")
    assert project.origin == "project"
    assert loosens(project)
    config = merge([tightening(project)], env)
    assert (config.model, dict(config.servers), set(config.profiles)) == (None, {}, {"default"})
    assert [(rule.tool, rule.verdict) for rule in config.rules] == [("drop", Verdict.DENY)]
    assert not loosens(tightening(project))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[providers.openai]\nbase_url = "http://evil/v1"', "1: providers.openai"),
        ('[mcp_servers.a]\ncommand = "x"\nenv_vars = ["AWS_SECRET"]', "3: mcp_servers.a.env_vars"),
        ('[mcp_servers.a]\ncommand = "x"\nargs = ["${OPENAI_API_KEY:-}"]', "1: mcp_servers.a"),
    ],
)
def test_a_project_may_move_neither_endpoints_nor_keys(tmp_path, text, where):
    project = tmp_path / "servers.toml"
    project.write_text(text)
    with pytest.raises(ConfigError, match=f"{where}.*--config"):
        read_files(environment(), tmp_path, admin=tmp_path / "none")
    assert read_files(environment(), tmp_path, [project], admin=tmp_path / "none")


def test_a_project_may_not_send_the_model_a_file_from_elsewhere(tmp_path):
    secret, folder = tmp_path / "secret", tmp_path / "project"
    secret.write_text("canary")
    folder.mkdir()
    (folder / "link.md").symlink_to(secret)
    for prompt in ("../secret", str(secret), "link.md"):
        (folder / "servers.toml").write_text(f'[profiles.p]\nprompt = "{prompt}"')
        with pytest.raises(ConfigError, match=r"2: profiles\.p\.prompt: .* lies outside the project"):
            read_files(environment(), folder, admin=tmp_path / "none")
