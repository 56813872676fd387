"""A server as a process: started with little of our environment, read with bounds, and gone when we are."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.abc import Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from host.core.settings import ServerConfig
from host.servers import reach
from host.servers.logs import WIDTH, ServerLog, Tap
from host.servers.probe import machine
from host.servers.sandbox import Limits, Machine, in_force, wrap
from host.servers.scratch import Scratch
from host.servers.wire import Lines, Refused, Wire, encoded

Inbox = MemoryObjectSendStream[SessionMessage | Exception]

INHERITED = ("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "TMPDIR", "TZ")
GRACE = 1.0
TOGETHER = 256
GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)

# Ends a server whose host was killed with -9, where nothing better is to be had (see launch.py): this shell waits for
# the host's end of a pipe to close, gives the server, which sees its own stdin closed at the same moment, a second to
# leave, and then ends its whole group.
GUARD = 'read -r _; sleep 1; kill -s TERM -- "-$1"; sleep 1; kill -s KILL -- "-$1"'


def environment(config: ServerConfig, env: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """What the server gets: an allow-list of `ours`, what the entry passes through, and the entry's own."""
    passed = {
        name: value
        for name, value in ours.items()
        if name in INHERITED or name.startswith("LC_") or name in config.env_vars
    }
    # A value that begins like this is an exported shell function: code, not data.
    return {name: value for name, value in passed.items() if not value.startswith("()")} | dict(env)


class ServerProcess:
    """One process and its pipes. `ended` is set when it can no longer be talked to, `closing` when that was our
    wish; `reason` says why. `sandbox` are the limits in force, in words."""

    def __init__(self, config: ServerConfig, env: Mapping[str, str], log: ServerLog, tap: Tap | None = None) -> None:
        self.ended = anyio.Event()
        self.wire = Wire(log)
        self._config, self._env, self._log, self._tap = config, env, log, tap
        self._process: Process
        self._refused = ""
        self._machine = Machine()
        self._scratch: Scratch | None = None
        self._life: int | None = None
        self.sandbox = ""
        self.spawned = False
        self.closing = False
        self.forgot = False

    @property
    def returncode(self) -> int | None:
        code = self._process.returncode if self.spawned else None
        # bwrap tells of a signal as a shell does.
        return 128 - code if code is not None and code > 128 and self._machine.bwrap and self._scratch else code

    @property
    def reason(self) -> str:
        """Why it ended, in words, with the last thing it said on stderr."""
        if self._refused:
            return f"cut off: {self._refused}"
        if self.closing:
            return "the host closed it"
        code = self.returncode
        if code is None:
            how = "it closed its output"
        elif code < 0:
            how = f"killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"killed by {-code}"
        else:
            how = f"exited with code {code}"
        said = self._log.last()
        return f"{how}: {said[:300]}" if said else how

    @asynccontextmanager
    async def transport(
        self,
    ) -> AsyncIterator[
        tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]
    ]:
        """Start the process and carry messages; leaving it ends the process and all that came of it. Raises OSError."""
        with anyio.CancelScope(shield=True):
            self._process = await self._start()
        self.spawned = True
        guard = None if self._machine.guard else _guard(self._process.pid)
        inbox, to_session = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        from_session, outbox = anyio.create_memory_object_stream[SessionMessage](0)
        async with to_session, from_session, outbox, anyio.create_task_group() as tasks:
            for task in (self._read, self._watch):
                tasks.start_soon(task, inbox)
            tasks.start_soon(self._write, outbox, inbox)
            tasks.start_soon(self._read_stderr)
            try:
                yield to_session, from_session
            finally:
                with anyio.CancelScope(shield=True):
                    self.closing = not self.ended.is_set()
                    self._end(inbox)
                    to_session.close()
                    from_session.close()
                    await self._stop()
                    _dismiss(guard)
                    await to_thread.run_sync(self._release)
                tasks.cancel_scope.cancel()

    async def _start(self) -> Process:
        config = self._config
        if not await anyio.Path(config.cwd).is_dir():
            raise FileNotFoundError(f"its folder {config.cwd} does not exist")
        ours, self._life = os.pipe()
        try:
            command, env = await to_thread.run_sync(self._planned, ours)
            return await anyio.open_process(
                command, env=env, cwd=config.cwd, start_new_session=True, pass_fds=[ours] if self._machine.guard else []
            )
        except (FileNotFoundError, PermissionError):
            self._release()
            raise
        except (OSError, ValueError) as error:
            self._release()
            raise OSError(f"{config.command} cannot be run: {error}") from None
        finally:
            os.close(ours)

    def _planned(self, watched: int) -> tuple[list[str], dict[str, str]]:
        """What to run, and its environment. Raises OSError."""
        config, self._machine = self._config, machine()
        env = environment(config, self._env, os.environ)
        self.sandbox = in_force(config, self._machine)
        program = reach.resolved(config, env)
        limits = Limits("off")
        if config.sandbox != "off":
            if not self._machine.confines:
                raise PermissionError(
                    f'{config.file}: no sandbox works here ({self._machine.trouble}); sandbox = "off" under '
                    f"[mcp_servers.{config.name}] starts it with your rights"
                )
            self._scratch = Scratch()
            env = environment(config, {**self._scratch.variables(), **self._env}, os.environ)
            limits = reach.limits(config, program, env, str(self._scratch.path))
            if hint := reach.unread(config):
                self._log.heard(f"[{hint}]".encode())
        return wrap([program, *config.args], limits, self._machine, watched), env

    def _end_watched(self) -> None:
        """Have whoever watches over all that came of the server end it now."""
        if self._life is not None:
            with suppress(OSError):
                os.write(self._life, b".")
            os.close(self._life)
            self._life = None

    def _release(self) -> None:
        self._end_watched()
        if self._scratch is not None:
            self._scratch.remove()

    async def _read(self, inbox: Inbox) -> None:
        lines = Lines()
        stdout = self._process.stdout
        assert stdout is not None
        try:
            async for chunk in stdout:
                for number, line in enumerate(lines.feed(chunk)):
                    if number % TOGETHER == 0:  # a chunk of noise holds thousands of lines; others are heard in between
                        await anyio.lowlevel.checkpoint()
                    if self._tap:
                        self._tap("in", line)
                    for message in await self.wire.taken(line, anyio.current_time()):
                        await inbox.send(SessionMessage(message))
        except Refused as error:
            self._refused = self._refused or str(error)
        except GONE:
            pass
        # Whoever waits for an answer is told how it ended, so let the exit code arrive first.
        if not self._refused:
            with anyio.move_on_after(GRACE / 2):
                await self._process.wait()
        self._end(inbox)
        # A server that flushes its output on the way out must not block on a full pipe.
        with suppress(*GONE):
            while True:
                await stdout.receive()

    async def _write(self, outbox: MemoryObjectReceiveStream[SessionMessage], inbox: Inbox) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            async for item in outbox:
                line = encoded(item.message)
                self.wire.sent(item.message)
                if self._tap:
                    self._tap("out", line)
                await stdin.send(line)
        except GONE:
            # It no longer listens; what it said before may still be in the pipe.
            await anyio.sleep(GRACE / 2)
            self._end(inbox)

    async def _watch(self, inbox: Inbox) -> None:
        """A server that died may have left a child that holds its output open."""
        await self._process.wait()
        await anyio.sleep(GRACE / 2)
        self._end(inbox)

    async def _read_stderr(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        rest = b""
        with suppress(*GONE):
            async for chunk in stderr:
                *ended, rest = (rest + chunk).split(b"\n")
                for line in ended:
                    self._log.heard(line)
                rest = rest[:WIDTH]
        if rest:
            self._log.heard(rest)

    def _end(self, inbox: Inbox) -> None:
        inbox.close()
        self.ended.set()

    async def _stop(self) -> None:
        """Close its stdin, wait, then end all that came of it, first asking, then not. Every wait is bounded."""
        process = self._process
        assert process.stdin is not None
        with suppress(*GONE):
            await process.stdin.aclose()
        await self._exits()
        # Also after a polite exit: its children may have stayed.
        if await self._group_lives(signal.SIGTERM):
            await self._exits()
            await self._group_ends()
        self._end_watched()
        await self._exits()
        if await self._group_lives(signal.SIGKILL):
            await self._exits()
            await self._group_ends()
        with anyio.move_on_after(GRACE):
            await process.aclose()

    async def _exits(self) -> None:
        with anyio.move_on_after(GRACE):
            await self._process.wait()

    async def _group_ends(self) -> None:
        for _ in range(50):
            if not await self._group_lives(0):
                return
            await anyio.sleep(GRACE / 100)

    async def _group_lives(self, number: int) -> bool:
        """Send a signal to the group; whether one that runs took it."""
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return await to_thread.run_sync(runs, self._process.pid)


def runs(group: int) -> bool:
    """Whether a process of this group runs. One that has ended stays a member until its parent takes it in, which the
    first process of a container may never do."""
    if not Path("/proc/self").exists():
        return True
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            state, _, of = entry.read_bytes().rpartition(b")")[2].split()[:3]
            if int(of) == group and state not in (b"Z", b"X"):
                return True
    return False


def _guard(group: int) -> subprocess.Popen[bytes] | None:
    quiet = subprocess.DEVNULL
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", str(group)],
            stdin=subprocess.PIPE,
            stdout=quiet,
            stderr=quiet,
            env={"PATH": os.defpath},
            start_new_session=True,
        )
    except OSError:
        return None


def _dismiss(guard: subprocess.Popen[bytes] | None) -> None:
    if guard is not None:
        guard.kill()
        guard.wait()
        assert guard.stdin is not None
        guard.stdin.close()
