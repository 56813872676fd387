"""Where no sandbox works, a server starts with the user's rights only after the user's own word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

from host.consent import Ask, executable
from host.core.errors import ConfigError
from host.core.settings import Config, ServerConfig
from host.core.types import canonical
from host.store.host import HostStore

QUESTION = "Start them without a sandbox? Type yes to agree, Enter to go on without them: "


def allowed(config: Config, trust: bool, ask: Ask | None, names: Sequence[str]) -> tuple[Config, list[str]]:
    """The configuration as it can be run here, and what to tell the user. Of the servers of these names those that
    want a sandbox are asked for, once, where there is none. Raises ConfigError where nobody is here to ask."""
    wanted = [config.servers[name] for name in names]
    wanted = [server for server in wanted if server.enabled and server.url is None and server.sandbox != "off"]
    if not wanted:
        return config, []
    from host.servers.probe import machine, surely

    if surely() or machine().confines:
        return config, []
    why = machine().trouble
    if config.require_sandbox:
        return config, [f"no sandbox works here ({why}), and a file requires one: no server is started"]
    store = HostStore(config.home)
    try:
        new = [server for server in wanted if not store.consented(_subject(server), _digest(server))]
        if new and not trust:
            agreed = _asked(new, why, ask)
            for server in new if agreed else ():
                store.consent(_subject(server), _digest(server), datetime.now(UTC).isoformat(timespec="milliseconds"))
            wanted = [server for server in wanted if agreed or server not in new]
    finally:
        store.close()
    free = {server.name: replace(server, sandbox="off") for server in wanted}
    told = [f"{', '.join(free)}: outside any sandbox, with your rights ({why})"] if free else []
    return replace(config, servers={**config.servers, **free}), told


def _asked(servers: Sequence[ServerConfig], why: str, ask: Ask | None) -> bool:
    names = ", ".join(server.name for server in servers)
    if ask is None:
        first = servers[0]
        raise ConfigError(
            f"{first.file}: no sandbox works on this machine ({why}), and nobody is here to ask.",
            f'Install bubblewrap, or write sandbox = "off" under [mcp_servers.{first.name}] to start it with your '
            f"rights, or say --trust for this run (servers: {names})",
        )
    return ask(
        [
            f"No sandbox works on this machine: {why}.",
            "Without one these servers start WITH YOUR RIGHTS: they can read and change all your files.",
            *(f"  {server.name}: {' '.join((server.command, *server.args))}" for server in servers),
        ]
    )


def _subject(server: ServerConfig) -> str:
    return f"{server.file}: {server.name} without a sandbox"


def _digest(server: ServerConfig) -> str:
    what = [server.command, list(server.args), executable(server), str(server.cwd), sorted(server.env)]
    return sha256(canonical(what).encode()).hexdigest()
