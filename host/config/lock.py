"""servers.lock: what was reviewed of each server's tools, as JSON that reads well in a diff."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from host.core.errors import ConfigError
from host.core.pins import Pin
from host.core.settings import ServerConfig
from host.core.types import Effect

VERSION = 1
START = ("command", "args", "cwd", "url", "env", "headers", "env_vars")


@dataclass(frozen=True, slots=True)
class Locked:
    """One server as it was reviewed. `start` is how its entry says that it is started, `package` what that fetches."""

    start: Mapping[str, Any]
    tools: Mapping[str, Pin]
    server: Mapping[str, Any] = field(default_factory=dict)
    package: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """A servers.lock. `files` has the servers of each servers.toml beside it, by its name; `digest` is of its bytes."""

    path: Path
    digest: str = ""
    files: Mapping[str, Mapping[str, Locked]] = field(default_factory=dict)

    def of(self, server: ServerConfig) -> Locked | None:
        return self.files.get(server.file.name, {}).get(server.name)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Tool(_Section):
    digest: str
    effect: Effect | None = None
    open: bool | None = None
    definition: dict[str, Any]


class _Server(_Section):
    start: dict[str, Any]
    server: dict[str, Any] = {}
    package: str | None = None
    tools: dict[str, _Tool]


class _File(_Section):
    version: Literal[1]
    files: dict[str, dict[str, _Server]]


def start_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """How an entry says that its server is started, as it is written: of variables and headers the names alone."""
    return {key: sorted(entry[key]) if isinstance(entry[key], Mapping) else entry[key] for key in START if key in entry}


def read_lock(path: Path) -> Lock | None:
    """The lock at a path; None where there is none. Raises ConfigError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        read = _File.model_validate(json.loads(content))
    except (ValidationError, ValueError, RecursionError) as error:
        found = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
        what = f"{'.'.join(map(str, found['loc']))}: {found['msg']}" if found else str(error)
        raise ConfigError(f"{path}: not a lock: {what}; agent-host lock makes it anew") from None
    files = {
        file: {name: _locked(path, name, server) for name, server in servers.items()}
        for file, servers in read.files.items()
    }
    return Lock(path, sha256(content).hexdigest(), files)


def _locked(path: Path, server: str, section: _Server) -> Locked:
    tools: dict[str, Pin] = {}
    for name, tool in section.tools.items():
        if "inputSchema" not in tool.definition:
            raise ConfigError(
                f"{path}: {server}.{name}: its definition has no inputSchema; agent-host lock makes it anew"
            )
        tools[name] = Pin.of(name, tool.definition, tool.effect, tool.open)
        if tools[name].digest != tool.digest:
            raise ConfigError(
                f"{path}: {server}.{name}: the digest is not that of the definition: one of them was edited by hand; "
                f"agent-host lock --update {server} reviews it anew"
            )
    return Locked(section.start, tools, section.server, section.package)


def write_lock(lock: Lock) -> Lock:
    """Put a lock in its place, whole or not at all; returns it with its digest. Raises ConfigError."""
    content = (json.dumps(_plain(lock), indent=1, ensure_ascii=True, sort_keys=True) + "\n").encode()
    target = lock.path.resolve()
    try:
        handle, beside = tempfile.mkstemp(".lock", ".servers-", target.parent)
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
            os.fchmod(out.fileno(), target.stat().st_mode & 0o777 if target.exists() else 0o644)
        Path(beside).replace(target)
    except OSError as error:
        raise ConfigError(f"{lock.path}: cannot be written: {error.strerror}") from None
    return Lock(lock.path, sha256(content).hexdigest(), lock.files)


def _plain(lock: Lock) -> dict[str, Any]:
    files = {
        file: {name: _server(locked) for name, locked in servers.items()}
        for file, servers in lock.files.items()
        if servers
    }
    return {"version": VERSION, "files": files}


def _server(locked: Locked) -> dict[str, Any]:
    tools = {
        name: {"digest": pin.digest, "definition": pin.definition}
        | ({"effect": pin.effect} if pin.effect is not None else {})
        | ({"open": pin.open} if pin.open is not None else {})
        for name, pin in locked.tools.items()
    }
    package = {"package": locked.package} if locked.package else {}
    return {"start": locked.start, "server": locked.server, "tools": tools} | package
