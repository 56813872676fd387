"""A kill or a power cut at any moment leaves a log that opens, verifies, and holds every accepted durable word."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.core.errors import StoreError
from host.store.files import heads
from host.store.log import Log, delete_log, read_log, verify

AT = "2026-11-22T12:00:00.000Z"
# Appends for ever and says, after each step, how far it got. Every step is another mix of rows, blobs and heads.
WRITER = """
import sys
from pathlib import Path
from host.store.files import heads
from host.store.log import Log
log = Log.create(Path(sys.argv[1]), "s1")
step = 0
while True:
    step += 1
    rows = [("x", b'{"step":%d}' % step)] * (1 + step % 3)
    if step % 7 == 0:
        rows.append(("long", log.stage(b"[%d" % step + b" " * 20_000)))
    log.append(rows, "at", durable=step % 5 == 0)
    if step % 4 == 0:
        log.mark_head("at")
    if step % 11 == 0:
        log.erase(log.seq, "user", "why not", "at")
    print(log.seq, flush=True)
"""


@pytest.mark.parametrize("lines", [0, 1, 2, 7, 12, 29, 60, 100])
def test_kill_in_the_middle_of_appending(tmp_path, lines):
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        accepted = 0
        for _ in range(lines):
            accepted = int(writer.stdout.readline())
        if lines:
            with pytest.raises(StoreError, match="in use"):
                Log.open(tmp_path, "s1")
        writer.send_signal(signal.SIGKILL)
        said = writer.stdout.read().split()
        writer.wait(30)
    accepted = int(said[-1]) if said else accepted
    if not (tmp_path / "sessions" / "s1.db").exists():
        assert lines == 0
        return
    assert verify(tmp_path) == (["s1"], []), "as the dead process left it"
    assert len(read_log(tmp_path, "s1")) >= accepted
    with closing(Log.open(tmp_path, "s1")) as log:
        assert log.seq >= accepted
        assert log.append([("after", b"{}")], AT) == log.seq
    assert verify(tmp_path) == (["s1"], [])
    delete_log(tmp_path, "s1")
    assert not list((tmp_path / "sessions").iterdir())


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Path:
    """The files of a log as they lay in the middle of its life, and how many rows it had."""
    folder = tmp_path_factory.mktemp("running")
    with closing(Log.create(folder, "s1")) as log:
        for number in range(40):
            log.append([("x", b'{"n":%d,"fill":"%s"}' % (number, b"." * 100 * (number % 5)))] * 2, AT, number == 0)
        shutil.copytree(folder / "sessions", folder / "copy" / "sessions")
    return folder / "copy"


@settings(max_examples=60, deadline=None)
@given(data=st.data(), tail=st.sampled_from(["cut", "zeros", "noise"]))
def test_a_power_cut_tears_the_write_ahead_log_anywhere(running, data, tail):
    with TemporaryDirectory() as name:
        shutil.copytree(running / "sessions", Path(name) / "sessions")
        wal = Path(name) / "sessions" / "s1.db-wal"
        (Path(name) / "sessions" / "s1.db-shm").unlink()
        content = wal.read_bytes()
        place = data.draw(st.integers(0, len(content)))
        rest = len(content) - place
        lost = {"cut": b"", "zeros": bytes(rest), "noise": os.urandom(rest)}[tail]
        wal.write_bytes(content[:place] + lost)
        assert verify(Path(name)) == (["s1"], [])
        kept = read_log(Path(name), "s1")
        with closing(Log.open(Path(name), "s1")) as log:
            assert log.seq == len(kept)
            assert log.seq % 2 == 0, "an append is there whole or not at all"
            log.append([("after", b"{}")], AT, durable=True)
        assert verify(Path(name)) == (["s1"], [])
        assert [row.body for row in kept] == [row.body for row in read_log(running, "s1")][: len(kept)]


def test_a_head_is_never_ahead_of_what_the_disk_holds(tmp_path):
    """What mark_head promises: the rows it names were synced first. Seen from outside, by the order of system calls."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    code = """
import sys
from pathlib import Path
from host.store.files import heads
from host.store.log import Log
log = Log.create(Path(sys.argv[1]), "s1")
log.append([("x", b"{}")], "at")
log.mark_head("at")
log.close()
"""
    trace = tmp_path / "trace"
    watch = ["strace", "-f", "-y", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", str(trace)]
    subprocess.run([*watch, sys.executable, "-c", code, str(tmp_path / "home")], check=True, timeout=60)
    calls = [line for line in trace.read_text().splitlines() if "s1.db-wal" in line or "heads.log" in line]
    head = next(n for n, line in enumerate(calls) if "write(" in line and "heads.log" in line)
    assert any("sync(" in line and "s1.db-wal" in line for line in calls[:head][-1:])


def test_a_write_ahead_log_torn_anywhere_in_its_last_row(tmp_path):
    with closing(Log.create(tmp_path, "s1")) as log:
        log.append([("x", b"{}")], AT)
        before = (tmp_path / "sessions" / "s1.db-wal").stat().st_size
        log.append([("x", b"{}")], AT)
        shutil.copytree(tmp_path / "sessions", tmp_path / "torn" / "sessions")
    folder, wal = tmp_path / "torn", tmp_path / "torn" / "sessions" / "s1.db-wal"
    content = wal.read_bytes()
    assert before < len(content) < before + 9000
    for place in (*range(before, before + 40), *range(before + 40, len(content), 11), len(content)):
        wal.write_bytes(content[:place])
        wal.with_name("s1.db-shm").unlink(missing_ok=True)
        assert len(read_log(folder, "s1")) == (2 if place == len(content) else 1)


def test_heads_torn_at_every_byte_say_nothing_false_and_spoil_no_later_one(tmp_path):
    with closing(Log.create(tmp_path, "s1")) as log:
        for _ in range(2):
            log.append([("x", b"{}")], AT)
            log.mark_head(AT)
        file = tmp_path / "heads.log"
        whole = file.read_bytes()
        for place in range(len(whole)):
            file.write_bytes(whole[:place])
            assert verify(tmp_path) == (["s1"], [])
            log.mark_head(AT)
            assert heads(tmp_path)["s1"][-1][0] == log.seq
            assert verify(tmp_path) == (["s1"], [])
