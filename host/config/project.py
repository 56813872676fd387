"""What a project's file may not do: it comes with a clone, so it loosens nothing but for the servers it brings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from host.config.places import Path
from host.core.policy import Rule, Verdict


def own_rules(rules: Iterable[Rule], own: Collection[str]) -> tuple[Rule, ...]:
    """The rules, those that allow narrowed to the file's own servers, by name."""
    kept: list[Rule] = []
    for rule in rules:
        allows = rule.verdict is Verdict.ALLOW
        kept += [replace(rule, server=name) for name in own if fnmatchcase(name, rule.server)] if allows else [rule]
    return tuple(kept)


def ignored(document: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The places of a document that would loosen more, and what becomes of them."""
    servers = document.get("mcp_servers")
    own = servers if isinstance(servers, Mapping) else {}
    for name, server in own.items():
        if isinstance(server, Mapping) and server.get("trust_hints"):
            yield (
                ("mcp_servers", name, "trust_hints"),
                (
                    "ignored: a project's file may not take a server's word for what its tools do; state it with "
                    "tools.TOOL, or review it with agent-host lock"
                ),
            )
    for at, rule in _rules(document):
        if isinstance(rule, Mapping) and rule.get("verdict") == "allow" and rule.get("server") not in own:
            yield (*at, "server"), "a project's file may allow calls of its own servers only; for others it is ignored"


def _rules(document: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Every rule with its place."""
    profiles = document.get("profiles")
    tables: list[tuple[Path, Any]] = [((), document)]
    tables += [(("profiles", name), raw) for name, raw in profiles.items()] if isinstance(profiles, Mapping) else []
    for at, table in tables:
        rules = table.get("rules") if isinstance(table, Mapping) else None
        for number, rule in enumerate(rules if isinstance(rules, list) else ()):
            yield (*at, "rules", number), rule
