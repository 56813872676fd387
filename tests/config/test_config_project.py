"""A project's file may only tighten: what would loosen is ignored, with its place."""

from host.config.read import read_file
from host.core.policy import Context, Verdict, decide
from host.core.types import ToolSpec

SERVER = '[mcp_servers.own]\ncommand = "x"\n'
ALLOW = '[[rules]]\nserver = "{}"\ntool = "*"\nverdict = "allow"\n'


def test_what_it_allows_and_trusts_beyond_its_own_servers_is_ignored_with_its_place(tmp_path):
    path = tmp_path / "servers.toml"
    in_profile = ALLOW.format("*").replace("rules", "profiles.p.rules")
    text = SERVER + "trust_hints = true\n" + ALLOW.format("*") + ALLOW.format("mail") + "[profiles.p]\n" + in_profile
    path.write_text(text)
    file = read_file(path, "project", {})
    places = ["3: mcp_servers.own.trust_hints", "5: rules[1].server", "9: rules[2].server"]
    places.append("14: profiles.p.rules[1].server")
    assert file.problems.texts() == []
    assert [
        one.removeprefix(f"{path}:").split(": ignored")[0].split(": a project")[0] for one in file.ignored
    ] == places
    assert not file.servers["own"].trust_hints
    for rules in (file.rules, file.profiles["p"].rules):
        for server, verdict in (("own", Verdict.ALLOW), ("mail", Verdict.ASK)):
            assert decide(rules, (), ToolSpec("x", server, "send"), {}, Context()).verdict is verdict
    mine = read_file(path, "user", {})
    assert mine.ignored == [] and mine.servers["own"].trust_hints
    assert decide(mine.rules, (), ToolSpec("x", "mail", "send"), {}, Context()).verdict is Verdict.ALLOW


def test_what_tightens_and_what_concerns_its_own_servers_is_taken(tmp_path):
    path = tmp_path / "servers.toml"
    strict = ALLOW.format("*").replace("allow", "deny") + ALLOW.format("mail").replace("allow", "ask")
    path.write_text("forbid_bypass = true\n" + SERVER + "tools.a.effect = 'read'\n" + ALLOW.format("own") + strict)
    file = read_file(path, "project", {})
    assert file.problems.texts() == file.ignored == []
    assert len(file.rules) == 3
