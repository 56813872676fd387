"""Files of admin, user and project: what one forbids no other allows, in whatever order and number they come."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.config import environment, merge, read_files, tightening
from host.config.read import read_file
from host.core.errors import ConfigError
from host.core.policy import Context, decide
from host.core.types import ToolSpec

SPECS = [
    ToolSpec(f"crm__{tool}", "crm", tool, effect=effect, open=False, confirmed=True)
    for tool, effect in (("get", "read"), ("add", "write"), ("drop", "destructive"))
]
RULE = st.fixed_dictionaries(
    {
        "server": st.sampled_from(["crm", "*", "other"]),
        "tool": st.sampled_from(["get", "add", "d*", "*"]),
        "verdict": st.sampled_from(["allow", "ask", "deny"]),
        "args": st.sampled_from(["{}", "{ n = { max = 5 } }", '{ n = { equals = "${fact.n}" } }']),
    }
)
FILE = st.fixed_dictionaries(
    {
        "rules": st.lists(RULE, max_size=3),
        "forbid_bypass": st.booleans(),
        "require_sandbox": st.booleans(),
        "turns": st.none() | st.integers(1, 9),
    }
)


def written(path, file):
    lines = [f"{key} = {str(file[key]).lower()}" for key in ("forbid_bypass", "require_sandbox")]
    lines += [f"limits.turns = {file['turns']}"] if file["turns"] else []
    for rule in file["rules"]:
        lines += ["[[rules]]", *(f"{key} = {v if key == 'args' else repr(v)}" for key, v in rule.items())]
    path.write_text("\n".join(lines))
    return path


def verdicts(config):
    contexts = [Context(mode, facts) for mode in ("read-only", "ask", "auto") for facts in ({}, {"n": 3})]
    decisions = [decide(config.rules, (), s, {"n": n}, c) for s in SPECS for n in (3, 9) for c in contexts]
    return [(d.verdict, bool(d.rules)) for d in decisions]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(FILE, st.sampled_from(["admin", "user", "project"])), min_size=1, max_size=3), FILE)
def test_one_more_file_never_loosens_what_rules_of_others_said(tmp_path, files, more):
    paths = [(written(tmp_path / f"{n}.toml", file), origin) for n, (file, origin) in enumerate(files)]
    before = [read_file(path, origin, {}) for path, origin in paths]
    for origin in ("admin", "user", "project"):
        added = read_file(written(tmp_path / "more.toml", more), origin, {})
        for one in (added, tightening(added)):
            old, new = merge(before, environment()), merge([*before, one], environment())
            for (was, ruled), (now, _) in zip(verdicts(old), verdicts(new), strict=True):
                assert now >= was or not ruled
            assert new.forbid_bypass >= old.forbid_bypass
            assert new.require_sandbox >= old.require_sandbox
            assert new.ceiling.get("turns", 99) <= old.ceiling.get("turns", 99)
            assert all(profile.rules[: len(new.rules)] == new.rules for profile in new.profiles.values())


ALLOWED = """
allowed_servers = [
    { command = ["python", "/opt/crm/*.py"] },
    { url = "https://mcp.example.com/*" },
]
[mcp_servers.own]
command = "/opt/own"
enabled = false
"""
CRM = '[mcp_servers.crm]\ncommand = "python"\nargs = ["/opt/crm/server.py"]\n'


@pytest.mark.parametrize(
    ("entry", "taken"),
    [
        (CRM, True),
        (CRM.replace("/opt/crm/", "/opt/crm-evil/"), False),
        (CRM.replace('server.py"', 'server.py", "--debug"'), False),
        (CRM.replace('"python"', '"/opt/own"'), False),
        (CRM + "enabled = false", True),
        ('[mcp_servers.crm]\nurl = "https://mcp.example.com/crm"\n', True),
        ('[mcp_servers.crm]\nurl = "https://mcp.example.com.evil.example/crm"\n', False),
    ],
)
def test_servers_that_are_not_on_the_list_are_refused_by_name_and_place(tmp_path, entry, taken):
    admin, mine = tmp_path / "admin.toml", tmp_path / "mine.toml"
    admin.write_text(ALLOWED)
    mine.write_text(entry)
    if taken:
        merge(read_files(environment(), tmp_path, [mine], admin=admin), environment())
    else:
        with pytest.raises(
            ConfigError, match=r"mine\.toml:1: mcp_servers\.crm: not among the allowed_servers of .*admin"
        ):
            merge(read_files(environment(), tmp_path, [mine], admin=admin), environment())


def test_a_second_admin_file_forbids_more_and_allows_no_more(tmp_path, monkeypatch):
    admin, second, mine = tmp_path / "admin.toml", tmp_path / "second.toml", tmp_path / "mine.toml"
    admin.write_text("allowed_servers = []\nlimits.turns = 5\n")
    second.write_text("forbid_bypass = true\nlimits.turns = 50\n" + CRM)
    mine.write_text("limits.turns = 9\n")
    monkeypatch.setenv("AGENT_HOST_ADMIN", str(second))
    with pytest.raises(ConfigError, match="crm: not among the allowed_servers"):
        merge(read_files(environment(), tmp_path, [mine], admin=admin), environment())
    second.write_text("forbid_bypass = true\nlimits.turns = 50\n")
    config = merge(read_files(environment(), tmp_path, [mine], admin=admin), environment())
    assert (config.forbid_bypass, config.ceiling) == (True, {"turns": 5})
    monkeypatch.setenv("AGENT_HOST_ADMIN", str(tmp_path / "absent.toml"))
    with pytest.raises(ConfigError, match="absent"):
        read_files(environment(), tmp_path, [mine], admin=admin)


def test_where_a_sandbox_is_required_no_server_starts_without_one(tmp_path):
    admin, mine = tmp_path / "admin.toml", tmp_path / "mine.toml"
    admin.write_text("require_sandbox = true\n")
    mine.write_text(CRM + 'sandbox = "off"\n')
    with pytest.raises(ConfigError, match=r"crm: .* requires a sandbox"):
        merge(read_files(environment(), tmp_path, [mine], admin=admin), environment())
