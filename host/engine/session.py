"""One open session: its log, its state, its readers, and the inbox of commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
from anyio import to_thread

from host.core import events as ev
from host.core.catalog import Costs
from host.core.errors import HostError, StoreError
from host.core.fold import apply
from host.core.policy import Context, Decision, decide
from host.core.settings import ModelProfile
from host.core.source import ServerStatus, ToolSource, What
from host.core.state import Call, State
from host.core.text import Veil
from host.core.told import CHARS_PER_TOKEN
from host.core.types import Large, ToolSpec, Usage
from host.engine.feed import Item, Readers
from host.engine.inbox import take
from host.engine.lasting import Lasting
from host.engine.offer import Offer, abouts, offer
from host.engine.queries import answer
from host.engine.resources import read_resource, resources
from host.engine.setup import Asking, Model, Setup
from host.servers.builtin import Builtin
from host.servers.finder import Listing
from host.servers.large import apart
from host.servers.pool import SessionServers
from host.store.log import SPILL, Log, read_log

WHOLE = (ev.CallFinished.kind, ev.UserSaid.kind)
DURABLE = (ev.UserSaid, ev.Answered)


class Session:
    """Satisfies frontends.handle.Handle. `emit` is the only writer of log and state."""

    def __init__(self, log: Log, state: State, setup: Setup) -> None:
        self.log, self.state, self.setup = log, state, setup
        self.since = log.seq
        self.servers: SessionServers
        self.builtin = Builtin(partial(read_resource, self), self.result_at, self._listing, partial(resources, self))
        self.costs = Costs()
        self.attended = True
        self.going = False
        self.closing = False
        self.compacting = False
        self.asking: Asking | None = None
        self.offered: dict[str, str] = {}
        self._digests: dict[str, dict[str, str]] = {}
        self.readers = Readers(self._stored)
        self._rested = anyio.Event()
        self._changed = anyio.Event()
        self.scope: anyio.CancelScope | None = None
        self.broken: HostError | None = None
        self._models: dict[str, Model] = {}
        self.lasting = Lasting(self)

    @property
    def session(self) -> str:
        return self.log.session

    def now(self) -> str:
        """The time of the next event: UTC in milliseconds, never before the last event's."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return max(at, self.state.at)

    # --- writing: append → apply → wake

    def emit(self, *happened: ev.Event) -> None:
        """Make events durable and true, in one transaction. Raises StoreError; then the session is read-only."""
        clean = [self._clean(event) for event in happened]
        with self._or_fail():
            bodies = [self.log.stage(body) for _, body in clean]
        self._append([event for event, _ in clean], bodies)

    async def record(self, *happened: ev.Event) -> None:
        """As `emit`, for events that may be large: what is over the spill size is written off the loop first."""
        clean = [self._clean(event) for event in happened]
        bodies = [body for _, body in clean]
        if any(len(body) > SPILL for body in bodies):
            with anyio.CancelScope(shield=True), self._or_fail():
                bodies = await to_thread.run_sync(lambda: [self.log.stage(body) for body in bodies])
        self._append([event for event, _ in clean], bodies)

    async def record_large(self, done: ev.CallFinished, large: Large, *happened: ev.Event) -> None:
        """As `record`, for a result whose content goes to the log only: the session goes on with its outline."""
        with anyio.CancelScope(shield=True), self._or_fail():
            body, clean = await to_thread.run_sync(self._whole, done, large)
            outline = large.outline
            if not clean:
                limit = self.state.limits.result_tokens * CHARS_PER_TOKEN
                outline = tuple((await apart("outline", {"limit": limit}, body))[0]["outline"])
            event, brief = self._clean(replace(done, outline=outline))
            stub = await to_thread.run_sync(self.log.stage, body, brief)
        others = [self._clean(other) for other in happened]
        self._append([event, *(other for other, _ in others)], [stub, *(body for _, body in others)])

    def _whole(self, done: ev.CallFinished, large: Large) -> tuple[bytes, bool]:
        """The stored body of a large result, and whether it was without secrets from the first."""
        about = ev.plain(done)
        del about["content"]
        body = ev.dumps(about)[:-1] + b"," + large.json[1:]
        clean = self.setup.secrets.clean_bytes(body)
        return clean, clean is body

    def _clean(self, event: ev.Event) -> tuple[ev.Event, bytes]:
        """The event and its body without secrets: live state and fold must agree, also where one was replaced."""
        body = ev.encode(event)
        clean = self.setup.secrets.clean_bytes(body)
        return (event if clean is body else ev.decode(event.kind, clean)), clean

    def _append(self, happened: list[ev.Event], bodies: list[bytes]) -> None:
        at = self.now()
        rows = [(event.kind, body) for event, body in zip(happened, bodies, strict=True)]
        with self._or_fail():
            seq = self.log.append(rows, at, durable=any(self._needs_disk(event) for event in happened))
        for offset, event in enumerate(happened):
            recorded = ev.Recorded(self.session, seq + offset, at, event)
            apply(self.state, recorded)
            self.readers.push(recorded)
        self.wake()

    @contextmanager
    def _or_fail(self) -> Iterator[None]:
        """What cannot be kept ends the session, whoever hears of it first."""
        try:
            yield
        except StoreError as error:
            self.fail(error)
            raise

    def reject(self, command: str, reason: str) -> None:
        """Tell the readers that a command which was taken came to nothing."""
        self.readers.push(ev.Rejected(command, reason))

    def _needs_disk(self, event: ev.Event) -> bool:
        if isinstance(event, ev.CallStarted):
            return self.state.calls[event.call_id].effect != "read"
        return isinstance(event, DURABLE)

    def wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def news(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something of the state holds."""
        while not true():
            await self._changed.wait()

    def fail(self, error: HostError) -> None:
        """The session cannot be written any more: it is read-only from here, and its readers are told."""
        if self.broken is None:
            self.broken = error
            self.readers.end(error)
            if self.scope is not None:
                self.scope.cancel()

    # --- door one: commands

    def submit(self, command: ev.Command) -> ev.Rejected | None:
        if self.broken is not None:
            return ev.Rejected(command.kind, f"the session is read-only: {self.broken}")
        if self.closing:
            return ev.Rejected(command.kind, "the session is closing")
        try:
            reason = take(self, command)
        except StoreError as error:
            reason = str(error)
        self.wake()
        return ev.Rejected(command.kind, reason) if reason else None

    def interrupt(self) -> None:
        """Cut the turn: at once if it waits for a process to carry it on, else by cancelling its scope."""
        if self.scope is not None:
            self.scope.cancel()
        elif self.state.turn is not None:
            self.cut()

    def go(self) -> None:
        if self.state.turn is None or self.going:
            return
        from host import __version__

        self.emit(ev.SettingsChanged({"resumed": __version__}, by="host"))
        self.going = True

    def leave(self) -> None:
        self.attended = False
        if self.going:
            self.emit(*(self.decline(asked) for asked in self.state.open_questions()))

    @staticmethod
    def decline(asked: ev.Asked) -> ev.Answered:
        """The host's own answer where nobody can give one."""
        return ev.Answered(asked.request_id, "decline", by="host", reason="nobody is here to answer")

    # --- door two: the feed

    def feed(self, after: int = 0) -> AsyncIterator[Item]:
        return self.readers.feed(after, lambda: (self.state.seq, self._streamed()))

    def _streamed(self) -> dict[int, str]:
        """The text that has come so far, as far as it may be shown."""
        secrets, texts = self.setup.secrets, self.asking.texts if self.asking else {}
        return {part: secrets.clean(text[: secrets.settled(text)]) for part, text in texts.items()}

    def _stored(self, after: int, upto: int) -> list[ev.Recorded]:
        rows = read_log(self.log.folder, self.session, after, upto, brief=True)
        return [ev.Recorded(self.session, row.seq, row.at, ev.decode(row.kind, row.body)) for row in rows if row.body]

    def delta(self, delta: ev.Delta) -> None:
        """Pass on what streams; text is kept until its event comes, for a reader that joins in between."""
        if delta.of == "progress" or self.asking is None:
            self.readers.push(replace(delta, value=self.setup.secrets.clean(delta.value)))
            return
        if delta.of == "text":
            self.asking.texts[delta.part] = self.asking.texts.get(delta.part, "") + delta.value
        veil = self.asking.veils.setdefault((delta.part, delta.of), Veil(self.setup.secrets))
        offset, value = veil.take(delta.value)
        if value:
            self.readers.push(replace(delta, offset=offset, value=value))

    # --- door three: queries

    async def ask(self, query: str, **parameters: Any) -> Any:
        return await answer(self, query, parameters)

    # --- what a turn needs

    def offer(self) -> Offer:
        """What the model is offered now."""
        window = self.known_model().context
        return offer(self.state, self.setup.profile.prompt, self.servers, self.builtin, window, self.costs)

    def known_model(self) -> ModelProfile:
        """What is known of the model now: until it was first asked, what is safe to assume."""
        model = self._models.get(self.state.model)
        return model.profile if model else ModelProfile()

    def spec(self, name: str) -> ToolSpec | None:
        return self.servers.spec(name) or next((s for s in self.builtin.tools(True, True) if s.name == name), None)

    def source(self, server: str) -> ToolSource | None:
        return self.builtin if server == Builtin.server else self.servers.source(server)

    def decide(self, spec: ToolSpec, call: Call, arguments: Mapping[str, Any]) -> Decision:
        """What today's rules and grants say of a call with these arguments, which may not be the model's own."""
        unsettled = self.state.unsettled_like(spec.name, arguments) is not None
        said = self.state.turn.said if self.state.turn else None
        tentative = said is not None and bool(said.request.get("tentative"))
        context = Context(
            self.state.mode,
            self.state.facts,
            unsettled,
            self.setup.bypass,
            tentative,
            self.state.repeated(call.proposal),
        )
        grants = [*self.state.grants, *self.setup.grants, *self.lasting.grants]
        return decide(self.setup.profile.rules, grants, spec, arguments, context)

    async def model(self) -> Model:
        name = self.state.model
        if name not in self._models:
            self._models[name] = await self.setup.model_for(name)
        return self._models[name]

    def on_status(self, status: ServerStatus) -> None:
        self.readers.push(status)
        self.wake()

    def on_news(self, server: str, what: What, uri: str | None) -> None:
        """A server said that something of it changed; its tools are an event of their own."""
        if what != "tools":
            self.readers.push(ev.ServerNews(server, what, uri))

    def watch(self) -> None:
        """Be told when what the user put beside their words changes."""
        for server, uri in self.state.attached:
            with suppress(HostError):  # it is not a server of this session any more
                self.servers.watch(server, uri)

    def on_tools(self, server: str, specs: list[ToolSpec], quarantined: Mapping[str, str]) -> None:
        """A server listed its tools: what is new to this session's log is written to it."""
        now = {spec.name: spec.digest for spec in specs}
        before = self._digests.get(server, {})
        known = [name for name, of in self.state.catalog.items() if of == server]
        event = ev.CatalogChanged(
            server,
            tuple(name for name in now if self.state.catalog.get(name) != server),
            tuple(name for name in known if name not in now),
            tuple(name for name in now if before.get(name, now[name]) != now[name]),
            quarantined,
            {drift.tool: drift.told for drift in self.servers.drifts() if drift.server == server} or None,
        )
        self._digests[server] = now
        if (event.added or event.removed or event.changed or quarantined) and self.broken is None and not self.closing:
            with suppress(StoreError):  # the session has failed then, and says so; its servers have not
                self.emit(event)

    def _listing(self) -> Listing:
        return Listing(self.servers.tools(), abouts(self.servers), self.offered)

    async def result_at(self, seq: int) -> bytes | None:
        """The stored body of the result that came as event `seq`, whole."""
        rows = await to_thread.run_sync(read_log, self.log.folder, self.session, seq - 1, seq)
        return rows[0].body if rows and rows[0].kind in WHOLE else None

    # --- its end

    def cut(self) -> None:
        """End the turn where it stands: every open thing gets its honest end."""
        events: list[ev.Event] = []
        state = self.state
        if self.asking is not None:
            asking = self.asking
            events.append(ev.ModelSaid(asking.arrived(), asking.model, "interrupted", request=asking.request))
            self.asking = None
        events += [ev.Answered(asked.request_id, "cancel", by="host") for asked in state.open_questions()]
        for call in state.calls.values():
            if call.status != "finished":
                lost = call.status == "started" and call.effect != "read"
                reason = "the turn was interrupted while it ran" if lost else None
                events.append(ev.CallFinished(call.id, "unknown" if lost else "interrupted", True, reason=reason))
        self.emit(*events, ev.TurnEnded("interrupted", state.turn.usage if state.turn else Usage()))

    def rest(self) -> None:
        """No turn will run any more: readers that have taken everything are done."""
        self._rested.set()
        self.readers.end()

    async def close(self) -> None:
        """End in good order: the turn is interrupted, servers are stopped, the log is closed."""
        if not self.closing:
            self.submit(ev.Close())
        self.closing = True
        self.wake()
        await self._rested.wait()
        await self.servers.close()
        await to_thread.run_sync(self.log.close)
