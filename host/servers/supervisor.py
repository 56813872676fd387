"""One server kept alive: started when it can be, restarted when it dies, given up when it keeps dying."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from host.core.errors import HostError
from host.core.pins import Drift, Pin, Pins, ahead, definition, judge
from host.core.settings import ServerConfig
from host.core.source import Ask, Eras, Person, Progress, Round, ServerStatus, Spoken, What
from host.core.types import CallResult, Contents, InputRequired, ToolSpec, canonical
from host.servers.logs import ServerLog, Tap, Wants
from host.servers.memory import Memory
from host.servers.patience import Deadlines, Patience, Unhurried
from host.servers.quirks import quirks

if TYPE_CHECKING:
    from host.servers.connection import Connection

BACKOFF = (0.5, 30.0)
"""Seconds before the first restart, which double up to the last."""
QUICK_SECONDS = 30.0
QUICK_FAILURES = 5
_FACT = re.compile(r"\$\{fact\.([A-Za-z0-9_-]+)\}")


OnAccepted = Callable[[str, Mapping[str, Pin], bool], None]
"""Told of definitions that count as accepted from now on: the server's name, the pins, and whether a person said so."""


class Supervisor:
    """A ToolSource that outlives its processes. `tools` are the last listing, also while it restarts; `drifts` are
    tools that nobody accepted as they are."""

    def __init__(
        self,
        config: ServerConfig,
        facts: Mapping[str, Any],
        on_status: Callable[[ServerStatus], None],
        on_tools: Callable[[], None],
        backoff: tuple[float, float],
        pins: Pins,
        on_accepted: OnAccepted,
        eras: Eras | None,
        on_news: Callable[[What, str | None], None],
        tap: Tap | None,
        person: Person | None = None,
    ) -> None:
        self.config, self.pins = config, pins
        self.log = ServerLog()
        self.wants = Wants(config.log_level)
        self.status = ServerStatus(config.name, "starting")
        self.tools: list[ToolSpec] = []
        self.quarantined: dict[str, str] = {}
        self.drifts: dict[str, Drift] = {}
        self.settled = anyio.Event()
        self.closed = anyio.Event()
        self._facts = dict(facts)
        self._deadlines = Deadlines()
        self._person = Unhurried(person, self._deadlines) if person else None
        self._on_status, self._on_tools, self._on_accepted, self._backoff = on_status, on_tools, on_accepted, backoff
        self._on_news = on_news
        self._about = self._instructions = self._sandbox = ""
        self._offers: tuple[str, ...] = ()
        self._connection: Connection | None = None
        self._tap = tap
        self._memory = Memory(eras, config, self.log)
        self._changed = anyio.Event()
        self._wanted = anyio.Event()
        self._scope = anyio.CancelScope()
        self._life = anyio.CancelScope()
        self._again = False

    @property
    def parallel(self) -> bool:
        return self.config.parallel

    # --- the owner task

    async def run(self) -> None:
        """Keep the server alive until `stop`. Never raises for what the server does."""
        try:
            with self._scope:
                await self._facts_known()
                if self.pins.ahead:
                    self.tools = ahead(self.config, self.pins)
                    self._on_tools()
                self._set("starting")
                module = await to_thread.run_sync(importlib.import_module, "host.servers.connection")
                await to_thread.run_sync(self._memory.recall)
                while True:
                    await self._keep(module.Connection)
                    self._wanted = anyio.Event()
                    await self._wanted.wait()
        finally:
            self._set("closed")
            self.closed.set()

    async def _facts_known(self) -> None:
        while missing := [name for name in self._needs() if name not in self._facts]:
            self._set("waiting", f"waits for the fact {', '.join(missing)}")
            await self._changed.wait()

    async def _keep(self, connect: Callable[..., Connection]) -> None:
        """Life after life, until it is given up."""
        failures, ever = 0, False
        while True:
            if self._again:
                failures, self._again = 0, False
            began = anyio.current_time()
            reason, ready = await self._live(connect)
            ever = ever or ready
            if self._again:
                continue
            failures = failures + 1 if anyio.current_time() - began < QUICK_SECONDS else 1
            # An address may come back after any time; a program that keeps dying does not get better.
            if not ever or (failures >= QUICK_FAILURES and self.config.url is None):
                self._give_up(f"{reason}; it stopped {failures} times in a row" if ever else reason)
                return
            self._set("restarting", reason)
            await self._pause(min(self._backoff[0] * 2 ** min(failures - 1, 20), self._backoff[1]))

    async def _pause(self, seconds: float) -> None:
        with anyio.CancelScope() as self._life, anyio.move_on_after(seconds):
            await anyio.sleep_forever()

    async def _live(self, connect: Callable[..., Connection]) -> tuple[str, bool]:
        """One start and what comes of it: why it ended, and whether it was ever ready. A process that does not
        survive how we speak to it gets a second one, which is spoken to in the other way."""
        reason, connection = "", None
        with anyio.CancelScope() as self._life:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._hurry, self._life)
                known = self._memory.spoken.era if self._memory.spoken else None
                for era in (known, None if known == "handshake" else "handshake"):
                    connection = connect(
                        self.config,
                        self._given(),
                        self.log,
                        era,
                        self._tap,
                        person=self._person,
                        deadlines=self._deadlines,
                        wants=self.wants,
                        news=self._on_news,
                    )
                    died = era == "handshake" and known is None
                    reason = await connection.run(partial(self._heard, connection, tasks, died))
                    self._sandbox = connection.process.sandbox
                    if connection.ready or not connection.process.spawned or self.config.url is not None:
                        break  # an address does not die of a question; what it refused, it would refuse again
                tasks.cancel_scope.cancel()
        self._connection = None
        return reason or self.status.detail, connection is not None and connection.ready

    async def _hurry(self, life: anyio.CancelScope) -> None:
        """Who is not ready in time is not waited for any longer, also not while its process is put down."""
        patience = Patience(self.config.startup_timeout)
        with patience.scope, self._deadlines.of(patience):
            await anyio.sleep_forever()
        if self._connection is None:
            said = self.log.last()
            late = f"not ready within {self.config.startup_timeout:g} s (startup_timeout_sec)"
            self._set("failed", f"{late}: {said[:300]}" if said else late)
            life.cancel()

    def _heard(self, connection: Connection, tasks: TaskGroup, died: bool) -> None:
        if self._connection is not connection:
            probe = "died" if died else connection.probe
            tasks.start_soon(to_thread.run_sync, self._memory.learn, Spoken(connection.era, connection.says, probe))
        self._listed(connection)

    def _listed(self, connection: Connection) -> None:
        self._connection, self._about = connection, connection.about
        self._instructions = connection.instructions if self.config.instructions else ""
        self._sandbox = connection.process.sandbox
        self._offers = tuple(sorted(connection.offers.model_dump(exclude_none=True).keys() - {"tools"}))
        self._judge(connection)
        self._set("ready", connection.trouble)
        self._on_tools()

    def _judge(self, connection: Connection) -> None:
        """Offer of a listing what was accepted; what is seen for the first time is, and stays so."""
        judged = judge(self.config, self.pins, connection.tools)
        self.tools, self.drifts = judged.offered, judged.drifts
        self.quarantined = connection.quarantined | {name: drift.why for name, drift in judged.drifts.items()}
        self.quarantined |= {name: f"its name looks like {other!r}" for name, other in judged.alike.items()}
        if judged.first:
            first = {spec.remote_name: Pin(definition(spec), spec.digest) for spec in judged.first}
            self.pins = self.pins.accepted(first)
            self._on_accepted(self.config.name, first, False)

    def accept(self, tool: str, digest: str) -> None:
        """A person read what a tool has become, and accepts exactly that. Raises HostError where it is not so now."""
        drift = self.drifts.get(tool)
        if drift is None or drift.digest != digest or self._connection is None:
            raise HostError(f"{self.config.name} has no such definition of {tool} to accept now; look again")
        pin = Pin(drift.now, digest)
        self.pins = self.pins.accepted({tool: pin})
        self._on_accepted(self.config.name, {tool: pin}, True)
        self._listed(self._connection)

    def _give_up(self, reason: str) -> None:
        self._set("failed", reason)
        self.tools, self.quarantined, self.drifts = [], {}, {}
        self._on_tools()

    def _set(self, state: Any, detail: str = "") -> None:
        protocol = self._connection.protocol if self._connection else None
        tools = len(self.tools) if state in ("starting", "ready", "restarting") else 0
        aside = dict(self.quarantined)
        said = self._about, self._instructions, self._sandbox, self._offers
        self.status = ServerStatus(self.config.name, state, detail, tools, protocol, aside, *said)
        self._wake()
        if state != "starting":
            self.settled.set()
        self._on_status(self.status)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    # --- what the session asks of it

    async def call(
        self, spec: ToolSpec, arguments: Mapping[str, Any], round: Round, progress: Progress, ask: Ask
    ) -> CallResult | InputRequired:
        """One round at the live server; one that is starting is waited for. A call that a server never got, because
        it had forgotten us or was away, is sent once more when it is back; one that it refused for its headers, when
        the tool was listed anew and is still the same."""
        result: CallResult | InputRequired | None = None
        for _ in range(2):
            connection = await self._ready()
            if connection is None:
                break
            await connection.listed()
            if all((own.remote_name, own.digest) != (spec.remote_name, spec.digest) for own in self.tools):
                reason = self.quarantined.get(spec.remote_name) or "it was taken away or has another definition now"
                return CallResult("error", is_error=True, cause="definition_changed", reason=reason)
            result = await connection.call(spec, arguments, round, progress, ask)
            cause = result.cause if isinstance(result, CallResult) else None
            if cause != "definition_changed" and not (cause == "server_down" and connection.process.forgot):
                return result
        reason = self.status.detail or f"it is {self.status.state}"
        return result or CallResult("error", is_error=True, cause="server_down", reason=reason)

    async def live(self) -> Connection:
        """The connection to the live server; one that is starting is waited for. Raises HostError."""
        connection = await self._ready()
        if connection is None:
            raise HostError(f"the server {self.config.name} is {self.status.state}: {self.status.detail}")
        return connection

    async def read_resource(self, uri: str) -> Contents:
        """The contents of a resource. Raises HostError."""
        return await (await self.live()).read_resource(uri)

    async def get_prompt(self, name: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        """A prompt filled in, as the server wrote it. Raises HostError."""
        connection, inspection = await self._inspected()
        filled: dict[str, Any] = await inspection.get_prompt(connection, name, arguments)
        return filled

    async def listed(self, name: str) -> list[Any]:
        """A list besides its tools, as the server wrote it (host/servers/inspection.py). Raises HostError."""
        connection, inspection = await self._inspected()
        items: list[Any] = await inspection.listed(connection, name)
        return items

    async def complete(
        self, ref: Mapping[str, str], name: str, value: str, given: Mapping[str, str]
    ) -> tuple[list[str], bool]:
        """Values for an argument that begins with `value`, and whether there are more. Raises HostError."""
        connection, inspection = await self._inspected()
        found: tuple[list[str], bool] = await inspection.complete(connection, ref, name, value, given)
        return found

    async def inspect(self) -> dict[str, Any]:
        """All that the server says of itself, and what is odd about it. Raises HostError."""
        connection, inspection = await self._inspected()
        found: dict[str, Any] = await inspection.inspect(connection)
        return found | {"quirks": self.quirks()}

    def quirks(self) -> list[str]:
        """What is odd about it, as far as it was seen."""
        return list(quirks(self.log, self._memory, self._connection, self.quarantined))

    async def _inspected(self) -> tuple[Connection, Any]:
        connection = await self.live()
        return connection, await to_thread.run_sync(importlib.import_module, "host.servers.inspection")

    async def _ready(self) -> Connection | None:
        patience = Patience(self.config.startup_timeout)
        with patience.scope, self._deadlines.of(patience):
            while self.status.state in ("starting", "restarting") or self._dying():
                await self._changed.wait()
        return self._connection

    def _dying(self) -> bool:
        return self._connection is not None and self._connection.process.ended.is_set()

    def know(self, facts: Mapping[str, Any]) -> None:
        """Facts that were set since. A server that waits for one is started with it; one that runs keeps its own."""
        self._facts |= facts
        self._wake()

    def restart(self) -> None:
        """End this life, or the rest after giving up, and begin anew."""
        if self.status.state in ("waiting", "closed"):
            return
        self._again, self._connection = True, None
        self._set("restarting", "restarted by hand")
        self._wanted.set()
        self._life.cancel()

    def stop(self) -> None:
        self._scope.cancel()

    def _needs(self) -> list[str]:
        return sorted({name for value in self._own_values().values() for name in _FACT.findall(value)})

    def _own_values(self) -> Mapping[str, str]:
        return self.config.env if self.config.url is None else self.config.headers

    def _given(self) -> dict[str, str]:
        def fact(found: re.Match[str]) -> str:
            value = self._facts[found[1]]
            return value if isinstance(value, str) else canonical(value)

        return {name: _FACT.sub(fact, value) for name, value in self._own_values().items()}
