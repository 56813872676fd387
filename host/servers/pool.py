"""Who has which server. Connections belong to one session; all of them run as tasks of one pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from host.core.catalog import Names, exposed_name
from host.core.errors import HostError
from host.core.pins import Drift, Pins
from host.core.settings import ServerConfig
from host.core.source import Eras, Person, ServerStatus, ToolSource, What
from host.core.types import Contents, ToolSpec
from host.servers.logs import Tap
from host.servers.supervisor import BACKOFF, OnAccepted, Supervisor

OnStatus = Callable[[ServerStatus], None]
OnTools = Callable[[str, list[ToolSpec], dict[str, str]], None]
OnNews = Callable[[str, What, str | None], None]
CLOSING_SECONDS = 10.0


class SessionServers:
    """The servers of one session. `statuses` are live."""

    def __init__(
        self,
        configs: Sequence[ServerConfig],
        on_status: OnStatus,
        on_tools: OnTools,
        facts: Mapping[str, Any],
        backoff: tuple[float, float],
        pins: Mapping[str, Pins],
        on_accepted: OnAccepted,
        eras: Eras | None,
        on_news: OnNews,
        tap: Tap | None,
        person: Person | None,
    ) -> None:
        self.statuses: dict[str, ServerStatus] = {}
        self._on_status, self._on_tools = on_status, on_tools
        self._supervisors = {
            config.name: Supervisor(
                config,
                facts,
                self._status_changed,
                partial(self._relist, config.name),
                backoff,
                pins.get(config.name, Pins()),
                on_accepted,
                eras,
                partial(on_news, config.name),
                tap,
                person,
            )
            for config in configs
            if config.enabled
        }
        for config in configs:
            self.statuses[config.name] = ServerStatus(config.name, "starting" if config.enabled else "disabled")
        self._names = Names()
        self._named: dict[str, list[ToolSpec]] = {name: [] for name in self._supervisors}
        self._specs: dict[str, ToolSpec] = {}
        self._told: dict[str, tuple[list[ToolSpec], dict[str, str], dict[str, Drift]]] = {}

    def start(self, tasks: TaskGroup) -> None:
        """Start all of them at once."""
        for supervisor in self._supervisors.values():
            tasks.start_soon(supervisor.run)

    def tools(self) -> list[ToolSpec]:
        """What the servers offer now, in their order; a server that restarts keeps its tools."""
        return [spec for specs in self._named.values() for spec in specs]

    def spec(self, name: str) -> ToolSpec | None:
        """The tool of this exposed name."""
        return self._specs.get(name)

    def aside(self, name: str) -> str | None:
        """Why the tool of this exposed name is set aside, if one is."""
        return next(
            (
                why
                for server, supervisor in self._supervisors.items()
                for tool, why in supervisor.quarantined.items()
                if exposed_name(server, tool) == name
            ),
            None,
        )

    def drifts(self) -> list[Drift]:
        """The tools that wait for a person, for nobody accepted them as they are."""
        return [
            drift
            for supervisor in self._supervisors.values()
            for drift in supervisor.drifts.values()
            if chosen(supervisor.config, drift.tool)
        ]

    def accept(self, server: str, tool: str, digest: str) -> None:
        """A person accepts what a tool has become. Raises HostError where it is not just that now."""
        self._of(server).accept(tool, digest)

    def source(self, server: str) -> ToolSource | None:
        """Where calls to this server go; it may be starting still."""
        return self._supervisors.get(server)

    async def settled(self) -> None:
        """Wait until each server is ready, has failed, or has used up its startup_timeout."""
        for supervisor in self._supervisors.values():
            await supervisor.settled.wait()

    async def read_resource(self, server: str, uri: str) -> Contents:
        """The contents of a resource as plain JSON. Raises HostError."""
        return await self._of(server).read_resource(uri)

    async def get_prompt(self, server: str, name: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        """A prompt of a server, filled in. Raises HostError."""
        return await self._of(server).get_prompt(name, arguments)

    async def listed(self, server: str, name: str) -> list[Any]:
        """The resources, resource_templates or prompts of a server, as it wrote them. Raises HostError."""
        return await self._of(server).listed(name)

    async def complete(
        self, server: str, ref: Mapping[str, str], name: str, value: str, given: Mapping[str, str]
    ) -> tuple[list[str], bool]:
        """Values for an argument of a prompt or a template, and whether there are more. Raises HostError."""
        return await self._of(server).complete(ref, name, value, given)

    def watch(self, server: str, uri: str) -> None:
        """Be told when this resource changes, as far as the server can. Raises HostError."""
        self._of(server).wants.watch(uri)

    def listen(self, server: str, level: str) -> None:
        """Have the server log from this level on; `journal` shows it. Raises HostError."""
        self._of(server).wants.listen(level)

    def journal(self, server: str) -> list[str]:
        """Its last lines of stderr and of its log, each with its time. Raises HostError."""
        return self._of(server).log.journal()

    async def inspect(self, server: str) -> dict[str, Any]:
        """All that a server says of itself (host/servers/inspection.py). Raises HostError."""
        return await self._of(server).inspect()

    def restart(self, server: str) -> None:
        """Start this server anew, also one that was given up. Raises HostError where there is none."""
        self._of(server).restart()

    def logs(self, server: str) -> list[str]:
        """Its last lines of stderr, and what was not a message on its stdout."""
        return self._of(server).log.lines()

    def quirks(self, server: str) -> list[str]:
        """What is odd about it, as far as it was seen."""
        return self._of(server).quirks()

    def set_facts(self, facts: Mapping[str, Any]) -> None:
        """Facts of the session; servers whose environment waits for one are started."""
        for supervisor in self._supervisors.values():
            supervisor.know(facts)

    @property
    def closed(self) -> bool:
        """Whether all of them have ended for good."""
        return all(supervisor.closed.is_set() for supervisor in self._supervisors.values())

    async def close(self) -> None:
        """End all of them, in parallel."""
        for supervisor in self._supervisors.values():
            supervisor.stop()
        with anyio.move_on_after(CLOSING_SECONDS, shield=True):
            for supervisor in self._supervisors.values():
                await supervisor.closed.wait()

    def _of(self, server: str) -> Supervisor:
        if server not in self._supervisors:
            known = ", ".join(self._supervisors) or "none"
            raise HostError(f"no server named {server!r} runs in this session; running: {known}")
        return self._supervisors[server]

    def _status_changed(self, status: ServerStatus) -> None:
        self.statuses[status.server] = status
        self._on_status(status)

    def _relist(self, listed: str) -> None:
        """Name a server's tools, and those of others that a name collides with; tell of each server that changed."""
        touched = self._names.listed(listed, (spec.remote_name for spec in self._chosen(listed)))
        for server in touched:
            for spec in self._named[server]:
                self._specs.pop(spec.name, None)
        for server in touched:
            self._named[server] = [
                replace(spec, name=self._names.of(server, spec.remote_name)) for spec in self._chosen(server)
            ]
            self._specs |= {spec.name: spec for spec in self._named[server]}
        for server in sorted(touched):
            supervisor = self._supervisors[server]
            now = (self._named[server], dict(supervisor.quarantined), supervisor.drifts)
            if self._told.get(server, ([], {}, {})) != now:
                self._told[server] = now
                self._on_tools(server, list(now[0]), dict(now[1]))

    def _chosen(self, server: str) -> list[ToolSpec]:
        """The tools of a server that its entry lets through."""
        supervisor = self._supervisors[server]
        return [spec for spec in supervisor.tools if chosen(supervisor.config, spec.remote_name)]


class Pool:
    """Owns the tasks of all connections. Leaving it ends every server. `eras` remembers how each speaks, `tap` hears
    all messages."""

    def __init__(
        self, backoff: tuple[float, float] = BACKOFF, eras: Eras | None = None, tap: Tap | None = None
    ) -> None:
        self._backoff, self._eras, self._tap = backoff, eras, tap
        self._tasks = anyio.create_task_group()
        self._sessions: list[SessionServers] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as closing:
                for servers in self._sessions:
                    closing.start_soon(servers.close)
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    def servers(
        self,
        session: str,
        configs: Sequence[ServerConfig],
        on_status: OnStatus,
        on_tools: OnTools,
        facts: Mapping[str, Any],
        pins: Mapping[str, Pins] = MappingProxyType({}),
        on_accepted: OnAccepted = lambda server, pins, asked: None,
        on_news: OnNews = lambda server, what, uri: None,
        person: Person | None = None,
    ) -> SessionServers:
        """Start the servers of a session, all in parallel, and return at once. `pins`: what was accepted of each,
        `person`: who may sign in at them."""
        backoff, eras, tap = self._backoff, self._eras, self._tap
        servers = SessionServers(
            configs, on_status, on_tools, facts, backoff, pins, on_accepted, eras, on_news, tap, person
        )
        self._sessions = [other for other in self._sessions if not other.closed] + [servers]
        servers.start(self._tasks)
        return servers


def chosen(config: ServerConfig, tool: str) -> bool:
    """Whether the entry's enabled_tools and disabled_tools, exact globs, let this tool through."""
    wanted = config.enabled_tools is None or any(fnmatchcase(tool, glob) for glob in config.enabled_tools)
    return wanted and not any(fnmatchcase(tool, glob) for glob in config.disabled_tools)
