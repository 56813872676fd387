"""`agent-host`: the chat in a terminal. The first frame comes before the engine is even imported."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
from anyio import to_thread

from host.arguments import UsageError
from host.commands.start import Begun, begin, terminal_ask
from host.core.errors import HostError
from host.core.types import Grant, SessionRow
from host.frontends.handle import Door, Handle
from host.frontends.plain import line_after, show
from host.store.host import HostStore

SHOWN = 20
PATIENCE = 10.0
"""Seconds that a person's prompt waits for late servers once one is ready."""


def main(options: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("no terminal here: agent-host run PROMPT works without one")
    if options.resume == "":
        options.resume = _picked(options)
    begun = begin(options, terminal_ask(options))
    return anyio.run(_chat, options, begun)


async def _chat(options: argparse.Namespace, begun: Begun) -> int:
    from host.frontends.tui.app import run_chat

    painted = anyio.Event()
    door = LateDoor(painted)
    ended = anyio.Event()
    # Listening begins before anything is painted and ends when the chat has ended: a signal that met nobody would
    # end the process at once, and only Textual gives the terminal back.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as listening:
            listening.start_soon(_signalled, signals, door)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_host, options, begun, door, ended)
                code = await run_chat(
                    door,
                    ended,
                    prompt=" ".join(options.words) or None,
                    resume=begun.resume,
                    profile=options.profile,
                    title=options.title if "title" in options else "agent-host",
                    notice="\n".join(begun.notices),
                    on_painted=painted.set,
                )
                painted.set()
                door.left.set()
            listening.cancel_scope.cancel()
    return code


async def _signalled(signals: AsyncIterator[signal.Signals], door: LateDoor) -> None:
    """Who is told to end leaves the door: the host ends first, and then the chat."""
    async for _ in signals:
        door.left.set()


async def _host(options: argparse.Namespace, begun: Begun, late: LateDoor, ended: anyio.Event) -> None:
    """The host behind the door: begun once the first frame is painted, ended when the door is left."""
    await late.painted.wait()
    if not late.left.is_set():
        await _served(options, begun, late)
    await late.left.wait()
    ended.set()


async def _served(options: argparse.Namespace, begun: Begun, late: LateDoor) -> None:
    try:
        serving = await to_thread.run_sync(_import_engine)

        async def front_end(door: Door, on_open: Callable[[Handle | None], None]) -> int:
            late.open_for(door, partial(on_open, None))
            await late.left.wait()
            return 0

        run_options = replace(serving.run_options(options, begun, attended=True), patience=PATIENCE)
        await serving.serve(begun, run_options, front_end, listens=False)
    except HostError as error:
        late.fail(error)
    finally:
        late.end()
        gc.enable()


def _import_engine() -> Any:
    from host.commands import serve

    return serve


class LateDoor:
    """A door that may be knocked at before there is a host behind it."""

    def __init__(self, painted: anyio.Event) -> None:
        self.painted = painted
        self.left = anyio.Event()
        self._ready = anyio.Event()
        self._door: Door | None = None
        self._error: HostError | None = None
        self._on_open: Callable[[], None] = lambda: None

    def open_for(self, door: Door, on_open: Callable[[], None]) -> None:
        self._door, self._on_open = door, on_open
        self._ready.set()

    def fail(self, error: HostError) -> None:
        self._error = error
        self._ready.set()

    def end(self) -> None:
        """There is no host behind it any more."""
        self._door = None

    async def open(self, resume: str | None = None, profile: str | None = None) -> Handle:
        handle = await (await self._behind()).open(resume=resume, profile=profile)
        self._on_open()
        return handle

    async def close(self, session: str) -> None:
        """A host that has ended has closed its sessions."""
        if self._door is not None:
            await self._door.close(session)

    async def sessions(self) -> list[SessionRow]:
        return await (await self._behind()).sessions()

    async def grants(self) -> tuple[Grant, ...]:
        return await (await self._behind()).grants()

    async def take_back(self, id: str) -> bool:
        return await (await self._behind()).take_back(id)

    async def _behind(self) -> Door:
        await self._ready.wait()
        if self._door is None:
            raise self._error or HostError("the host has ended")
        return self._door


def _picked(options: argparse.Namespace) -> str:
    """The session that the user picks from a list of the latest."""
    from host.commands.session import line
    from host.config import environment

    store = HostStore(environment().state_folder)
    try:
        rows = store.sessions()[:SHOWN]
    finally:
        store.close()
    for number, row in enumerate(rows, 1):
        show(f"{number:>3}  {line(row)}")
    answer = line_after("Number of the session to carry on: ", fresh=False).strip()
    if not (answer.isdigit() and 0 < int(answer) <= len(rows)):
        raise UsageError("no session was picked")
    return rows[int(answer) - 1].id
