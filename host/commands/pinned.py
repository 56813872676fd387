"""From lock files to what is accepted of each server's tools. A lock counts once it was reviewed in this home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from host.config import ConfigFile
from host.config.lock import Lock, Locked, read_lock, start_of
from host.core.packages import at_pin
from host.core.pins import Pin, Pins
from host.core.settings import Config
from host.store.host import HostStore


def pinned(config: Config, files: Sequence[ConfigFile], trust: bool) -> tuple[Config, list[str]]:
    """The configuration with the pins of accepted locks, and what a person should know of the others. `trust` accepts
    them for this run. Raises ConfigError for a lock that cannot be read."""
    pins: dict[str, Pins] = {}
    servers = dict(config.servers)
    notices: list[str] = []
    for lock in locks(files):
        if not (trust or accepted(config.home, lock)):
            notices.append(f"{lock.path} does not count until you have reviewed it as it is: agent-host lock")
            continue
        for file in files:
            for server in file.servers.values():
                if server.lock == lock.path and (locked := lock.of(server)):
                    same = locked.start == start_of(file.document["mcp_servers"][server.name])
                    pins[server.name] = of_lock(locked, same)
                    if locked.package:
                        args = at_pin(server.command, server.args, locked.package)
                        servers[server.name] = replace(servers[server.name], args=args)
                    if not same and server.enabled:
                        notices.append(
                            f"{server.name} is not started as {lock.path} says, so what its tools do counts as "
                            f"unknown: agent-host lock --update {server.name}"
                        )
    return replace(config, pins=pins, servers=servers), notices


def locks(files: Sequence[ConfigFile]) -> list[Lock]:
    """The locks beside these files."""
    paths = dict.fromkeys(server.lock for file in files for server in file.servers.values())
    return [lock for path in paths if (lock := read_lock(path)) is not None]


def of_lock(locked: Locked, same: bool) -> Pins:
    """Of a server that is started in another way the definitions count, but not what was said of them."""
    tools: Mapping[str, Pin] = locked.tools
    if not same:
        tools = {name: replace(pin, effect=None, open=None) for name, pin in tools.items()}
    return Pins(tools, locked=True, ahead=same)


def accepted(home: Path, lock: Lock) -> bool:
    """Whether exactly this lock was reviewed in this home."""
    store = HostStore(home)
    try:
        return store.consented(str(lock.path), lock.digest)
    finally:
        store.close()
