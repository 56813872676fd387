"""`agent-host mcp import`: servers out of another host's file, each shown and agreed to by itself."""

from __future__ import annotations

import argparse
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from host.arguments import UsageError
from host.commands.mcp_edit import SECRET, is_here, target, write_entry
from host.config import environment
from host.core.errors import ConfigError
from host.frontends.plain import tell

SAME = {"command", "args", "env", "env_vars", "cwd", "url", "headers", "bearer_token_env_var", "enabled", "required"}
SAME |= {"startup_timeout_sec", "tool_timeout_sec", "enabled_tools", "disabled_tools", "default_tools_approval_mode"}
APPROVED = ("autoApprove", "alwaysAllow")
OTHER_NAMES = {"http_headers": "headers", "serverUrl": "url", "httpUrl": "url"}
SPOKEN = ("stdio", "http", "streamable-http", "streamableHttp")
_REFERENCE = re.compile(r"\$\{(env:|input:)?([^{}:]+)(:-[^{}]*)?\}")


def main(options: argparse.Namespace) -> int:
    if len(options.operands) > 1:
        raise UsageError("write: agent-host mcp import [FILE]")
    path = Path(options.operands[0] if options.operands else ".mcp.json")
    env = environment()
    to = target(options, env)
    taken: set[str] = set()
    refused = 0
    for name, raw in entries_of(path).items():
        id = valid_id(name, taken)
        taken.add(id)
        if id != name:
            tell(f"{name} is called {id} here")
        try:
            if not isinstance(raw, dict):
                raise ConfigError(f"{path}: {name}: not an object")
            write_entry(options, env, to, id, translated(path, id, raw))
        except ConfigError as error:
            refused += 1
            tell(" · ".join(error.lines))
    return 3 if refused else 0


def entries_of(path: Path) -> dict[str, Any]:
    """The servers of `.mcp.json`, of Claude Desktop (mcpServers), VS Code (servers) or Codex (config.toml)."""
    try:
        text = path.read_text("utf-8-sig")
        document = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read (comments are no JSON): {error}") from None
    if isinstance(document, dict):
        for key in ("mcpServers", "servers", "mcp_servers"):
            if isinstance(found := document.get(key), dict):
                return found
    raise ConfigError(f"{path}: names no servers: looked for mcpServers, servers and [mcp_servers]")


def valid_id(name: str, taken: set[str]) -> str:
    """A name that may stand in servers.toml, as near to the other host's as can be."""
    id = re.sub(r"__+", "_", re.sub(r"[^a-z0-9_-]+", "-", name.lower())).strip("-_")[:24] or "server"
    id = f"{id}-mcp" if id == "host" else id
    number = 2
    while id in taken:
        id = f"{id[:21].rstrip('0123456789-')}-{number}"
        number += 1
    return id


def translated(path: Path, id: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """An entry in our keys; what is not taken over, and what is to be set before it can be used, is told."""
    folder = path.absolute().parent
    folder = folder.parent if folder.name == ".vscode" else folder
    entry: dict[str, Any] = {}
    wishes: dict[str, Any] = {}
    for key, value in raw.items():
        ours = OTHER_NAMES.get(key, key)
        if ours in SAME:
            entry[ours] = filled(value, folder, id)
        elif key == "disabled":
            entry["enabled"] = not value
        elif key in APPROVED and isinstance(value, list):
            wishes |= dict.fromkeys(map(str, value), "approve")
        elif key == "tools" and isinstance(value, Mapping):
            wishes |= {tool: said["approval_mode"] for tool, said in value.items() if "approval_mode" in said}
        elif not (key == "type" and value in SPOKEN):
            tell(f"{id}: {key} is not taken over")
    if wishes:
        entry["tools"] = {tool: {"approval_mode": wish} for tool, wish in wishes.items()}
        tell(f"{id}: what it wishes to run without asking allows nothing here; agent-host lock shows it to you")
    for key in ("env", "headers"):
        if isinstance(values := entry.get(key), dict):
            entry[key] = {name: secret_out(id, name, value) for name, value in values.items()}
    words = [str(word) for word in [entry.get("command", ""), *entry.get("args", [])]]
    if "cwd" not in entry and "command" in entry and any(is_here(folder, word) for word in words):
        entry["cwd"] = str(folder)
    return entry


def filled(value: Any, folder: Path, id: str) -> Any:
    """Other hosts' references as ours. One that is not set now is empty until it is: it must not stop all servers."""
    if isinstance(value, dict):
        return {key: filled(item, folder, id) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, folder, id) for item in value]

    def ours(found: re.Match[str]) -> str:
        kind, name, default = found.groups()
        if known := {"workspaceFolder": str(folder), "userHome": str(Path.home())}.get(name):
            return known
        if default is not None or (kind != "input:" and name in os.environ):
            return f"${{{name}{default or ''}}}"
        variable = re.sub(r"[^A-Z0-9]", "_", name.upper()) if kind == "input:" else name
        tell(f"{id}: set {variable} before you use it")
        return f"${{{variable}:-}}"

    return _REFERENCE.sub(ours, value) if isinstance(value, str) else value


def secret_out(id: str, name: str, value: Any) -> Any:
    """A secret does not stand in a file: a reference to a variable takes its place."""
    if not isinstance(value, str) or not value or "${" in value or not SECRET.search(name):
        return value
    variable = re.sub(r"[^A-Z0-9]", "_", (name if name.isupper() else f"{id}_{name}").upper())
    tell(f"{id}: the value of {name} is not copied; set {variable} to it before you use it")
    return f"{'Bearer ' if value.startswith('Bearer ') else ''}${{{variable}:-}}"
