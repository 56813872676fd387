"""What a sandbox keeps in: a server that tries to get out, judged by what is found outside. And the command itself."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from serving import PROGRAMS, call, lean, run, serving, words

from host.core.settings import ServerConfig
from host.servers import reach
from host.servers.probe import machine
from host.servers.sandbox import Limits, Machine, in_force, wrap
from host.servers.scratch import PREFIX, Scratch

CANARY = "canary-5f1c"
BURGLAR = PROGRAMS / "burglar.py"
REAL = machine()
HOLDS = {
    "bubblewrap and Landlock": REAL,
    "bubblewrap": replace(REAL, landlock=0),
    "Landlock": replace(REAL, bwrap=""),
    "Landlock without seccomp": replace(REAL, bwrap="", seccomp=False),
}
NEEDS = {"bubblewrap and Landlock": bool(REAL.bwrap and REAL.landlock), "bubblewrap": bool(REAL.bwrap)}
LINUX = pytest.mark.skipif(not REAL.confines, reason=f"no sandbox works here: {REAL.trouble}")


def means(name):
    there = NEEDS.get(name, bool(REAL.landlock))
    return pytest.param(name, marks=pytest.mark.skipif(not there, reason=f"not here: {name} ({REAL.trouble})"))


class House:
    """What a burglar could want, outside of where it is put, and who notices."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.secret, self.out = folder / "private" / "secret", folder / "private" / "out"
        self.cwd, self.home, self.state = folder / "cwd", folder / "home", folder / "state"
        for path in (self.cwd, self.home / ".ssh", self.state / "sessions", self.secret.parent):
            path.mkdir(parents=True)
        for path in (self.secret, self.home / ".ssh/id", self.state / "host.db", self.state / "sessions/1.db"):
            path.write_text(CANARY)
        (self.home / ".ssh/id").chmod(0o600)
        (self.cwd / "link").symlink_to(self.secret)
        self.tcp, self.udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.agent, self.abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.agent.bind(str(folder / "a"))
        self.abstract.bind(f"\0{folder.name}-{os.getpid()}")
        for listener in (self.agent, self.abstract):
            listener.listen()
        for each in (self.tcp, self.udp, self.agent, self.abstract):
            each.setblocking(False)
            stack.enter_context(each)
        self.shared = Path("/dev/shm") / f"{folder.name}-{os.getpid()}"
        self.shared.write_text(CANARY)
        stack.callback(self.shared.unlink)
        self.terminal, theirs = pty.openpty()
        stack.callback(os.close, self.terminal)
        stack.callback(os.close, theirs)
        os.set_blocking(self.terminal, False)
        self.hits = []
        before = signal.signal(signal.SIGURG, lambda *_: self.hits.append(1))
        stack.callback(signal.signal, signal.SIGURG, before)
        self.victim = subprocess.Popen(["/bin/sleep", "60"], env={"HOST_KEY": CANARY}, cwd=self.secret.parent)
        stack.callback(self.victim.wait)
        stack.callback(self.victim.kill)
        self.env = {
            "SECRET": str(self.secret), "OUT": str(self.out), "VICTIM": str(self.victim.pid),
            "PARENT": str(os.getpid()),
            "REAL_HOME": str(self.home), "STATE": str(self.state), "SHARED": self.shared.name,
            "TCP": str(self.tcp.getsockname()[1]), "UDP": str(self.udp.getsockname()[1]), "AGENT": str(folder / "a"),
            "ABSTRACT": f"{folder.name}-{os.getpid()}", "TERMINAL": os.ttyname(theirs), "INSTALLED": sys.prefix,
            "PATH": os.environ["PATH"],
        }  # fmt: skip

    def enter(self, held, **more):
        """Let the burglar in, held by these means; what it says of each try."""
        config = ServerConfig("burglar", "python", (str(BURGLAR),), cwd=self.cwd, home=self.state, **more)
        scratch = Scratch()
        try:
            env = self.env | scratch.variables()
            limits = reach.limits(config, sys.executable, env, str(scratch.path))
            command = wrap([sys.executable, str(BURGLAR)], limits, held)
            done = subprocess.run(command, cwd=self.cwd, env=env, capture_output=True, timeout=60, check=False)
        finally:
            scratch.remove()
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def noticed(self):
        """All that is other than it was: where somebody got out."""
        found = {"secret"} if not self.secret.exists() or self.secret.read_text() != CANARY else set()
        found |= {"mode"} if (self.home / ".ssh/id").stat().st_mode & 0o777 != 0o600 else set()
        found |= {path.name for path in (self.out, self.cwd / "written", Path(sys.prefix, "written")) if path.exists()}
        found |= {"signal"} if self.victim.poll() is not None or state_of(self.victim.pid) in "Tt" else set()
        for name, listener in (("tcp", self.tcp), ("agent", self.agent), ("abstract", self.abstract)):
            found |= {name} if heard(listener.accept) else set()
        found |= {"signal to the host"} if self.hits else set()
        found |= {"udp"} if heard(lambda: self.udp.recv(100)) else set()
        return found | ({"terminal"} if heard(lambda: os.read(self.terminal, 100)) else set())


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def heard(receive):
    try:
        got = receive()
    except BlockingIOError:
        return False
    if isinstance(got, tuple):
        got[0].close()
    return True


@pytest.fixture
def house(tmp_path, monkeypatch):
    with ExitStack() as stack:
        built = House(tmp_path, stack)
        monkeypatch.setenv("HOME", str(built.home))
        yield built


@LINUX
def test_a_burglar_that_nothing_holds_gets_out(house):
    """Else the tests below would show nothing."""
    config = ServerConfig("burglar", "python", (str(BURGLAR),), cwd=house.cwd)
    scratch = Scratch()
    done = subprocess.run(
        wrap([sys.executable, *config.args], Limits("off"), REAL), cwd=house.cwd, capture_output=True, timeout=60,
        env={**house.env, **scratch.variables(), "INSTALLED": str(house.cwd)}, check=False,
    )  # fmt: skip
    scratch.remove()
    told = json.loads(done.stdout)
    assert sum(CANARY in said for said in told.values()) >= 7, told
    assert {"mode", "out", "written", "signal", "tcp", "udp", "agent", "abstract"} <= house.noticed()


@LINUX
@pytest.mark.parametrize("name", [means(name) for name in HOLDS])
def test_nobody_gets_out_of_strict(house, name):
    held = HOLDS[name]
    told = house.enter(held)
    assert len(told) >= 12
    leaks = {attempt: said for attempt, said in told.items() if CANARY in said}
    assert leaks == {}
    words = in_force(ServerConfig("burglar"), held)
    said_to_be_open = {"mode"} if "file modes" in words else set()
    said_to_be_open |= {"udp"} if "udp" in words else set()
    said_to_be_open |= {"agent"} if "unix sockets" in words else set()
    assert house.noticed() == said_to_be_open, told


@LINUX
@pytest.mark.parametrize("name", [means("bubblewrap and Landlock"), means("Landlock")])
def test_workspace_and_network_open_just_that(house, name):
    told = house.enter(HOLDS[name], sandbox="workspace", network=True)
    assert {attempt for attempt, said in told.items() if CANARY in said} == set()
    assert house.noticed() - {"mode"} == {"written", "tcp", "udp"}, told


@LINUX
@pytest.mark.parametrize("name", [means("bubblewrap and Landlock"), means("Landlock")])
def test_the_state_of_the_host_is_not_seen_in_a_folder_that_is_shown(house, name, monkeypatch):
    """The folder of the server holds the host's own."""
    config = ServerConfig("lister", "python", cwd=house.folder, home=house.state)
    program = (
        "import os, pathlib\n"
        "print(pathlib.Path('private/secret').read_text(), flush=True)\n"
        "try: print(os.listdir('state/sessions'))\n"
        "finally: print(pathlib.Path('state/host.db').read_text())\n"
    )
    monkeypatch.setenv("HOME", "/nowhere")
    scratch = Scratch()
    limits = reach.limits(config, sys.executable, {}, str(scratch.path))
    done = subprocess.run(
        wrap([sys.executable, "-c", program], limits, HOLDS[name]),
        cwd=house.folder, env=scratch.variables(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    scratch.remove()
    assert done.stdout.startswith(CANARY) and done.stdout.count(CANARY) == 1 and "1.db" not in done.stdout, done


@LINUX
def test_a_server_gets_a_home_of_its_own_that_is_gone_afterwards(monkeypatch):
    monkeypatch.setenv("HOST_KEY", CANARY)
    seen = {}

    async def main():
        async with serving(lean("modern", sandbox="strict")) as servers:
            await servers.settled()
            assert servers.statuses["lean"].state == "ready", servers.logs("lean")
            assert servers.statuses["lean"].sandbox == in_force(ServerConfig("lean"), REAL)
            seen.update(json.loads(words(await call(servers, "lean__env"))))
            assert PREFIX in seen["TMPDIR"]

    run(main)
    assert CANARY not in seen.values()
    assert not Path(seen["HOME"]).parent.exists()


# --- the command


FACTS = Machine(
    bwrap="/usr/bin/bwrap", landlock=6, seccomp=True, guard=True, python="/py/bin/python3", launcher="/host/launch.py",
    prefix=("/py",), system=("/etc/hosts", "/usr"), links=(("/lib", "usr/lib"),),
)  # fmt: skip
LIMITS = Limits(
    "workspace", reads=("/py/lib", "/srv/app/.venv", "/srv/lib", "/lib/ld.so"), writes=("/srv/app", "/tmp/s"),
    hidden=("/srv/app/sessions/", "/srv/app/host.db"), cwd="/srv/app",
)  # fmt: skip


def test_the_command_of_bubblewrap():
    assert wrap(["/srv/app/.venv/bin/python", "serve.py"], LIMITS, FACTS) == [
        "/bin/sh", "-c", 'trap "" TERM; exec "$@"', "sh", "/usr/bin/bwrap",
        "--unshare-all", "--die-with-parent", "--cap-drop", "ALL",
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--symlink", "usr/lib", "/lib",
        "--ro-bind", "/etc/hosts", "/etc/hosts", "--ro-bind", "/py", "/py",
        "--bind", "/srv/app", "/srv/app", "--ro-bind", "/srv/lib", "/srv/lib",
        "--bind", "/tmp/s", "/tmp/s", "--ro-bind", "/usr", "/usr",
        "--dir", "/srv/app", "--ro-bind", "/host/launch.py", "/run/agent-host/launch.py",
        "--tmpfs", "/srv/app/sessions", "--ro-bind", "/dev/null", "/srv/app/host.db", "--remount-ro", "/",
        "--chdir", "/srv/app", "--",
        "/py/bin/python3", "-I", "-S", "/run/agent-host/launch.py", "landlock=6",
        "read=/etc/hosts", "read=/lib/ld.so", "read=/proc", "read=/py/lib", "read=/srv/lib", "read=/usr",
        "write=/srv/app", "write=/tmp/s", "write=/dev", "--", "/srv/app/.venv/bin/python", "serve.py",
    ]  # fmt: skip


def test_the_command_of_landlock_alone_and_of_off():
    alone = replace(FACTS, bwrap="")
    limits = Limits("strict", True, ("/srv/app",), ("/tmp/s",), ("/srv/app/host.db",), "/srv/app")
    assert wrap(["/bin/x"], limits, alone, 7) == [
        "/py/bin/python3", "-I", "-S", "/host/launch.py", "watch=7", "landlock=6",
        "read=/etc/hosts", "read=/proc", "read=/srv/app", "read=/usr", "write=/tmp/s",
        "write=/dev/null", "write=/dev/zero", "write=/dev/full", "write=/dev/random", "write=/dev/urandom",
        "network=yes", "hide=/srv/app/host.db", "sockets=inet", "--", "/bin/x",
    ]  # fmt: skip
    assert wrap(["/bin/x", "--"], Limits("off"), FACTS, 7) == [
        "/py/bin/python3", "-I", "-S", "/host/launch.py", "watch=7", "--", "/bin/x", "--",
    ]  # fmt: skip
    assert wrap(["/bin/x"], Limits("off"), Machine()) == ["/bin/x"]


@pytest.mark.parametrize(
    ("facts", "more", "told"),
    [
        (FACTS, {}, "strict"),
        (FACTS, {"sandbox": "workspace", "network": True}, "workspace with network"),
        (FACTS, {"sandbox": "off"}, "off"),
        (FACTS, {"url": "https://x/mcp"}, ""),
        (replace(FACTS, landlock=0), {"network": True}, "strict with network (abstract sockets open)"),
        (replace(FACTS, bwrap=""), {}, "strict (process list, file modes open)"),
        (replace(FACTS, bwrap="", seccomp=False), {}, "strict (process list, file modes, udp, unix sockets open)"),
    ],
)
def test_the_level_in_force_says_what_is_open(facts, more, told):
    assert in_force(ServerConfig("s", **more), facts) == told
