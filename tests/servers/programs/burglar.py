#!/usr/bin/env python3
"""Tries to get out of where it was put, in every way that its environment names, and prints what each try gave as one
JSON object. What counts is what is found outside afterwards."""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import termios
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
HERE = os.environ
SECRET, OUT, VICTIM = Path(HERE["SECRET"]), Path(HERE["OUT"]), int(HERE["VICTIM"])
SCRATCH = Path(HERE["TMPDIR"])
TRIES = {}


def attempt(function):
    TRIES[function.__name__] = function
    return function


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@attempt
def reads_a_secret():
    return SECRET.read_text()


@attempt
def reads_a_key_in_the_home():
    return "".join(path.read_text() for path in (Path(HERE["REAL_HOME"]) / ".ssh").iterdir())


@attempt
def reads_the_state_of_the_host():
    return "".join(path.read_text() for path in Path(HERE["STATE"]).rglob("*") if path.is_file())


@attempt
def follows_a_link_in_its_folder():
    return Path("link").read_text()


@attempt
def makes_a_link_of_its_own():
    (SCRATCH / "soft").symlink_to(SECRET)
    return (SCRATCH / "soft").read_text()


@attempt
def makes_a_second_name():
    (SCRATCH / "hard").hardlink_to(SECRET)
    return (SCRATCH / "hard").read_text()


@attempt
def looks_through_another_process():
    return Path(f"/proc/{VICTIM}/root{SECRET}").read_text() + Path(f"/proc/{VICTIM}/cwd/secret").read_text()


@attempt
def reads_the_environment_of_others():
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "environ").read_text())
        except OSError:
            continue
    return "".join(found)


@attempt
def reads_shared_memory():
    return Path("/dev/shm", HERE["SHARED"]).read_text()


@attempt
def runs_another_program_to_read():
    return subprocess.run(["cat", str(SECRET)], capture_output=True, text=True, check=True).stdout


@attempt
def mounts_it_elsewhere():
    checked(LIBC.unshare(0x10000000 | 0x00020000))  # NEWUSER, NEWNS
    (SCRATCH / "mount").mkdir()
    checked(LIBC.mount(bytes(SECRET.parent), bytes(SCRATCH / "mount"), None, 4096, None))
    return (SCRATCH / "mount" / SECRET.name).read_text()


@attempt
def enters_the_namespaces_of_another():
    checked(LIBC.setns(os.open(f"/proc/{VICTIM}/ns/mnt", os.O_RDONLY), 0))
    return SECRET.read_text()


@attempt
def changes_its_root():
    os.chroot(f"/proc/{VICTIM}/root")
    return SECRET.read_text()


@attempt
def writes_outside():
    OUT.write_text("was here")


@attempt
def changes_a_file():
    with SECRET.open("a") as file:
        file.write("was here")


@attempt
def cuts_a_file():
    os.truncate(SECRET, 1)


@attempt
def moves_a_file():
    shutil.move(SECRET, SCRATCH / "stolen")
    return (SCRATCH / "stolen").read_text()


@attempt
def writes_into_its_folder():
    Path("written").write_text("was here")


@attempt
def writes_into_its_installation():
    Path(HERE["INSTALLED"], "written").write_text("was here")


@attempt
def changes_a_mode():
    Path(HERE["REAL_HOME"], ".ssh", "id").chmod(0o777)


@attempt
def makes_a_program_that_runs_as_another():
    OUT.symlink_to(shutil.copy("/bin/true", SCRATCH / "root"))
    (SCRATCH / "root").chmod(0o4755)
    status = Path("/proc/self/status").read_text()
    assert "NoNewPrivs:\t1" in status, "new rights"
    raise PermissionError("no new rights")


@attempt
def connects_by_tcp():
    socket.create_connection(("127.0.0.1", int(HERE["TCP"])), 1).sendall(b"was here")


@attempt
def sends_by_udp():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"was here", ("127.0.0.1", int(HERE["UDP"])))


@attempt
def talks_to_an_agent():
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect(HERE["AGENT"])
        agent.sendall(b"was here")


@attempt
def talks_to_a_name_without_a_file():
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect("\0" + HERE["ABSTRACT"])
        agent.sendall(b"was here")


@attempt
def signals_another():
    os.kill(VICTIM, signal.SIGUSR1)


@attempt
def signals_the_host():
    os.kill(int(HERE["PARENT"]), signal.SIGURG)


@attempt
def traces_another():
    checked(LIBC.ptrace(16, VICTIM, None, None))  # ATTACH
    os.waitpid(VICTIM, 0)
    return "attached"


@attempt
def types_into_a_terminal():
    with Path(HERE["TERMINAL"]).open("w") as terminal:
        fcntl.ioctl(terminal, termios.TIOCSTI, b"x")
        terminal.write("was here")


def main():
    told = {}
    for name, function in TRIES.items():
        child, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                said = f"did it: {function()}"
            except BaseException as error:
                said = f"failed: {error!r}"
            os.write(theirs, said.encode()[:60_000])
            os._exit(0)
        os.close(theirs)
        with os.fdopen(child, "rb") as pipe:
            told[name] = pipe.read().decode("utf-8", "replace")
        os.waitpid(pid, 0)
    json.dump(told, sys.stdout)


main()
