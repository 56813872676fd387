"""`agent-host demo`: a profile that travels with the program, run in a scratch copy of its files."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from host.arguments import UsageError
from host.config import environment
from host.config.problems import nearest
from host.frontends.plain import say, tell
from host.share import share

DEMOS = Path("scripts/demos")


def main(options: argparse.Namespace) -> int:
    profiles = names()
    if options.list or options.name is None:
        for name, description in profiles.items():
            say(f"{name:24} {description}".rstrip())
        return 0
    if options.name not in profiles:
        raise UsageError(f"no demo {options.name}{nearest(options.name, profiles)}")
    if options.config or options.profile:
        raise UsageError("a demo has a servers.toml and a profile of its own: leave out --config and -p")
    if not options.headless and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("no terminal here: --headless PROMPT works without one")
    folder = scratch(options.name, again=options.latest or options.resume is not None)
    tell(f"this demo works on a copy in {folder}")
    os.chdir(folder)
    options.config, options.profile, options.own = [folder / "servers.toml"], options.name, True
    if options.headless:
        from host.commands import run

        return run.main(options)
    from host.commands import chat

    options.title = options.name
    return chat.main(options)


def names() -> dict[str, str]:
    """The demos that travel with the program: profiles with a folder of their own, and what they say of themselves."""
    file = share() / "servers.toml"
    if not file.is_file():
        raise UsageError(f"no demos here: {file} is missing; reinstall agent-host")
    profiles = tomllib.loads(file.read_text("utf-8")).get("profiles", {})
    return {
        name: profile.get("description", "")
        for name, profile in profiles.items()
        if (share() / DEMOS / _folder(name)).is_dir()
    }


def scratch(name: str, again: bool) -> Path:
    """A fresh copy of the demo's files; with `again`, the latest one as it was left."""
    demos = environment().state_folder / "demos" / name
    copies = sorted(demos.iterdir()) if demos.is_dir() else []
    if again and copies:
        return copies[-1]
    folder = demos / f"{datetime.now(UTC):%y%m%d-%H%M%S-%f}"
    folder.mkdir(parents=True, mode=0o700)
    shutil.copy(share() / "servers.toml", folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    if (share() / "prompts").is_dir():
        shutil.copytree(share() / "prompts", folder / "prompts", ignore=ignored)
    others = {_folder(other) for other in names() if other != name}
    for path in (share() / DEMOS).iterdir():
        if path.name in others or path.name == "__pycache__":
            continue
        if path.is_dir():
            shutil.copytree(path, folder / DEMOS / path.name, ignore=ignored)
        else:
            (folder / DEMOS).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / DEMOS)
    return folder


def _folder(name: str) -> str:
    return name.replace("-", "_")
