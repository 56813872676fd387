"""Starts a server inside its limits, and ends all that came of it. A program of its own: it runs before the server in
the same process, as `python -I -S launch.py KEY=VALUE… -- COMMAND…`, and needs nothing but the standard library.

    watch=FD        stay as the parent of all that come of the server until it ends or FD is closed at the other end
    landlock=N      shut it in with this version of Landlock; without, nothing is shut
    read=PATH       what it may read and run; write=PATH what it may also change; hide=PATH what it may not see in these
    network=yes     it may use the network
    sockets=none    it may make no socket; sockets=inet: none to other programs of this machine

Every import costs each server its milliseconds: `ctypes` and what is there anyway.
"""

import ctypes
import os
import sys
import time

TERM, KILL = 15, 9
DISTURBED = (TERM, 13, 25)
"""Signals that are ignored here, by us or by Python, and shall not be in the server: TERM, PIPE, XFSZ."""
GRACE = 1000
OFTEN = 5000
CANNOT = 126
NO_NEW_PRIVS, PDEATHSIG, SUBREAPER, SECCOMP = 38, 1, 36, 22

# Landlock's rights, bit for bit. The first version has thirteen.
RUN, WRITE, READ, LIST = 1, 2, 4, 8
MAKE_DEVICES = 1 << 6 | 1 << 11
REFER, TRUNCATE, USE_DEVICES = 1 << 13, 1 << 14, 1 << 15
FIRST = (1 << 13) - 1
SINCE = ((2, REFER), (3, TRUNCATE), (5, USE_DEVICES))
OF_A_FILE = RUN | WRITE | READ | TRUNCATE | USE_DEVICES
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446

# machine: (its number for seccomp, socket, io_uring_setup)
CALLS = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


class Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(Step)))


def main(words: list[str]) -> None:
    end = words.index("--")
    given: dict[str, list[str]] = {}
    for word in words[:end]:
        key, _, value = word.partition("=")
        given.setdefault(key, []).append(value)
    command = words[end + 1 :]
    try:
        if "watch" in given:
            watch(int(given["watch"][0]))
        for number in DISTURBED:
            libc.signal(number, 0)
        confine(given)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error.strerror}\n".encode())
        os._exit(CANNOT)


def checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the sandbox could not be made: {os.strerror(number)}")
    return result


# --- the limits


def confine(given: dict[str, list[str]]) -> None:
    """Take away from this process, and all that come of it, what is not in the lists. Raises OSError."""
    if "landlock" not in given and "sockets" not in given:
        return
    checked(libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0))
    # Root's capabilities would see past Landlock, into the environment of other processes.
    checked(libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()))
    if "landlock" in given:
        version, network = int(given["landlock"][0]), "network" in given
        every = FIRST
        for since, right in SINCE:
            every |= right if version >= since else 0
        ruleset = Ruleset(every, 0 if network or version < 4 else 3, 0 if version < 6 else 3)
        rules = checked(libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0))
        hidden = given.get("hide", [])
        for path in given.get("read", []):
            permit(rules, path, RUN | READ | LIST, hidden)
        for path in given.get("write", []):
            permit(rules, path, every & ~MAKE_DEVICES, hidden)
        checked(libc.syscall(RESTRICT_SELF, rules, 0))
        os.close(rules)
    if "sockets" in given:
        refuse_sockets(others=given["sockets"][0] == "inet")


def permit(rules: int, path: str, rights: int, hidden: list[str]) -> None:
    """Allow these rights below a path; where something in it is hidden, below all else that is there now."""
    if any(path == each.rstrip("/") for each in hidden):
        return
    if any(each.startswith(path.rstrip("/") + "/") for each in hidden):
        for name in os.listdir(path):
            permit(rules, os.path.join(path, name), rights, hidden)
        return
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no permission
    if not os.path.isdir(path):
        rights &= OF_A_FILE
    rule = Beneath(rights, descriptor)
    checked(libc.syscall(ADD_RULE, rules, 1, ctypes.byref(rule), 0))
    os.close(descriptor)


def refuse_sockets(others: bool) -> None:
    """No new socket; with `others` only none of AF_UNIX, by which programs of this machine talk. io_uring, which could
    make one unseen, is away too."""
    machine, socket, ring = CALLS[os.uname().machine]
    load, equal, least, give = 0x20, 0x15, 0x35, 0x06
    refused, away, killed, allowed = 0x00050000 | 13, 0x00050000 | 38, 0x80000000, 0x7FFF0000
    steps = [
        (load, 0, 0, 4), (equal, 1, 0, machine), (give, 0, 0, killed),
        (load, 0, 0, 0), (least, 0, 1, 0x40000000), (give, 0, 0, refused),
        (equal, 0, 1, ring), (give, 0, 0, away),
        (equal, 1, 0, socket), (give, 0, 0, allowed),
        *([(load, 0, 0, 16), (equal, 1, 0, 1), (give, 0, 0, allowed)] if others else []),
        (give, 0, 0, refused),
    ]  # fmt: skip
    program = Program(len(steps), (Step * len(steps))(*(Step(*step) for step in steps)))
    checked(libc.prctl(SECCOMP, 2, ctypes.byref(program), 0, 0))


# --- the end


def watch(descriptor: int) -> None:
    """Go on as a child. The parent waits until that ends, or the host is gone, kills all that came of it, also what
    made a session of its own, and ends as the child did."""
    checked(libc.prctl(SUBREAPER, 1, 0, 0, 0))
    libc.signal(TERM, 1)
    me, child = os.getpid(), os.fork()
    if child == 0:
        os.close(descriptor)
        libc.prctl(PDEATHSIG, KILL, 0, 0, 0)
        if os.getppid() != me:
            os._exit(CANNOT)
        return
    nothing = os.open("/dev/null", os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    ended: dict[int, int] = {}
    wait(child, descriptor, ended)
    while not reap(ended):
        for pid in descendants(me):
            try:  # noqa: SIM105 contextlib would be one more import
                os.kill(pid, KILL)
            except ProcessLookupError:
                pass
        time.sleep(0.002)
    status = ended[child]
    if os.WIFSIGNALED(status):
        libc.signal(os.WTERMSIG(status), 0)
        os.kill(me, os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def reap(ended: dict[int, int]) -> bool:
    """Take in the ended children, which whoever loses its parent becomes; whether none is left."""
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = found[1]
    except ChildProcessError:
        return True
    return False


def wait(child: int, descriptor: int, ended: dict[int, int]) -> None:
    """Until the child has ended, the host has said that it should (a byte), or the host is gone. Then the child, whose
    stdin was closed at that moment, has its time to leave, before and after it is asked."""
    import select

    gone = os.pidfd_open(child)
    events = select.poll()
    events.register(gone, select.POLLIN)
    events.register(descriptor, select.POLLIN)
    while not (ready := [found for found, _ in events.poll(OFTEN)]):
        reap(ended)
    if gone in ready or os.read(descriptor, 1):
        return
    events.unregister(descriptor)
    if not events.poll(GRACE):
        os.killpg(0, TERM)
        events.poll(GRACE)


def descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stat:
                    parent = int(stat.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


if __name__ == "__main__":
    main(sys.argv[1:])
