"""The host: opens, resumes, lists and closes sessions; owns the pool, the store and their tasks."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Self

import anyio
from anyio import to_thread

from host import __version__
from host.core import events as ev
from host.core.errors import ConfigError, StoreError
from host.core.fold import fold
from host.core.pins import Pin, Pins
from host.core.settings import Config, ModelProfile, Profile, ServerConfig
from host.core.state import State
from host.core.text import Secrets
from host.core.types import Grant, Limits, SessionRow, canonical
from host.engine.session import Session
from host.engine.setup import Model, Setup
from host.engine.signing import Signer, close_stale
from host.engine.turn import live
from host.providers.base import Provider
from host.servers.pool import Pool
from host.store.grants import GrantFile
from host.store.host import HostStore
from host.store.log import Log

Trace = Callable[[Session], None]
ProviderFor = Callable[[str, Profile], Awaitable[tuple[Provider, str, ModelProfile]]]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line adds to the files, for every session of this process. None keeps what is set; `patience`
    is how many seconds a turn waits for late servers once one is ready, None until each had its time; `project` is the
    folder that grants for a project are bound to."""

    model: str | None = None
    mode: str | None = None
    bypass: bool = False
    grants: tuple[Grant, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    json_schema: Mapping[str, Any] | None = None
    attended: bool = True
    patience: float | None = None
    project: str = ""


class Host:
    """Satisfies frontends.handle.Door. Use as an async context manager: leaving it closes every session.

    With `trace`, that is called with each session that opens, and servers are told of the spans of their calls."""

    def __init__(
        self, config: Config, options: RunOptions, provider_for: ProviderFor, trace: Trace | None = None
    ) -> None:
        self._config, self._options, self._provider_for, self._trace = config, options, provider_for, trace
        self._store = HostStore(config.home)
        self._grants = GrantFile(config.home)
        self._pool = Pool(eras=self._store)
        self._open: dict[str, Session] = {}
        self._stack = AsyncExitStack()
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._pool)
        await self._stack.enter_async_context(self._tasks)
        return self

    async def __aexit__(self, *exc: Any) -> None:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as closing:
                for session in list(self._open):
                    closing.start_soon(self.close, session)
        self._tasks.cancel_scope.cancel()
        await self._stack.aclose()
        self._store.close()

    async def open(self, resume: str | None = None, profile: str | None = None) -> Session:
        """A new session, or an old one by its id. Its servers start at once, in parallel, and nobody waits."""
        if resume is not None and resume in self._open:
            return self._open[resume]
        if resume is not None:
            log, state = await to_thread.run_sync(self._load, resume)
        else:
            log = await to_thread.run_sync(Log.create, self._config.home, new_id())
            state = State(session=log.session)
        try:
            return await self._begin(log, state, profile)
        except BaseException:
            with suppress(StoreError):
                log.close()
            raise

    async def _begin(self, log: Log, state: State, profile: str | None) -> Session:
        chosen = self._profile(profile or state.profile or None)
        configs = self._servers(chosen)
        pins = await to_thread.run_sync(lambda: {config.name: self._pins(config) for config in configs})
        setup = self._setup(chosen, configs)
        session = Session(log, state, setup)
        session.attended = self._options.attended
        if log.seq == 0:  # new, or its first process died before it wrote a word
            session.emit(self._opened(chosen, held(configs)))
        elif changes := self._changes(state, chosen, held(configs)):
            session.emit(ev.SettingsChanged(changes))
        close_stale(session)
        session.servers = self._pool.servers(
            log.session,
            configs,
            session.on_status,
            session.on_tools,
            state.facts,
            pins,
            self._accepted,
            session.on_news,
            person=Signer(session),
        )
        session.watch()
        self._open[log.session] = session
        self._tasks.start_soon(live, session)
        self._note(session.state)
        if self._trace is not None:
            self._trace(session)
        return session

    def _load(self, id: str) -> tuple[Log, State]:
        log = Log.open(self._config.home, id)
        try:
            return log, fold(id, whole_log(log))
        except BaseException:
            log.close()
            raise

    def _profile(self, name: str | None) -> Profile:
        profiles = self._config.profiles
        if name is None or name == "default":
            every = tuple(name for name, server in self._config.servers.items() if server.enabled)
            return profiles.get("default") or Profile("default", every, rules=self._config.rules)
        if name not in profiles:
            known = ", ".join(sorted(profiles)) or "none"
            raise ConfigError(f"no profile {name!r}; known profiles: {known}")
        return profiles[name]

    def _servers(self, profile: Profile) -> list[ServerConfig]:
        return [self._config.servers[name] for name in profile.servers if self._config.servers[name].enabled]

    def _pins(self, server: ServerConfig) -> Pins:
        """What was accepted of a server: by its lock, and in this home. One whose lock was accepted once stays locked,
        also when that file is changed or taken away."""
        home = self._store.pins(server.subject)
        known = self._config.pins.get(server.name) or Pins(
            locked=bool(home) and self._store.ever_consented(str(server.lock))
        )
        return replace(known, home=home)

    def _accepted(self, server: str, pins: Mapping[str, Pin], asked: bool) -> None:
        """Keep for this home what counts as accepted from now on. A few rows, once a server: written at once, for a
        definition that is not kept could change unseen before the next run."""
        keep = self._store.accept if asked else self._store.met
        keep(self._config.servers[server].subject, self._clean(pins), datetime.now(UTC).isoformat())

    def _clean(self, pins: Mapping[str, Pin]) -> dict[str, Pin]:
        clean = Secrets(self._config.secrets).clean
        return {
            name: replace(pin, definition=json.loads(clean(canonical(pin.definition)))) for name, pin in pins.items()
        }

    def _setup(self, profile: Profile, configs: list[ServerConfig]) -> Setup:
        async def model_for(name: str) -> Model:
            provider, own_name, known = await self._provider_for(name, profile)
            return Model(provider, own_name, known)

        def known_model(name: str) -> str | None:
            provider, _, own = name.partition("/")
            if not own:
                return f'a model is written "provider/model", not {name!r}'
            if provider in self._config.providers:
                return None
            return f"no provider {provider!r}; known: {', '.join(sorted(self._config.providers))}"

        return Setup(
            profile,
            model_for,
            known_model,
            self._note,
            Secrets(self._config.secrets),
            frozenset(config.name for config in configs if config.required),
            self._options.grants,
            self._options.bypass,
            self._options.json_schema,
            self._options.patience,
            {config.name: config for config in configs},
            self._grants,
            self._options.project,
            self._trace is not None,
        )

    def _opened(self, profile: Profile, sandbox: Mapping[str, str]) -> ev.SessionOpened:
        limits = asdict(self._limits(profile))
        return ev.SessionOpened(
            profile.name,
            self._model(),
            tuple(profile.servers),
            self._options.mode or "ask",
            {name: value for name, value in limits.items() if value is not None},
            dict(self._options.facts),
            __version__,
            sandbox,
        )

    def _changes(self, state: State, profile: Profile, sandbox: Mapping[str, str]) -> dict[str, Any]:
        """What today's files and flags change of a resumed session; facts once set stay."""
        changes: dict[str, Any] = {}
        if self._options.model and self._options.model != state.model:
            changes["model"] = self._options.model
        if self._options.mode and self._options.mode != state.mode:
            changes["mode"] = self._options.mode
        for name, value in self._options.facts.items():
            if state.facts.get(name, value) != value:
                raise ConfigError(f"the fact {name} is already set in this session and stays as it is")
            if name not in state.facts:
                changes.setdefault("facts", {})[name] = value
        if sandbox != state.sandbox:
            changes["sandbox"] = dict(sandbox)
        limits = self._limits(profile)
        if limits != state.limits:
            changes["limits"] = {f.name: getattr(limits, f.name) for f in fields(limits)}
        return changes

    def _model(self) -> str:
        model = self._options.model or self._config.model
        if model is None:
            raise ConfigError('no model is set: write model = "provider/model" or pass --model')
        return model

    def _limits(self, profile: Profile) -> Limits:
        """The profile's, with what the command line says instead, and nothing above the ceiling of the files."""
        wanted = replace(profile.limits, **self._options.limits)
        bound = {name: top for name, top in self._config.ceiling.items() if (getattr(wanted, name) or top) >= top}
        return replace(wanted, **bound)

    def _note(self, state: State) -> None:
        """Keep the session's line in the index true: at the ends of a turn, and while a person is waited for."""
        waiting = bool(state.open_questions())
        word = "waiting" if waiting else "working" if state.turn is not None else "idle"
        self._store.upsert(
            state.session, state.title, state.profile, state.model, state.at, state.turns, state.usage.usd, word
        )

    async def close(self, session: str) -> None:
        with anyio.CancelScope(shield=True):
            if open := self._open.pop(session, None):
                await open.close()
                self._note(open.state)

    async def sessions(self) -> list[SessionRow]:
        return await to_thread.run_sync(self._store.sessions)

    async def grants(self) -> tuple[Grant, ...]:
        return await to_thread.run_sync(self._grants.read)

    async def take_back(self, id: str) -> bool:
        return await to_thread.run_sync(self._grants.take_back, id)


def held(configs: Sequence[ServerConfig]) -> dict[str, str]:
    """What was asked for to hold each server that is started."""
    return {config.name: config.held for config in configs if config.held}


def whole_log(log: Log) -> Iterator[ev.Recorded]:
    """The events of a log, one at a time. Raises StoreError at a gap."""
    for row in log.read(brief=True):
        if not row.body:
            raise StoreError(f"session {log.session} has an erased event; it can be read, not resumed")
        yield ev.Recorded(log.session, row.seq, row.at, ev.decode(row.kind, row.body))


def new_id() -> str:
    """A session id that sorts by time and is short enough to type."""
    return f"{datetime.now(UTC):%y%m%d-%H%M%S}-{secrets.token_hex(2)}"
