"""`agent-host mcp add | remove | enable | disable`: one entry of a servers.toml changes, all else stays as it is."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from host.arguments import UsageError
from host.commands.mcp import one_name, unknown
from host.config import Environment, environment, file_places
from host.config.environment import FILE_NAME
from host.config.packages import fetch
from host.config.write import Draft, added, removed, servers_in, switched, text_of
from host.consent import start_lines, starts
from host.core.errors import ConfigError
from host.core.packages import Package, package_of
from host.core.settings import Origin
from host.frontends.plain import attended, say, show, tell, yes

SECRET = re.compile(r"(?i)(^|_|-)(api_?-?key|key|token|secret|password|passwd|credentials?|authorization)(_|-|$)")


def main(options: argparse.Namespace) -> int:
    env = environment()
    if options.action == "add":
        name, entry = asked_for(options)
        path, origin = target(options, env)
        agreed = write_entry(options, env, (path, origin), name, entry)
        if agreed and origin == "project":
            tell("as a project's file it is used after your consent, which is asked for at the next start")
        return 0 if agreed else 3
    name = one_name(options, "")
    path, origin = holder(options, env, name)
    text = text_of(path)
    if options.action == "remove":
        text, done = removed(path, text, name), "removed from"
    else:
        text = switched(path, text, name, options.action == "enable")
        done = f"{options.action}d in"
    draft = Draft.of(path, text, applying(options, env), env)
    refuse(draft, f"{name} stays as it is")
    draft.put()
    say(f"{name} {done} {path}")
    return 0


# --- which file


def applying(options: argparse.Namespace, env: Environment) -> list[tuple[Path, Origin]]:
    return file_places(env, Path.cwd(), options.config)


def target(options: argparse.Namespace, env: Environment) -> tuple[Path, Origin]:
    """The file that a new entry goes to."""
    if len(options.config) > 1:
        raise UsageError("--config: name one file, the one to write to")
    if options.config and options.scope:
        raise UsageError("--scope and --config both say where to write: leave one of them out")
    if options.config:
        return options.config[0], "user"
    return (Path.cwd() / FILE_NAME, "project") if options.scope == "project" else (env.user_file, "user")


def holder(options: argparse.Namespace, env: Environment, name: str) -> tuple[Path, Origin]:
    """The one file that has this server. Raises UsageError, or ConfigError for one that may not be changed here."""
    places = applying(options, env)
    entries = {path: servers_in(path) for path, _ in places}
    found = [place for place in places if name in entries[place[0]] and options.scope in (None, place[1])]
    if not found:
        raise UsageError(unknown(name, [each for known in entries.values() for each in known], list(entries)))
    if len(found) > 1:
        raise UsageError(f"{name} stands in {' and in '.join(str(path) for path, _ in found)}: say --scope")
    if found[0][1] == "admin":
        raise ConfigError(f"{found[0][0]}: {name} was set up by the administrator of this machine and is changed there")
    return found[0]


# --- a new entry


def asked_for(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The name and the table that the command line describes."""
    if len(options.operands) > 1:
        raise UsageError("write -- before the command: agent-host mcp add NAME -- CMD ARGS…")
    name = one_name(options, " -- CMD ARGS…  or  NAME --url URL")
    if bool(options.words) == bool(options.url):
        raise UsageError(f"what is {name}? a command behind --, or an address with --url")
    entry: dict[str, Any] = {}
    if options.url:
        if options.env or options.cwd:
            raise UsageError("--env and --cwd are for a server that is started, not for one with --url")
        entry["url"] = options.url
        if options.header:
            entry["headers"] = pairs("--header", [re.sub(r"^([^:=]+):\s*", r"\1=", each) for each in options.header])
        if options.bearer_token_env_var:
            entry["bearer_token_env_var"] = options.bearer_token_env_var
        return name, entry
    if options.header or options.bearer_token_env_var:
        raise UsageError("--header and --bearer-token-env-var are for a server with --url")
    entry["command"], *args = options.words
    entry |= {"args": args} if args else {}
    entry |= {"env": pairs("--env", options.env)} if options.env else {}
    return name, entry | folder(options, entry)


def pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in given:
        key, sign, value = pair.partition("=")
        if not key or not sign:
            raise UsageError(f"{flag} {pair}: write NAME=VALUE")
        found[key] = value
    return found


def folder(options: argparse.Namespace, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Where to start it, if said or needed: paths in a file are seen from its folder, those typed from this one."""
    here = Path.cwd()
    home = target(options, environment())[0].absolute().parent
    if options.cwd is not None:
        return {"cwd": str(options.cwd if options.scope == "project" else options.cwd.absolute())}
    if here == home:
        return {}
    command, args = entry["command"], entry.get("args", [])
    found: dict[str, Any] = {}
    if "/" in command and not Path(command).expanduser().is_absolute():
        found["command"] = str(here / command)
    if any(is_here(here, word) for word in args):
        found["cwd"] = str(here)
    return found


def is_here(here: Path, word: str) -> bool:
    """Whether a word is a relative path to something that is there."""
    try:
        return bool(word) and not Path(word).is_absolute() and (here / word).exists()
    except (OSError, ValueError):
        return False  # too long, or not a path at all


def write_entry(
    options: argparse.Namespace, env: Environment, to: tuple[Path, Origin], name: str, entry: Mapping[str, Any]
) -> bool:
    """Show what the entry comes to and, after a yes, put it into the file. Raises ConfigError."""
    path = to[0]
    text = text_of(path)
    places = applying(options, env)
    for other in {path, *(other for other, _ in places)}:
        if name in servers_in(other):
            raise ConfigError(f"{other}: there is a server {name} already; agent-host mcp remove {name} takes it out")
    if to not in places:
        places.append(to)
    package = package_of(entry.get("command", ""), entry.get("args", ())) if options.action == "add" else None
    draft = Draft.of(path, added(text, name, entry), places, env)
    try:
        refuse(draft, f"{name} was not added")
        on = replace(draft.file.servers[name], enabled=True)
        (start,) = starts(replace(draft.file, servers={name: on}))
        shown = start_lines(start)[:-1]
        shown += [f"  note      {note}" for note in literal_secrets(entry)]
        first = f"Fetch {package.name} from {package.registry}, and write" if package else "Write"
        if not agreed(options, shown, f"{first} {name} into {path}?"):
            tell(f"{name} was not added")
            return False
        if package:
            draft.drop()
            draft = Draft.of(path, added(text, name, pinned_entry(env, entry, package)), places, env)
        draft.put()
    finally:
        draft.drop()
    say(f"added {name} to {path}")
    return True


def pinned_entry(env: Environment, entry: Mapping[str, Any], package: Package) -> dict[str, Any]:
    """The entry with the version that was fetched, from which it will be started; as it is, where none could be."""
    try:
        found = fetch(env.state_folder, package)
    except ConfigError as error:
        tell(f"{package.name} is not pinned to a version: {error}")
        return dict(entry)
    assert found.version is not None
    tell(f"fetched {found.name} {found.version}")
    return {**entry, "args": list(package.arguments(entry["args"], found.version))}


def refuse(draft: Draft, what: str) -> None:
    """Stop where the loader finds something wrong that was not wrong before."""
    if draft.problems:
        draft.drop()
        raise ConfigError(*draft.problems, what)


def agreed(options: argparse.Namespace, shown: Sequence[str], question: str) -> bool:
    """Show it all, then take --trust or a yes typed at the terminal. Raises ConfigError where nobody can say yes."""
    show(*shown)
    if options.trust:
        return True
    if not attended():
        raise ConfigError("nobody is here to say yes to this; look at it, then say --trust")
    return yes(f"{question} [y/N] ")


# --- what a person should look at twice


def literal_secrets(entry: Mapping[str, Any]) -> Iterator[str]:
    """Values that would stand readable in the file."""
    for key, value in {**entry.get("env", {}), **entry.get("headers", {})}.items():
        if SECRET.search(key) and value and "${" not in value:
            name = re.sub(r"[^A-Z0-9]", "_", key.upper())
            yield f"the value of {key} will stand in the file; to keep it out, write {key}='${{{name}}}' and set {name}"
