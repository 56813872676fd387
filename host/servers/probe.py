"""What this machine can do to hold a server: tried by running it, once for a process."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Lock

from host.servers import launch
from host.servers.sandbox import Limits, Machine, wrap

LAUNCHER = str(Path(launch.__file__).resolve())
FOLDERS = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/nix/store", "/gnu/store")
DEVICES = "/sys/devices/system/cpu"
# What programs look up there: names, addresses, certificates, the time, how the linker goes about. No keys.
ETC = (
    *("alternatives", "bash.bashrc", "ca-certificates", "crypto-policies", "default/locale", "fonts", "gai.conf"),
    *("gitconfig", "group", "host.conf", "hosts", "inputrc", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("ld.so.preload", "locale.alias", "locale.conf", "localtime", "lsb-release", "magic", "mime.types", "networks"),
    *("nodejs", "nsswitch.conf", "os-release", "passwd", "pki", "profile", "protocols", "python3", "resolv.conf"),
    *("services", "shells", "ssl/certs", "ssl/openssl.cnf", "ssl/cert.pem", "terminfo", "timezone", "xdg"),
)
PATIENCE = 10.0
_turn = Lock()


def surely() -> bool:
    """Whether it can be told without trying that something here holds a server: a kernel that knows Landlock does."""
    return sys.platform == "linux" and _landlock() > 0


def machine() -> Machine:
    """The facts of this machine; the first to ask waits for them, some 50 ms."""
    with _turn:
        return _tried(os.environ.get("PATH"))


@cache
def _tried(path: str | None) -> Machine:
    if sys.platform != "linux":
        return Machine(trouble="this version has a sandbox for Linux only")
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    links = tuple((folder, os.readlink(folder)) for folder in FOLDERS if os.path.islink(folder))
    system = [folder for folder in FOLDERS if os.path.isdir(folder) and not os.path.islink(folder)]
    system += [name for name in (DEVICES, *(f"/etc/{name}" for name in ETC)) if os.path.exists(name)]
    prefix = tuple({sys.base_prefix, sys.base_exec_prefix} - {"/usr"})
    version = _landlock()
    found = Machine(
        landlock=version,
        seccomp=os.uname().machine in launch.CALLS,
        guard=hasattr(os, "pidfd_open"),
        python=python,
        launcher=LAUNCHER,
        prefix=prefix,
        system=tuple(system),
        links=links,
    )
    return _best(found, shutil.which("bwrap", path=path))


def _best(known: Machine, bwrap: str | None) -> Machine:
    """The best that works when it is run: both, bwrap, Landlock with and without refused sockets, nothing."""
    bare = replace(known, landlock=0, seccomp=False)
    candidates = []
    if bwrap:
        candidates += [replace(known, bwrap=bwrap)] if known.landlock else []
        candidates += [replace(bare, bwrap=bwrap)]
    if known.landlock:
        candidates += [known, replace(known, seccomp=False)]
    trouble = [] if bwrap else ["bubblewrap is not installed"]
    trouble += [] if known.landlock else ["this kernel has no Landlock"]
    for candidate in candidates:
        if problem := _fails(candidate):
            trouble.append(problem)
        else:
            return replace(candidate, trouble="; ".join(trouble))
    return replace(bare, trouble="; ".join(trouble))


def _fails(candidate: Machine) -> str:
    """Why a harmless command does not run within limits; empty if it does, and is kept from a file of ours."""
    with tempfile.NamedTemporaryFile(prefix="agent-host-") as secret:
        command = wrap(["/bin/sh", "-c", '(: < "$0") 2>/dev/null || exit 42', secret.name], Limits(), candidate)
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, env={}, timeout=PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode == 42:
        return ""
    said = " ".join(done.stderr.decode(errors="replace").split())[:200]
    return said or f"{'bubblewrap' if candidate.bwrap else 'Landlock'} keeps nothing out"


def _landlock() -> int:
    """The version of Landlock in this kernel, 0 for none."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return max(0, int(libc.syscall(launch.CREATE_RULESET, None, 0, 1)))
