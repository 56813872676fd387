"""A host around one front end: opened, warned by signals, and closed in good order."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from host.commands.providers import Providers
from host.commands.start import Begun, facts, json_schema, limits
from host.config.telemetry import collector
from host.core.events import Close, Interrupt
from host.core.types import Grant
from host.engine.host import Host, ProviderFor, RunOptions
from host.frontends.handle import Door, Handle
from host.frontends.telemetry import telemetry

INTERRUPTED = 130
OnOpen = Callable[[Handle | None], None]


def run_options(options: argparse.Namespace, begun: Begun, attended: bool) -> RunOptions:
    """What the command line adds to the files. A detected model is no wish: a resumed session keeps its own."""
    return RunOptions(
        model=options.model or begun.env.agent_host_model,
        mode=options.mode,
        bypass=options.bypass,
        grants=tuple(
            Grant(server, tool, scope="run") for server, _, tool in (given.partition(".") for given in options.allow)
        ),
        facts=facts(options),
        limits=limits(options),
        json_schema=json_schema(options),
        attended=attended,
        project=str(Path.cwd()),
    )


def tracing(begun: Begun) -> AbstractAsyncContextManager[Callable[[Handle], None] | None]:
    """What is to be told of each session that opens, where the environment names a collector of spans."""
    to = collector(begun.env)
    return telemetry(to) if to else nullcontext()


@dataclass(slots=True)
class Stop:
    """What a signal does: the first interrupts the turn and lets the front end finish, the second does not wait."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    handle: Handle | None = None
    asked: bool = False

    async def watch(self) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if self.asked or self.handle is None:
                    self.scope.cancel()
                else:
                    self.handle.submit(Interrupt())
                    self.handle.submit(Close())
                self.asked = True


async def serve(
    begun: Begun,
    run_options: RunOptions,
    front_end: Callable[[Door, OnOpen], Awaitable[int]],
    warm_first: bool = False,
    provider_for: ProviderFor | None = None,
    listens: bool = True,
) -> int:
    """Run a front end to its end; the exit code.

    It tells when its session is open; the handle it gives then is interrupted by a signal, and without one the front
    end itself is cancelled. One session imports its model's client while its servers start; with many (`warm_first`)
    that would only hold up the first. `provider_for` takes the place of the models of the files.
    """
    providers = Providers(begun.config)
    stop = Stop()
    code = INTERRUPTED
    async with anyio.create_task_group() as tasks:

        def on_open(handle: Handle | None) -> None:
            stop.handle = handle
            if not warm_first:
                tasks.start_soon(providers.warm)

        if listens:
            tasks.start_soon(stop.watch)
        try:
            if warm_first:
                await providers.warm()
            async with (
                tracing(begun) as trace,
                Host(begun.config, run_options, provider_for or providers.of, trace) as host,
            ):
                with stop.scope:
                    code = await front_end(host, on_open)
        finally:
            with anyio.CancelScope(shield=True):
                await providers.close()
        tasks.cancel_scope.cancel()
    return INTERRUPTED if stop.asked else code
