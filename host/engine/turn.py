"""One turn: ask the model, settle its calls, ask again, until it has nothing more to call."""

from __future__ import annotations

import hashlib
from time import monotonic
from typing import Any, Literal

import anyio
from anyio import to_thread

from host.core import events as ev
from host.core.errors import HostError, ProviderError, SessionError, StoreError
from host.core.source import ServerStatus
from host.core.state import CallModel, EndTurn, SettleCalls, next_step, time_used
from host.core.text import Secrets
from host.core.types import canonical
from host.engine.compaction import ask, compact_by_hand
from host.engine.session import Session
from host.engine.settle import settle
from host.engine.setup import Asking

COMING = ("starting", "restarting")
RETURNS_WITHIN = 30.0
"""Seconds that a turn waits for a required server that is on its way back."""


async def live(session: Session) -> None:
    """Run turns until the session is closed. A failure ends this session and no other."""
    try:
        while not session.closing and session.broken is None:
            if session.compacting:
                await compacted(session)
                continue
            if session.state.turn is None or not session.going:
                await session.news()
                continue
            session.setup.note(session.state)
            with anyio.CancelScope() as session.scope:
                await run_turn(session)
            session.scope = None
            if session.broken is None:
                if session.state.turn is not None:
                    session.cut()
                session.going = False
                await to_thread.run_sync(session.log.mark_head, session.state.at)
                session.setup.note(session.state)
    except Exception as error:
        session.fail(fault(error, session.setup.secrets))
    finally:
        session.scope = None
        session.rest()


async def compacted(session: Session) -> None:
    """Summarise between turns, as the user wished; who waits for it is told if nothing came of it."""
    refused: str | None = "it was interrupted"
    with anyio.CancelScope() as session.scope:
        refused = await compact_by_hand(session)
    cancelled, session.scope, session.compacting = session.scope.cancelled_caught, None, False
    if refused is not None:
        session.reject(ev.Compact.kind, refused)
    if cancelled and session.state.turn is not None and session.broken is None:
        session.cut()
    await to_thread.run_sync(session.log.mark_head, session.state.at)
    session.wake()


def fault(error: Exception, secrets: Secrets) -> HostError:
    """What ended a session, out of the groups that tasks wrap it in. Nobody foresaw its words, so they pass here."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, StoreError):
        return error
    words = secrets.clean(f"{type(error).__name__}: {error}")
    unforeseen = SessionError(f"the session ended by a fault of the host: {words}")
    unforeseen.__cause__ = error
    return unforeseen


async def run_turn(session: Session) -> None:
    """Carry the open turn to its end. A fresh turn and a resumed one come the same way."""
    if missing := await servers_ready(session):
        session.emit(ev.TurnEnded("failed", error=missing, code="server"))
        return
    while step := next_step(session.state, session.now()):
        match step:
            case CallModel():
                await servers_begun(session)
                await call_model(session)
            case SettleCalls(ids):
                await session.lasting.look_up()
                async with anyio.create_task_group() as tasks:
                    for id in ids:
                        tasks.start_soon(settle, session, session.state.calls[id])
            case EndTurn(reason, error, code):
                assert session.state.turn is not None
                session.emit(ev.TurnEnded(reason, session.state.turn.usage, error, code))


async def servers_ready(session: Session) -> str | None:
    """Wait for the servers. Returns what is wrong if a required one is not there."""
    await servers_begun(session)
    with anyio.move_on_after(RETURNS_WITHIN):
        await session.until(lambda: not any(s.state in COMING for s in required(session)))
    for status in required(session):
        if status.state != "ready":
            return f"the required server {status.server} is {status.state}: {status.detail}"
    return None


async def servers_begun(session: Session) -> None:
    """Wait until no server is starting any more: each is ready, failed or late, or its tools are known from its lock.
    In the middle of a turn one starts when a fact is set that it waited for."""
    with anyio.move_on_after(session.setup.patience if session.servers.tools() else None):
        await session.until(
            lambda: all(s.state != "starting" or s.tools > 0 for s in session.servers.statuses.values())
        )


def required(session: Session) -> list[ServerStatus]:
    """Where the servers stand without which no turn is run."""
    return [s for s in session.servers.statuses.values() if s.server in session.setup.required]


async def call_model(session: Session) -> None:
    """One request to the model, and its ModelSaid whatever happens."""
    state = session.state
    request: dict[str, Any] = {"through": state.seq}
    session.asking = asking = Asking(state.model, request)
    began = monotonic()
    try:
        model = await session.model()
        offer = session.offer()
        session.offered = {spec.name: spec.digest for spec in offer.tools}
        request |= {
            "through": state.seq,
            "system": digest(offer.system),
            "tools": digest(canonical([[spec.name, spec.digest] for spec in offer.tools])),
        }
        with anyio.fail_after(time_left(session)):
            reply = await ask(session, model, offer, request)
        request |= {**reply.notes, "attempts": reply.attempts}
        said = ev.ModelSaid(reply.parts, reply.model or state.model, reply.stop, reply.usage, request)
    except HostError as error:
        code: Literal["auth", "model"] = "auth" if isinstance(error, ProviderError) and error.auth else "model"
        said = ev.ModelSaid(asking.arrived(), state.model, "failed", request=request, error=str(error), code=code)
    except TimeoutError:
        reached = f"limits.seconds = {state.limits.seconds} was reached"
        said = ev.ModelSaid(asking.arrived(), state.model, "interrupted", request=request, error=reached)
    request["milliseconds"] = round((monotonic() - began) * 1000)
    await session.record(said)
    session.asking = None


def time_left(session: Session) -> float | None:
    """Seconds until the turn's time limit; None without one."""
    limit, turn = session.state.limits.seconds, session.state.turn
    if limit is None or turn is None:
        return None
    return max(0.0, limit - time_used(turn, session.now()))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
