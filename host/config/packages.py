"""Packages of servers, fetched once with a person's word and then started from where they lie, without a network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from host.core.errors import ConfigError
from host.core.packages import Package, package_of
from host.core.settings import ServerConfig

PATIENCE = 300
COMPLETE = ".complete"


def installed(server: ServerConfig, home: Path) -> ServerConfig:
    """The server started from its package where that was fetched, else as it is written."""
    package = package_of(server.command, server.args) if server.url is None else None
    if package is None or package.version is None or not (folder_of(home, package) / COMPLETE).is_file():
        return server
    program = program_of(home, package)
    return replace(server, command=str(program), args=package.own(server.args)) if program else server


def fetch(home: Path, package: Package) -> Package:
    """Have the registry's own client find the version and fetch it, unless it is there. Raises ConfigError."""
    found = package if package.version else package.at_version(_version(package))
    folder = folder_of(home, found)
    if not (folder / COMPLETE).is_file():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if found.registry == "npm":
            # What a package would run while it is installed is not run: nobody has consented to that.
            quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
            _run("npm", "install", "--prefix", str(folder), *quiet, f"{found.name}@{found.version}")
        else:
            _run("uv", "venv", "--quiet", "--clear", str(folder))
            python = str(folder / "bin" / "python")
            _run("uv", "pip", "install", "--quiet", "--python", python, f"{found.name}=={found.version}")
        if program_of(home, found) is None:
            raise ConfigError(f"{found.pin} has no program {found.program or found.name}")
        (folder / COMPLETE).touch()
    return found


def folder_of(home: Path, package: Package) -> Path:
    name = package.name.partition("[")[0].replace("/", "+")
    return home / "packages" / package.registry.lower() / f"{name}@{package.version}"


def program_of(home: Path, package: Package) -> Path | None:
    """What is run of a fetched package."""
    folder, name = folder_of(home, package), package.name.partition("[")[0]
    if package.registry == "PyPI":
        path = folder / "bin" / (package.program or name)
        return path if path.is_file() else None
    try:
        said: Any = json.loads((folder / "node_modules" / name / "package.json").read_text("utf-8")).get("bin")
    except (OSError, ValueError, AttributeError):
        return None
    own = name.rpartition("/")[2]
    programs = {own: said} if isinstance(said, str) else said if isinstance(said, dict) else {}
    chosen = own if own in programs else next(iter(programs)) if len(set(programs.values())) == 1 else None
    path = folder / "node_modules" / ".bin" / (chosen or "")
    return path if chosen and path.is_file() else None


def _version(package: Package) -> str:
    """The version that is meant today."""
    if package.registry == "npm":
        said = _run("npm", "view", f"{package.name}@{package.wish or 'latest'}", "version", "--json")
        try:
            found = json.loads(said)
        except ValueError:
            found = None
        version = found[-1] if isinstance(found, list) and found else found
    else:
        said = _run(
            "uv", "pip", "compile", "-", "--quiet", "--no-deps", "--no-header", "--no-annotate", stdin=package.name
        )
        version = said.strip().partition("==")[2].partition(" ")[0]
    if not isinstance(version, str) or not version:
        raise ConfigError(f"{package.registry} names no version of {package.name}: {said.strip()[:200]}")
    return version


def _run(*command: str, stdin: str = "") -> str:
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{command[0]} could not be run: {error}") from None
    if done.returncode:
        said: Sequence[str] = [line for line in done.stderr.splitlines() if line.strip()]
        raise ConfigError(f"{' '.join(command[:2])} failed: {said[0][:300] if said else f'exit {done.returncode}'}")
    return done.stdout
