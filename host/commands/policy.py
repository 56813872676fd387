"""`agent-host policy`: what would happen to a call, and which rule says so. Starts no server."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from host.arguments import UsageError
from host.commands.start import begin, facts, terminal_ask
from host.config.problems import nearest
from host.core.policy import Context, Decision, Rule, decide, presumed_effect
from host.core.settings import Config, Profile, ToolSettings
from host.core.types import Grant, ToolSpec


def main(options: argparse.Namespace) -> int:
    config = begin(options, terminal_ask(options), talks=False).config
    if options.action == "test":
        return _test(config)
    profile = config.profiles[options.profile or "default"]
    spec = _spec(options, config, profile)
    arguments = _arguments(options)
    grants = [Grant(server, tool, scope="run") for server, _, tool in (a.partition(".") for a in options.allow)]
    context = Context(options.mode or "ask", facts(options), bypass=options.bypass)
    decision = decide(profile.rules, grants, spec, arguments, context)
    if options.json or options.output_format == "json":
        sys.stdout.write(json.dumps(_as_json(spec, decision, profile.rules), ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(_as_text(spec, decision, profile.rules))
    return 0


def _test(config: Config) -> int:
    """Examples were checked when the files were read: a rule that disagrees with its own never gets here."""
    rules = {id(rule): rule for profile in config.profiles.values() for rule in profile.rules}.values()
    examples = sum(len(rule.match) + len(rule.not_match) for rule in rules)
    sys.stdout.write(f"{len(rules)} rules, {examples} examples: all agree\n")
    return 0


def _spec(options: argparse.Namespace, config: Config, profile: Profile) -> ToolSpec:
    """The tool as far as the files tell: what it says of itself is only known when its server runs."""
    server, dot, tool = (options.tool or "").partition(".")
    if not (server and dot and tool):
        raise UsageError("policy explain needs SERVER.TOOL")
    if server not in profile.servers:
        raise UsageError(f"no server {server} in profile {profile.name}{nearest(server, profile.servers)}")
    said = config.servers[server].tools.get(tool, ToolSettings())
    effect, opened, confirmed = presumed_effect({}, (said.effect, said.open), False)
    return ToolSpec(f"{server}__{tool}", server, tool, effect=effect, open=opened, confirmed=confirmed)


def _arguments(options: argparse.Namespace) -> dict[str, Any]:
    try:
        arguments = json.loads(options.args)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--args: not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise UsageError("--args: not a JSON object")
    return arguments


def _as_json(spec: ToolSpec, decision: Decision, rules: tuple[Rule, ...]) -> dict[str, Any]:
    return {
        "tool": spec.name,
        "verdict": decision.verdict.name.lower(),
        "reason": decision.reason,
        "rules": [{"id": rule.id, "origin": rule.origin} for rule in rules if rule.id in decision.rules],
        "effect": spec.effect,
        "open": spec.open,
        "confirmed": spec.confirmed,
        "grantable": decision.grantable,
    }


def _as_text(spec: ToolSpec, decision: Decision, rules: tuple[Rule, ...]) -> str:
    word = "confirmed" if spec.confirmed else "unconfirmed; its server's own hints may say more"
    lines = [
        f"{spec.server}.{spec.remote_name}: {decision.verdict.name.lower()}",
        f"  because   {decision.reason}",
        *(f"  rule      {rule.id} ({rule.origin})" for rule in rules if rule.id in decision.rules),
        f"  effect    {spec.effect}, {'open' if spec.open else 'closed'} ({word})",
    ]
    return "\n".join(lines) + "\n"
