"""`agent-host policy`: what would happen to a call, which rule or grant says so, and the grants. Starts no server."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from host.arguments import UsageError
from host.commands.start import begin, facts, terminal_ask
from host.config import environment
from host.config.problems import nearest
from host.config.read import read_file
from host.core.catalog import exposed_name
from host.core.errors import ConfigError, StoreError
from host.core.fold import fold
from host.core.pins import Pin, Pins, ahead, confirmed, spec_of
from host.core.policy import Context, Decision, Rule, decide, judge
from host.core.settings import Config, Profile, ServerConfig
from host.core.state import State
from host.core.types import Grant, ToolSpec
from host.frontends.plain import put_json, say, tell
from host.frontends.view import granted_words
from host.store.audit import load
from host.store.grants import GrantFile
from host.store.host import HostStore

GRANTED_TO = {"run": "for this run", "session": "for its session", "me": "for you, everywhere"}


@dataclass(frozen=True, slots=True)
class Found:
    """The rules that spoke: the strictest, and those that they overrule. The grant that settles what they ask, if there
    is one, with where it is kept and how it is taken back."""

    strictest: list[Rule]
    overruled: list[tuple[Rule, Decision]]
    grants: list[tuple[Grant, str, str]]


def main(options: argparse.Namespace) -> int:
    match options.action:
        case "grants":
            return grants(options)
        case "test":
            return _test(options)
    return _explain(options)


def _explain(options: argparse.Namespace) -> int:
    begun = begin(options, terminal_ask(options), talks=False, starts=False)
    state = fold(begun.resume, load(begun.config.home, begun.resume)) if begun.resume else State()
    name = options.profile or state.profile or "default"
    if name not in begun.config.profiles:
        raise ConfigError(f"session {begun.resume} has profile {name}, which no file has; name another with -p")
    profile = begun.config.profiles[name]
    spec = _spec(options, begun.config, profile)
    arguments = _arguments(options)
    unsettled = state.unsettled_like(spec.name, arguments) is not None
    context = Context(options.mode or state.mode, {**state.facts, **facts(options)}, unsettled, options.bypass)
    given = [Grant(server, tool, scope="run") for server, _, tool in (a.partition(".") for a in options.allow)]
    file = GrantFile(begun.config.home)
    grants = [*state.grants, *given, *_lasting(file, begun.config.servers[spec.server])]
    decision = decide(profile.rules, grants, spec, arguments, context)
    spoke = [(rule, said) for rule in profile.rules if (said := judge(rule, spec, arguments, context.facts))]
    strictest = max((said.verdict for _, said in spoke), default=None)
    used = next((grant for grant in grants if grant.id == decision.grant), None)
    found = Found(
        [r for r, said in spoke if said.verdict is strictest],
        [s for s in spoke if s[1].verdict is not strictest],
        [(used, *_place(used, file, state.session))] if used else [],
    )
    if options.json or options.output_format == "json":
        put_json(_as_json(spec, decision, found))
    else:
        say(*_as_text(spec, decision, found))
    return 0


def _lasting(file: GrantFile, server: ServerConfig) -> list[Grant]:
    """The grants of the file that hold for this server in this folder. A file that cannot be trusted grants nothing,
    as in a session, and says so."""
    try:
        return [grant for grant in file.read() if grant.holds_for(server.identity, str(Path.cwd()))]
    except StoreError as error:
        tell(str(error))
        return []


def _place(grant: Grant, file: GrantFile, session: str) -> tuple[str, str]:
    """Where a grant is kept, and how it is taken back."""
    if grant.scope == "run":
        return "the command line", "leave out --allow"
    if grant.scope == "session":
        return f"session {session}", f"/grants in agent-host --resume {session}"
    return str(file.path), f"agent-host policy grants --revoke {grant.id}"


def _test(options: argparse.Namespace) -> int:
    """Check the rules of these files, or of all that apply here, against their own examples. A rule that disagrees
    is told by the reader of the files, with its place."""
    if options.operands:
        files = [read_file(Path(name), "user", os.environ) for name in options.operands]
        if wrong := [text for file in files for text in file.problems.texts()]:
            raise ConfigError(*wrong)
        lists = [file.rules for file in files] + [p.rules for file in files for p in file.profiles.values()]
    else:
        config = begin(options, terminal_ask(options), talks=False, starts=False).config
        lists = [profile.rules for profile in config.profiles.values()]
    rules = {id(rule): rule for each in lists for rule in each}.values()
    examples = sum(len(rule.match) + len(rule.not_match) for rule in rules)
    bare = [rule for rule in rules if rule.args and not (rule.match or rule.not_match)]
    for rule in bare:
        say(f"{rule.origin}: rule {rule.id} has conditions and no example")
    say(f"{len(rules)} rules, {examples} examples: all agree")
    return 0


def _spec(options: argparse.Namespace, config: Config, profile: Profile) -> ToolSpec:
    """The tool as its lock has it, or as it was met here; of one that never was, what the files say."""
    server, dot, tool = (options.operands[0] if len(options.operands) == 1 else "").partition(".")
    if not (server and dot and tool):
        raise UsageError("policy explain needs SERVER.TOOL")
    if server not in profile.servers:
        raise UsageError(f"no server {server} in profile {profile.name}{nearest(server, profile.servers)}")
    store = HostStore(config.home)
    try:
        pins = replace(config.pins.get(server, Pins()), home=store.pins(config.servers[server].subject))
    finally:
        store.close()
    met = next((spec for spec in ahead(config.servers[server], pins) if spec.remote_name == tool), None)
    blind = Pin.of(tool, {"inputSchema": {}})
    unmet = confirmed(replace(config.servers[server], trust_hints=False), spec_of(server, tool, blind), blind)
    return replace(met or unmet, name=exposed_name(server, tool))


def _arguments(options: argparse.Namespace) -> dict[str, Any]:
    try:
        arguments = json.loads(options.args)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--args: not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise UsageError("--args: not a JSON object")
    return arguments


def _as_json(spec: ToolSpec, decision: Decision, found: Found) -> dict[str, Any]:
    return {
        "tool": spec.name,
        "verdict": decision.verdict.name.lower(),
        "reason": decision.reason,
        "rules": [{"id": rule.id, "origin": rule.origin} for rule in found.strictest],
        "overruled": [
            {"id": rule.id, "origin": rule.origin, "verdict": said.verdict.name.lower(), "reason": said.reason}
            for rule, said in found.overruled
        ],
        "effect": spec.effect,
        "open": spec.open,
        "confirmed": spec.confirmed,
        "grantable": decision.grantable,
        "grant": next(
            ({**_grant_json(grant), "kept": kept, "take_back": back} for grant, kept, back in found.grants), None
        ),
    }


def _as_text(spec: ToolSpec, decision: Decision, found: Found) -> list[str]:
    word = "confirmed" if spec.confirmed else "unconfirmed; its server's own hints may say more"
    return [
        f"{spec.server}.{spec.remote_name}: {decision.verdict.name.lower()}",
        f"  because   {decision.reason}",
        *(f"  rule      {rule.id} ({rule.origin})" for rule in found.strictest),
        *(
            f"  overruled {rule.id} ({rule.origin}): {said.verdict.name.lower()}, {said.reason}"
            for rule, said in found.overruled
        ),
        *(
            line
            for grant, kept, back in found.grants
            for line in (
                f"  grant     {grant.id}  {granted_line(grant)}",
                f"  kept in   {kept}",
                f"  take back {back}",
            )
        ),
        f"  effect    {spec.effect}, {'open' if spec.open else 'closed'} ({word})",
    ]


def grants(options: argparse.Namespace) -> int:
    """List the grants that outlive sessions, or take some back."""
    file = GrantFile(environment().state_folder)
    for id in options.revoke:
        if not file.take_back(id):
            raise UsageError(f"no grant {id}; agent-host policy grants lists them")
    kept = file.read()
    if options.json or options.output_format == "json":
        put_json([_grant_json(grant) for grant in kept])
    elif not options.revoke:
        say(*[f"{grant.id}  {granted_line(grant)}" for grant in kept] or [f"no grants in {file.path}"])
    return 0


def _grant_json(grant: Grant) -> dict[str, Any]:
    return {"id": grant.id} | {name: value for name, value in asdict(grant).items() if value}


def granted_line(grant: Grant) -> str:
    """A grant in one line: which calls, for whom or where, since when."""
    where = f"in {grant.project}" if grant.scope == "project" else GRANTED_TO[grant.scope]
    since = f"  since {grant.at[:10]}" if grant.at else ""
    return f"{grant.server}.{grant.tool}  {granted_words(grant)}  {where}{since}"
