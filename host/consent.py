"""A project's file starts programs only after a person saw exactly what and said yes.

The consent is bound to the file as it stands, to its prompts and, for each server, to argv, names of variables, folder
and the executable that is found; when any of them changes it is asked again.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from host.config import ConfigFile
from host.core.careful import warnings
from host.core.errors import ConfigError
from host.core.policy import Rule, Verdict
from host.core.settings import ServerConfig
from host.core.types import canonical
from host.frontends.plain import show, yes
from host.store.host import HostStore

Ask = Callable[[Sequence[str]], bool]
LEVELS = {
    "strict": "in a sandbox",
    "workspace": "in a sandbox that may write its folder",
    "off": "WITH YOUR RIGHTS, outside any sandbox",
}
QUESTION = "Use this file and start its servers? Type yes to agree, Enter to go on without it: "


@dataclass(frozen=True, slots=True)
class Start:
    """What starting one server, or talking to it, means on this machine, today."""

    server: str
    argv: tuple[str, ...]
    executable: str
    cwd: str
    sets: tuple[str, ...]
    reads: tuple[str, ...]
    url: str | None = None
    sandbox: str = ""
    network: bool = False
    paths: tuple[str, ...] = ()


def settle(file: ConfigFile, home: Path, trust: bool, ask: Ask | None) -> bool:
    """Whether the project's file may be used whole: trusted for this run, agreed to before, or agreed to now.

    Without anybody to ask (`ask` is None) it raises ConfigError.
    """
    if trust:
        return True
    begun = starts(file)
    digest = _digest(file, begun)
    store = HostStore(home)
    try:
        if store.consented(str(file.path), digest):
            return True
        if ask is None:
            raise ConfigError(
                f"{file.path}: this project's file needs your consent before it is used, and nobody is here to ask.",
                f"Look at what it would run ({', '.join(start.server for start in begun) or 'no server'}), then say "
                "--trust (or AGENT_HOST_TRUST=1) for this run, or start agent-host in a terminal to consent for good",
            )
        agreed = ask(describe(file, begun))
        if agreed:
            store.consent(str(file.path), digest, datetime.now(UTC).isoformat(timespec="milliseconds"))
        return agreed
    finally:
        store.close()


def consented(file: ConfigFile, home: Path) -> bool:
    """Whether somebody agreed to the file as it stands today."""
    store = HostStore(home)
    try:
        return store.consented(str(file.path), _digest(file, starts(file)))
    finally:
        store.close()


def _digest(file: ConfigFile, begun: Sequence[Start]) -> str:
    prompts = {profile.name: profile.prompt for profile in file.profiles.values()}
    return sha256(canonical([file.digest, [asdict(start) for start in begun], prompts]).encode()).hexdigest()


def starts(file: ConfigFile) -> list[Start]:
    return [_start(server, file) for server in file.servers.values() if server.enabled]


def _start(server: ServerConfig, file: ConfigFile) -> Start:
    return Start(
        server.name,
        (server.command, *server.args) if server.url is None else (),
        executable(server) if server.url is None else "",
        str(server.cwd),
        tuple(sorted(server.env if server.url is None else server.headers)),
        tuple(sorted({*file.variables.get(server.name, ()), *server.env_vars})),
        server.url,
        server.sandbox if server.url is None else "",
        server.network,
        tuple(map(str, server.paths)),
    )


def executable(server: ServerConfig) -> str:
    """The program that the command stands for; a plain `python` is the one that runs the host."""
    if server.command == "python":
        return sys.executable
    found = shutil.which(server.command, path=server.env.get("PATH"))
    return str(Path(found).resolve()) if found else ""


def describe(file: ConfigFile, begun: Sequence[Start]) -> list[str]:
    """Everything that is asked for, nothing shortened, nothing that can steer a terminal."""
    lines = [f"This folder has a file that wants to be used: {_shown(str(file.path))}", ""]
    lines += [line for start in begun for line in start_lines(start)]
    lines += [f"It chooses the model {_shown(file.model)}"] if file.model else []
    others = dict.fromkeys(m for fallback in (file.fallback or (), *_fallbacks(file)) for m in fallback)
    lines += [f"It falls back on {_shown(', '.join(others))}"] if others else []
    for server in file.servers.values():
        lines += [
            f"It says that {_shown(f'{server.name}.{tool}')} is: {said.effect or 'of unknown effect'}, "
            f"{'closed' if said.open is False else 'open'}"
            for tool, said in server.tools.items()
            if said.effect or said.open is not None
        ]
    own = [*file.rules, *(rule for profile in file.profiles.values() for rule in profile.rules)]
    lines += [_rule_line(rule) for rule in own if rule.verdict is Verdict.ALLOW]
    lines += [
        f"Profile {_shown(profile.name)} has a prompt of {len(profile.prompt)} characters"
        for profile in file.profiles.values()
        if profile.prompt
    ]
    return lines


def _fallbacks(file: ConfigFile) -> list[tuple[str, ...]]:
    return [profile.fallback for profile in file.profiles.values()]


def start_lines(start: Start) -> list[str]:
    """What starting this server, or talking to it, comes to; nothing shortened."""
    if start.url is not None:
        return [
            f"Server {start.server} is talked to over the network:",
            f"  at        {_shown(start.url)}",
            *([f"  sends     the headers {_shown(', '.join(start.sets))}"] if start.sets else []),
            *([f"  reads     {_shown(', '.join(start.reads))} from your environment"] if start.reads else []),
            "",
        ]
    return [
        f"Server {start.server} starts a program {LEVELS[start.sandbox]}:",
        f"  runs      {_quoted(start.argv)}",
        f"  which is  {_shown(start.executable) if start.executable else 'not found on this machine'}",
        f"  in        {_shown(start.cwd)}",
        *([f"  sets      {_shown(', '.join(start.sets))}"] if start.sets else []),
        *([f"  reads     {_shown(', '.join(start.reads))} from your environment"] if start.reads else []),
        *(f"  CAREFUL   {_shown(warning)}" for warning in warnings(start.argv, start.sets)),
        *([f"  writes    {_shown(', '.join((start.cwd, *start.paths)))}"] if start.sandbox == "workspace" else []),
        *(["  network   it may use it"] if start.network and start.sandbox != "off" else []),
        "",
    ]


def _rule_line(rule: Rule) -> str:
    conditions = f" when {_quoted(rule.args)}" if rule.args else ""
    return f"It allows {_shown(f'{rule.server}.{rule.tool}')} without asking{conditions}"


def _shown(text: str) -> str:
    """The text itself where it is plain; else as a JSON string, so that no look-alike passes."""
    return text if text.isascii() and text.isprintable() else _quoted(text)


def _quoted(value: Any) -> str:
    """JSON in plain ASCII: every other character is written as its number."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def ask_in_terminal(text: Sequence[str], question: str = QUESTION) -> bool:
    """Show it and wait for a yes typed after it was shown; anything else is no."""
    show(*text, "")
    return yes(question)
