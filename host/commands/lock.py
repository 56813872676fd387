"""`agent-host lock`: what the servers' tools are and do, reviewed by a person and pinned in servers.lock."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from host.arguments import UsageError
from host.commands.lock_review import Row, review
from host.commands.mcp import unknown
from host.commands.pinned import accepted, locks, of_lock
from host.commands.start import Begun, begin, facts, terminal_ask
from host.config.lock import Lock, Locked, start_of, write_lock
from host.config.packages import fetch, installed
from host.core.errors import ConfigError, HostError
from host.core.packages import at_pin, package_of
from host.core.pins import Drift, Pin, Pins, definition, difference, judge
from host.core.settings import ServerConfig
from host.core.source import ServerStatus
from host.core.text import Secrets
from host.core.types import ToolSpec
from host.frontends.plain import attended, say, tell
from host.servers.pool import Pool
from host.store.host import HostStore

DONE, DRIFT, UNAVAILABLE = 0, 3, 7


@dataclass(slots=True)
class Live:
    """A server as it is now. `failed` says why nothing is known of it."""

    config: ServerConfig
    start: Mapping[str, Any]
    tools: list[ToolSpec] = field(default_factory=list)
    server: Mapping[str, Any] = field(default_factory=dict)
    aside: Mapping[str, str] = field(default_factory=dict)
    package: str | None = None
    failed: str = ""


def main(options: argparse.Namespace) -> int:
    if options.check and options.update:
        raise UsageError("--check changes nothing and --update NAME does: give one of them")
    begun = begin(options, terminal_ask(options), talks=False)
    known = {lock.path: lock for lock in locks(begun.files)}
    live = anyio.run(
        listed, [fetched(begun, config, start) for config, start in wanted(options, begun)], facts(options)
    )
    for one in live:
        if one.failed:
            tell(f"{one.config.name} is not reviewed: {one.failed}")
        for tool, why in one.aside.items():
            tell(f"{one.config.name}: {tool} cannot be used: {why}")
    failed = UNAVAILABLE if any(one.failed for one in live) else DONE
    reached = [one for one in live if not one.failed]
    if options.check:
        differing = [line for one in reached for line in differences(known.get(one.config.lock), one)]
        differing += gone(begun, known) if not options.profile else []
        say(*differing or ["all tools are as they were locked"])
        return DRIFT if differing else failed
    asks = attended()
    if not (asks or options.trust or begun.env.agent_host_trust):
        raise ConfigError("nobody is here to review the tools; --trust pins them as they are and says nothing of them")
    secrets = Secrets(begun.config.secrets)
    reviewed = {one.config.name: done for one in reached if (done := reviewed_of(begun, known, one, asks, secrets))}
    for path in dict.fromkeys(one.config.lock for one in reached if one.config.name in reviewed):
        put(begun, known.get(path, Lock(path)), reviewed)
    return failed


def wanted(options: argparse.Namespace, begun: Begun) -> list[tuple[ServerConfig, Mapping[str, Any]]]:
    """The servers to look at, each with how its entry says that it is started."""
    config = begun.config
    names = config.profiles[options.profile].servers if options.profile else tuple(config.servers)
    if options.update:
        if options.update not in config.servers:
            raise UsageError(unknown(options.update, config.servers, list(config.files)))
        names = (options.update,)
    written = {name: entry for file in begun.files for name, entry in file.document.get("mcp_servers", {}).items()}
    return [
        (config.servers[name], start_of(written[name]))
        for name in names
        if config.servers[name].enabled or options.update
    ]


def fetched(begun: Begun, config: ServerConfig, start: Mapping[str, Any]) -> Live:
    """The server from the version of its package that is meant today, where it comes out of one."""
    written = next(file.servers[config.name] for file in begun.files if config.name in file.servers)
    package = package_of(written.command, written.args) if written.url is None else None
    live = Live(replace(config, enabled=True), start)
    if package is not None:
        try:
            live.package = fetch(begun.config.home, package).pin
        except ConfigError as error:
            tell(f"{config.name}: {package.name} is not pinned to a version: {error}")
        else:
            args = at_pin(written.command, written.args, live.package)
            live.config = installed(replace(live.config, command=written.command, args=args), begun.config.home)
    return live


async def listed(servers: Sequence[Live], known: Mapping[str, Any]) -> list[Live]:
    """Start them all, take what they list, and end them."""
    live = {one.config.name: one for one in servers}

    def on_status(status: ServerStatus) -> None:
        """Waited for below."""

    def on_tools(server: str, specs: list[ToolSpec], aside: dict[str, str]) -> None:
        live[server].tools, live[server].aside = specs, aside

    async with Pool() as pool:
        running = pool.servers("lock", [one.config for one in live.values()], on_status, on_tools, known)
        await running.settled()
        for name, one in live.items():
            status = running.statuses[name]
            try:
                if status.state != "ready" or status.detail:
                    raise HostError(status.detail or f"it is {status.state}")
                one.server = (await running.inspect(name))["server"]
            except HostError as error:
                one.failed = str(error)
    return list(live.values())


# --- what differs


def differences(lock: Lock | None, live: Live) -> Iterator[str]:
    """How a server differs from its lock, as lines."""
    name = live.config.name
    locked = lock.of(live.config) if lock else None
    if locked is None:
        yield f"{name}: is not in {live.config.lock}"
        return
    if locked.start != live.start:
        yield f"{name}: is started in another way"
        yield from (f"  - {key}: {value}" for key, value in locked.start.items() if live.start.get(key) != value)
        yield from (f"  + {key}: {value}" for key, value in live.start.items() if locked.start.get(key) != value)
    if locked.package != live.package:
        yield f"{name}: its package was {locked.package or 'not pinned'} and is {live.package or 'not known'} now"
    for drift in drifts(locked, live).values():
        yield f"{name}.{drift.tool}: {drift.why}"
        yield from (f"  {line}" for line in difference(drift.before, drift.now))
    for tool in sorted(locked.tools.keys() - {spec.remote_name for spec in live.tools}):
        yield f"{name}.{tool}: is gone"


def drifts(locked: Locked, live: Live) -> dict[str, Drift]:
    """The tools that are not as they were locked."""
    return judge(live.config, Pins(locked.tools, locked=True), live.tools).drifts


def gone(begun: Begun, known: Mapping[Path, Lock]) -> Iterator[str]:
    """The servers of locks that no entry stands for any more."""
    for file in begun.files:
        lock = known.get(file.path.with_name("servers.lock"))
        for name in sorted((lock.files.get(file.path.name, {}) if lock else {}).keys() - file.servers.keys()):
            yield f"{name}: has no entry in {file.path}"


# --- reviewing and writing


def reviewed_of(begun: Begun, known: Mapping[Path, Lock], live: Live, asks: bool, secrets: Secrets) -> Locked | None:
    """The server as a person leaves it; None where it is locked like this already, or was left out."""
    lock = known.get(live.config.lock)
    before = lock.of(live.config) if lock else None
    if lock and before and accepted(begun.config.home, lock) and not list(differences(lock, live)):
        say(f"{live.config.name}: as it was locked, {len(live.tools)} tools")
        return None
    pins = of_lock(before, before.start == live.start) if before else Pins()
    rows: list[Row] = []
    for spec in live.tools:
        if secrets.clean(str(definition(spec))) != str(definition(spec)):
            tell(f"{live.config.name}.{spec.remote_name} is left out: its definition holds a secret of yours")
            continue
        rows.append(Row.of(live.config, spec, pins.lock.get(spec.remote_name)))
    changed = list(differences(lock, live)) if before else []
    kept = review(live.config, live.server, rows, changed) if asks else rows
    if kept is None:
        tell(f"{live.config.name} is left as it was")
        return None
    return Locked(live.start, {row.spec.remote_name: pin_of(row, asks) for row in kept}, live.server, live.package)


def pin_of(row: Row, asks: bool) -> Pin:
    """What was said of a tool; where nobody was asked, a guess is not said."""
    known = definition(row.spec), row.spec.digest
    return Pin(*known, row.effect, row.open) if asks or row.said else Pin(*known)


def put(begun: Begun, lock: Lock, reviewed: Mapping[str, Locked]) -> None:
    """Write what was reviewed into one lock, and remember in this home that it was."""
    files = {name: dict(servers) for name, servers in lock.files.items()}
    mine = [file for file in begun.files if file.path.with_name("servers.lock") == lock.path]
    for file in mine:
        servers = files.setdefault(file.path.name, {})
        for name in servers.keys() - file.servers.keys():
            del servers[name]
        servers |= {name: reviewed[name] for name in file.servers if name in reviewed}
    untouched = {name for file in mine for name in files[file.path.name] if name not in reviewed}
    was_accepted = accepted(begun.config.home, lock)
    written = write_lock(replace(lock, files=files))
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    store = HostStore(begun.config.home)
    try:
        for name in (name for file in mine for name in file.servers if name in reviewed):
            store.accept(begun.config.servers[name].subject, reviewed[name].tools, at, others=False)
        if was_accepted or not untouched:
            store.consent(str(written.path), written.digest, at)
        else:
            tell(f"{', '.join(sorted(untouched))} still to be reviewed: until then the lock does not count")
    finally:
        store.close()
    say(f"{written.path}: {', '.join(sorted(reviewed))} written")
