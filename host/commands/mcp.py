"""`agent-host mcp`: the servers that the files name, and what can be done with one."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from host.arguments import UsageError
from host.config import ConfigFile, Environment, environment, merge, read_files
from host.config.problems import nearest
from host.consent import consented, start_lines, starts
from host.core.settings import ServerConfig
from host.core.text import Secrets
from host.frontends.plain import put_json, say
from host.servers.probe import machine
from host.servers.sandbox import in_force

OTHERS = {
    **dict.fromkeys(("add", "remove", "enable", "disable"), "mcp_edit"),
    **dict.fromkeys(("call", "read", "prompt"), "mcp_call"),
    "inspect": "mcp_inspect",
    "import": "mcp_import",
    **dict.fromkeys(("login", "logout"), "mcp_login"),
}
STATES = {"needed": "waits for your consent", "given": "on", "own": "on"}


def main(options: argparse.Namespace) -> int:
    if options.action in OTHERS:
        code: int = import_module(f"host.commands.{OTHERS[options.action]}").main(options)
        return code
    env = environment()
    files = read_files(env, Path.cwd(), options.config)
    config = merge(files, env)
    rows = [row(file, server, env, options) for file in files for server in file.servers.values()]
    if options.action == "list":
        return _list(options, rows, Secrets(config.secrets))
    name = one_name(options, "")
    if name not in config.servers:
        raise UsageError(unknown(name, config.servers, [file.path for file in files]))
    file = next(file for file in files if name in file.servers)
    found = next(each for each in rows if each["name"] == name)
    profiles = [profile.name for profile in config.profiles.values() if name in profile.servers]
    return _get(options, found | details(file.servers[name], file, profiles), file, Secrets(config.secrets))


def one_name(options: argparse.Namespace, more: str) -> str:
    """The server that is meant. `more` is what else the action takes."""
    if len(options.operands) != 1:
        raise UsageError(f"write: agent-host mcp {options.action} NAME{more}")
    name: str = options.operands[0]
    return name


def unknown(name: str, known: Any, files: list[Path]) -> str:
    where = ", ".join(map(str, files)) or "no servers.toml; agent-host mcp add makes one"
    return f"no server {name}{nearest(name, known)} (read: {where})"


def row(file: ConfigFile, server: ServerConfig, env: Environment, options: argparse.Namespace) -> dict[str, Any]:
    """A server as list tells it. `consent` is own for files that need none, else given or needed."""
    if file.origin != "project":
        consent = "own"
    else:
        trusted = options.trust or env.agent_host_trust or consented(file, env.state_folder)
        consent = "given" if trusted else "needed"
    return {
        "name": server.name,
        "kind": "http" if server.url is not None else "stdio",
        "command": None if server.url is not None else [server.command, *server.args],
        "url": server.url,
        "enabled": server.enabled,
        "sandbox": in_force(server, machine()) if server.url is None else None,
        "consent": consent,
        "origin": file.origin,
        "file": str(file.path),
    }


def details(server: ServerConfig, file: ConfigFile, profiles: list[str]) -> dict[str, Any]:
    """What get tells beyond list. Of variables and headers the names, never the values."""
    return {
        "line": int(file.problems.place(("mcp_servers", server.name)).rpartition(":")[2]),
        "cwd": str(server.cwd),
        "paths": [str(path) for path in server.paths],
        "env": sorted(server.env),
        "env_vars": list(server.env_vars),
        "headers": sorted(server.headers),
        "reads": sorted(file.variables.get(server.name, ())),
        "required": server.required,
        "startup_timeout_sec": server.startup_timeout,
        "tool_timeout_sec": server.tool_timeout,
        "enabled_tools": None if server.enabled_tools is None else list(server.enabled_tools),
        "disabled_tools": list(server.disabled_tools),
        "parallel": server.parallel,
        "trust_hints": server.trust_hints,
        "instructions": server.instructions,
        "log_level": server.log_level,
        "tools": {
            name: {"effect": said.effect, "open": said.open, "timeout_sec": said.timeout}
            for name, said in server.tools.items()
        },
        "profiles": profiles,
    }


def _list(options: argparse.Namespace, rows: list[dict[str, Any]], secrets: Secrets) -> int:
    if as_json(options):
        put_json(rows, secrets)
    elif not rows:
        say("no servers yet; agent-host mcp add NAME -- CMD ARGS… adds one")
    else:
        for each in rows:
            state = STATES[each["consent"]] if each["enabled"] else "off"
            what = each["url"] or " ".join(each["command"])
            held = each["sandbox"] or "–"
            text = f"{each['name']:24}  {each['kind']:5}  {state:22}  {held:10}  {secrets.clean(what)}"
            say(f"{text}  ({each['origin']}: {each['file']})")
    return 0


def _get(options: argparse.Namespace, found: dict[str, Any], file: ConfigFile, secrets: Secrets) -> int:
    if as_json(options):
        put_json(found, secrets)
        return 0
    start = next((start for start in starts(file) if start.server == found["name"]), None)
    lines = (
        start_lines(start)[:-1] if start else [f"Server {found['name']} is off: agent-host mcp enable {found['name']}"]
    )
    lines.append(f"  state     {STATES[found['consent']] if found['enabled'] else 'off'}")
    lines.append(f"  stands    {found['file']}:{found['line']} ({found['origin']})")
    lines += [f"  sandbox   {found['sandbox']}"] if found["sandbox"] else []
    lines.append(f"  profiles  {', '.join(found['profiles']) or 'none'}")
    lines.append(f"  waits     {found['startup_timeout_sec']:g} s to start, {found['tool_timeout_sec']:g} s for a call")
    for tool, said in found["tools"].items():
        how = {True: "open", False: "closed"}.get(said["open"], "open or not is unconfirmed")
        lines.append(f"  tool      {tool}: {said['effect'] or 'effect unconfirmed'}, {how}")
    say(*map(secrets.clean, lines))
    return 0


def as_json(options: argparse.Namespace) -> bool:
    return bool(options.json) or options.output_format == "json"
