#!/usr/bin/env python3
"""Hosts that need not be imported first: one process imports the program, and forks for each that is wanted.

A child is the program itself with its own arguments, folder, environment and pipes. On wish it meets its fate at one
exact moment of its life: SIGKILL before or after an event is in the log, or so long after, or a disk that is full from
there on. Run alone it is that process.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent.parent
WHOLE = 1_000_000
FILLER = "filler"


class Death(NamedTuple):
    """The moment: the `nth` event of a kind for a call ("" without one). `when`: before it is in the log, after, or
    milliseconds after; the disk is full before it, or only for what follows (`then full`)."""

    kind: str
    call: str
    nth: int
    when: str | int


class Moments:
    """Names events as deaths do, in the order in which they come."""

    def __init__(self) -> None:
        self._count: Counter[tuple[str, str]] = Counter()
        self._asked: dict[str, str] = {}

    def name(self, kind: str, body: dict[str, Any]) -> tuple[str, str, int]:
        call = body.get("call_id") or self._asked.get(body.get("request_id", ""), "")
        if kind == "asked":
            self._asked[body["request_id"]] = call
        self._count[kind, call] += 1
        return kind, call, self._count[kind, call]


class Born(NamedTuple):
    pid: int
    stdin: Any
    stdout: Any
    stderr: Any


class Nursery:
    """Use as a context manager. Any thread may ask for children."""

    def __enter__(self) -> Nursery:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT)
        theirs.close()
        self._door, self._turn = ours, threading.Lock()
        return self

    def __exit__(self, *exc: object) -> None:
        self._door.close()
        self._process.wait(20)

    def start(self, arguments: Sequence[str], folder: Path, env: dict[str, str], death: Death | None = None) -> Born:
        """A new host in this folder."""
        to_read, to_write, to_complain = os.pipe(), os.pipe(), os.pipe()
        theirs = [to_read[0], to_write[1], to_complain[1]]
        wish = {"arguments": list(arguments), "folder": str(folder), "env": env, "death": death}
        pid = self._ask(wish, theirs)
        for each in theirs:
            os.close(each)
        return Born(pid, os.fdopen(to_read[1], "wb", 0), os.fdopen(to_write[0], "rb"), os.fdopen(to_complain[0], "rb"))

    def wait(self, born: Born) -> int:
        """How a child ended: its exit code, or minus the signal that ended it."""
        return os.waitstatus_to_exitcode(self._ask({"wait": born.pid}))

    def _ask(self, wish: dict[str, Any], fds: Iterable[int] = ()) -> int:
        with self._turn:
            socket.send_fds(self._door, [json.dumps(wish).encode()], list(fds))
            return int(self._door.recv(WHOLE))


def serve(door: socket.socket) -> None:
    while True:
        wish, fds, _, _ = socket.recv_fds(door, WHOLE, 3)
        if not wish:
            return
        asked = json.loads(wish)
        if "wait" in asked:
            door.send(str(os.waitpid(asked["wait"], 0)[1]).encode())
        elif pid := os.fork():
            for each in fds:
                os.close(each)
            door.send(str(pid).encode())
        else:
            door.close()
            become(asked, fds)


def become(asked: dict[str, Any], fds: Sequence[int]) -> None:
    """In the child: the program, from its first line to its exit."""
    for number, each in enumerate(fds):
        os.dup2(each, number)
        os.close(each)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    if asked["death"]:
        doom(Death(*asked["death"]))
    from host import cli

    sys.argv = ["agent-host", *asked["arguments"]]
    os._exit(cli.main())


def doom(death: Death) -> None:
    """Die at that moment. Appending is where every event comes by."""
    from host.store.log import Log

    append, moments = Log.append, Moments()

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def appending(log: Any, rows: Sequence[tuple[str, bytes]], *more: Any, **named: Any) -> Any:
        here = death[:3] in [moments.name(kind, json.loads(body)) for kind, body in rows]
        if here and death.when == "before":
            die()
        if here and death.when == "full":
            fill(log.folder)
        done = append(log, rows, *more, **named)
        if here and death.when == "after":
            die()
        if here and death.when == "then full":
            fill(log.folder)
        if here and isinstance(death.when, int):
            threading.Timer(death.when / 1000, die).start()
        return done

    Log.append = appending  # type: ignore[method-assign]


def fill(folder: Path) -> None:
    """Leave no room: on a disk of its own, by filling it; else this process may write no file any more."""
    if not folder.is_mount():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        return
    with suppress(OSError), (folder / FILLER).open("wb", 0) as file:
        while file.write(b"x" * 1024):
            pass


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    import host.commands.run
    import host.commands.serve
    import host.frontends.headless
    import host.providers.openai_responses
    import host.servers.connection  # noqa: F401

    serve(socket.socket(fileno=int(sys.argv[1])))
