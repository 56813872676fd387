"""From a command line to a configuration that may be used, with the consent it needs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from host.arguments import UsageError
from host.commands.local import detected
from host.commands.pinned import pinned
from host.commands.unconfined import QUESTION, allowed
from host.config import ConfigFile, Environment, choose_model, environment, loosens, merge, read_files, tightening
from host.config.merge import NO_MODEL
from host.config.packages import installed
from host.config.problems import nearest
from host.consent import Ask, ask_in_terminal, settle
from host.core.errors import ConfigError
from host.core.settings import Config
from host.frontends.plain import attended
from host.share import base_prompt
from host.store.files import Place
from host.store.host import HostStore

BY_HAND = "command-line/mcp"
"""What stands in a model's place in sessions of `agent-host mcp call | read | prompt`: nobody to talk to."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What to run with. `notices` are for the user to read; `resume` is a session that exists; `files` were read."""

    env: Environment
    config: Config
    notices: tuple[str, ...]
    resume: str | None = None
    files: tuple[ConfigFile, ...] = ()


def begin(options: argparse.Namespace, ask: Ask | None, talks: bool = True, starts: bool = True) -> Begun:
    """Read the files, settle consent, choose the model. Raises ConfigError, or UsageError for a session unknown.
    Who does not talk to a model (`talks` is False) looks for none on this machine; who starts no server
    (`starts` is False) needs no sandbox. What is secret is left in `options.secrets`, for whoever tells of a fault."""
    env = environment()
    resume = resumed(options, env.state_folder)
    files = read_files(env, Path.cwd(), options.config)
    notices: list[str] = []
    notices += [what for file in files for what in file.ignored]
    trust = options.trust or env.agent_host_trust
    for number, file in enumerate(files):
        if file.origin == "project" and loosens(file) and not settle(file, env.state_folder, trust, ask):
            files[number] = tightening(file)
            notices.append(f"{file.path} is not used, for you did not consent; only its ask and deny rules hold")
    config, unlocked = pinned(merge(files, env, base_prompt()), files, trust)
    options.secrets = config.secrets
    notices += unlocked
    config = replace(config, servers={name: installed(server, config.home) for name, server in config.servers.items()})
    if options.profile and options.profile not in config.profiles:
        raise ConfigError(
            f"-p {options.profile}: no such profile{nearest(options.profile, config.profiles)} "
            f"(read: {', '.join(map(str, config.files)) or 'no servers.toml'})"
        )
    for server in (given.partition(".")[0] for given in options.allow):
        if not any(fnmatchcase(name, server) for name in config.servers):
            raise UsageError(f"--allow {server}.…: no server {server}{nearest(server, config.servers)}")
    if options.bypass and config.forbid_bypass:
        raise ConfigError("--dangerously-bypass-approvals: forbidden by forbid_bypass in a servers.toml")
    trusted = options.trust or env.agent_host_trust or "own" in options
    asking = partial(ask_in_terminal, question=QUESTION) if ask else None
    config, told = allowed(config, trusted, asking, _started(options, config) if starts else ())
    notices += told
    model, why = choose_model(options.model, config, env)
    if why is NO_MODEL and talks and resume is None:
        found, more = detected(config, ask is not None)
        notices += more
        model, why = found or (model, f"{why}, and no model server here is used")
    if model.startswith("offline/") or options.verbose:
        notices.append(f"model {model}: {why}")
    return Begun(env, replace(config, model=model), tuple(notices), resume, tuple(files))


def _started(options: argparse.Namespace, config: Config) -> Sequence[str]:
    """The servers that may be started: those of the profile, or all, for a resumed session has one of its own."""
    if "operands" in options:
        return [name for name in options.operands if name in config.servers]
    resumes = options.latest or options.resume is not None
    return config.profiles[options.profile].servers if options.profile and not resumes else tuple(config.servers)


def terminal_ask(options: argparse.Namespace) -> Ask | None:
    """How to ask for consent: in a terminal where there is one, else not at all."""
    return ask_in_terminal if options.input_format == "text" and attended() else None


def resumed(options: argparse.Namespace, home: Path) -> str | None:
    """The session that is to be carried on."""
    if options.latest:
        store = HostStore(home)
        try:
            latest = store.latest(options.profile, besides=BY_HAND)
        finally:
            store.close()
        if latest is None:
            raise UsageError("--continue: there is no session yet")
        return latest
    if options.resume == "":
        raise UsageError("--resume needs an ID; agent-host session list shows them, --continue takes the latest")
    if options.resume is not None:
        must_exist(home, options.resume)
    id: str | None = options.resume
    return id


def must_exist(home: Path, id: str) -> None:
    """Raises UsageError for an id that names no session."""
    if not Place(home, id).db.is_file() or "/" in id:
        raise UsageError(f"no session {id!r} in {home}; agent-host session list shows them")


def piped() -> str:
    """All of stdin. Raises UsageError where it is no text."""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UsageError("stdin is not UTF-8 text") from None


def facts(options: argparse.Namespace) -> dict[str, Any]:
    """`--fact NAME=TEXT` and `--fact NAME:=JSON`."""
    found: dict[str, Any] = {}
    for fact in options.fact:
        name, _, value = fact.partition("=")
        if name.endswith(":"):
            name = name[:-1]
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"--fact {fact}: not JSON: {error}") from None
        found[name] = value
    return found


def limits(options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "turns": options.max_turns,
        "usd": options.max_budget_usd,
        "tokens": options.max_tokens,
        "seconds": options.timeout,
    }
    return {name: value for name, value in given.items() if value is not None}


def json_schema(options: argparse.Namespace) -> dict[str, Any] | None:
    if options.json_schema is None:
        return None
    try:
        schema = json.loads(options.json_schema.read_bytes())
    except OSError as error:
        raise UsageError(f"--json-schema {options.json_schema}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--json-schema {options.json_schema}: not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise UsageError(f"--json-schema {options.json_schema}: not a JSON object")
    return schema
