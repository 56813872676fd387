"""Nothing that came of a server outlives it or the host: also not what has a session of its own and is deaf to TERM."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from serving import PROGRAMS, lean, run, serving

from host.servers.probe import machine
from host.servers.stdio import runs

ROOT = PROGRAMS.parent.parent.parent
REAL = machine()
LEVELS = ("strict", "off")
pytestmark = pytest.mark.skipif(
    not (REAL.guard and REAL.confines), reason=f"nothing here holds or watches over processes: {REAL.trouble}"
)
HOST = f"""
import sys; sys.path[:0] = {[str(ROOT), str(PROGRAMS.parent)]!r}
import anyio
from serving import lean, serving
from test_trees import LEVELS, brood
async def main():
    async with serving(*(brood(f"{{sys.argv[1]}}-{{level}}", level, "stubborn") for level in LEVELS)) as servers:
        await servers.settled()
        print([status.state for status in servers.statuses.values()], flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


def brood(mark, level, *traits):
    """A server with a child in a session of its own, whose parent is gone and which ignores what asks it to end."""
    return lean("modern", "brood", *traits, name=f"{level}{len(traits)}", sandbox=level, env={"MARK": mark})


def family(*marks):
    """The processes that carry one of these marks, seen from outside."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            variables = (process / "environ").read_bytes().split(b"\0")
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and any(f"MARK={mark}".encode() in variables for mark in marks):
                found.append(int(process.name))
    return found


def sessions(pids):
    return {os.getsid(pid) for pid in pids}


def without_bubblewrap(folder):
    """A PATH that finds what is needed, but not bwrap."""
    (folder / "sleep").symlink_to(Path("/bin/sleep").resolve())
    return str(folder)


@pytest.mark.parametrize("bubblewrap", [True, False])
def test_nothing_outlives_a_server_that_is_closed(tmp_path, monkeypatch, bubblewrap):
    """Two leave at once when their input ends, two are deaf to all but KILL; each leaves a child behind."""
    if not bubblewrap:
        monkeypatch.setenv("PATH", without_bubblewrap(tmp_path))
        assert machine().bwrap == ""
    marks = [f"{os.getpid()}-{bubblewrap}-{level}-{traits}" for level in LEVELS for traits in ("", "stubborn")]

    async def main():
        configs = [brood(mark, mark.split("-")[2], *filter(None, [mark.split("-")[3]])) for mark in marks]
        async with serving(*configs) as servers:
            await servers.settled()
            assert {status.state for status in servers.statuses.values()} == {"ready"}
            for mark in marks:
                assert len(sessions(family(mark))) >= 2, "its child has no session of its own"
            with anyio.fail_after(8):
                await servers.close()
            assert family(*marks) == []

    run(main)


def test_nothing_outlives_a_host_that_is_killed(tmp_path):
    hosts, marks = [], []
    (tmp_path / "path").mkdir()
    for number, path in enumerate((os.environ["PATH"], without_bubblewrap(tmp_path / "path"))):
        marks.append(f"{os.getpid()}-killed-{number}")
        command = [sys.executable, "-c", HOST, marks[-1]]
        hosts.append(subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PATH": path}))
    marks = [f"{mark}-{level}" for mark in marks for level in LEVELS]
    try:
        for host in hosts:
            assert host.stdout.readline() == b"['ready', 'ready']\n"
        for mark in marks:
            assert len(sessions(family(mark))) >= 2
    finally:
        for host in hosts:
            host.send_signal(signal.SIGKILL)
            host.wait()
            host.stdout.close()
    end = time.monotonic() + 5
    while (left := family(*marks)) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []


def test_what_has_ended_and_was_not_taken_in_yet_keeps_nobody_waiting():
    process = subprocess.Popen(["sh", "-c", "read -r _"], stdin=subprocess.PIPE, start_new_session=True)
    assert runs(process.pid)
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    os.killpg(process.pid, 0)  # still a member of its group
    assert not runs(process.pid)
    process.wait()
