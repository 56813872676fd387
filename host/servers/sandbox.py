"""The command that starts a server inside its limits: pure, from the facts of the machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from host.core.settings import Level, ServerConfig

SIGNALS, TCP = 6, 4
"""From which version of Landlock on it keeps signals, and TCP, inside."""
INSIDE = "/run/agent-host/launch.py"
# bwrap dies of a TERM at once, and all inside with it. It passes on what it ignores; launch.py undoes that inside, so
# that the server can leave in good order.
PATIENT = 'trap "" TERM; exec "$@"'


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine can do, tried and not guessed (`probe.py`). `landlock` is its version, 0 where it is missing;
    `seccomp`: sockets can be refused; `guard`: a process can watch over all that come of a server. `python` runs
    `launcher` and needs `prefix`; `system` are folders and files that every program may read, `links` (path, target)
    stand beside them. `trouble` says why something is missing."""

    bwrap: str = ""
    landlock: int = 0
    seccomp: bool = False
    guard: bool = False
    python: str = ""
    launcher: str = ""
    prefix: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    trouble: str = ""

    @property
    def confines(self) -> bool:
        return bool(self.bwrap or self.landlock)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server may do: read and write these folders and files, where nothing `hidden` is shown, and use the
    network or not. All paths are absolute."""

    level: Level = "strict"
    network: bool = False
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    cwd: str = "/"


def wrap(command: Sequence[str], limits: Limits, machine: Machine, watched: int | None = None) -> list[str]:
    """The command that runs `command` within `limits`. `watched` is a descriptor that stays open as long as the host
    lives; who watches it is the parent of all that come of the server."""
    python = [machine.python, "-I", "-S"]
    watch = [f"watch={watched}"] if machine.guard and watched is not None else []
    if limits.level == "off":
        return [*python, machine.launcher, *watch, "--", *command] if watch else list(command)
    if machine.bwrap:
        inner = list(_landlock(limits, machine, ("/proc",), ("/dev",))) if machine.landlock else []
        return [
            *("/bin/sh", "-c", PATIENT, "sh", machine.bwrap),
            *_mounts(limits, machine),
            *("--chdir", limits.cwd, "--"),
            *(*python, INSIDE, *inner, "--", *command),
        ]
    inner = list(_landlock(limits, machine, ("/proc",), DEVICES))
    inner += [f"hide={path}" for path in limits.hidden]
    inner += [f"sockets={'inet' if limits.network else 'none'}"] if machine.seccomp else []
    return [*python, machine.launcher, *watch, *inner, "--", *command]


DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def _mounts(limits: Limits, machine: Machine) -> Iterator[str]:
    """bwrap's arguments: an empty place with new namespaces for everything, and in it what may be seen."""
    yield "--unshare-all"
    if limits.network:
        yield "--share-net"
    yield from ("--die-with-parent", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")
    for path, target in machine.links:
        yield from ("--symlink", target, path)
    # What is written through a link, as /bin/sh is, is seen through it: bwrap can make nothing there.
    direct = [path for path in limits.reads if not any(below(path, link) for link, _ in machine.links)]
    reads = _outermost((*machine.system, *machine.prefix, *direct), limits.writes)
    writes = _outermost(limits.writes)
    # A mount hides what lies below it, so what is above comes first.
    for path in sorted({*reads, *writes}):
        yield from ("--bind" if path in writes else "--ro-bind", path, path)
    yield from ("--dir", limits.cwd)
    yield from ("--ro-bind", machine.launcher, INSIDE)
    for path in limits.hidden:
        yield from ("--tmpfs", path.rstrip("/")) if path.endswith("/") else ("--ro-bind", "/dev/null", path)
    yield from ("--remount-ro", "/")


def _landlock(limits: Limits, machine: Machine, proc: Sequence[str], devices: Sequence[str]) -> Iterator[str]:
    reads = _outermost((*machine.system, *limits.reads, *proc), limits.writes)
    yield f"landlock={machine.landlock}"
    yield from (f"read={path}" for path in reads)
    yield from (f"write={path}" for path in (*_outermost(limits.writes), *devices))
    if limits.network:
        yield "network=yes"


def _outermost(paths: Iterable[str], others: Sequence[str] = ()) -> list[str]:
    """The paths that lie in none of the others, sorted."""
    every = {*paths}
    return sorted(
        path
        for path in every
        if not any(below(path, above) for above in every if above != path) and not any(below(path, o) for o in others)
    )


def below(path: str, folder: str) -> bool:
    """Whether a path is the folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def in_force(server: ServerConfig, machine: Machine) -> str:
    """What holds a server on this machine, in words: `strict (udp open)` keeps all in but UDP."""
    left = "" if server.held in ("", "off") else ", ".join(_open(server.network, machine))
    return f"{server.held} ({left} open)" if left else server.held


def _open(network: bool, machine: Machine) -> Iterator[str]:
    """What the best that this machine has does not close."""
    if machine.bwrap:
        if network and machine.landlock < SIGNALS:
            yield "abstract sockets"
        return
    yield from ("process list", "file modes")
    if not machine.seccomp:
        if not network:
            yield from ("udp",) if machine.landlock >= TCP else ("tcp", "udp")
        yield "unix sockets"
    if machine.landlock < SIGNALS:
        yield "signals"
