"""A log keeps what was appended, for one owner at a time, and says what is wrong in words."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.core.errors import StoreError
from host.core.events import decode
from host.store.log import SPILL, Log, Row, delete_log, read_log, verify

AT = "2026-11-22T12:00:00.000Z"
BODIES = st.binary(min_size=1, max_size=200).map(lambda body: b"{" + body)
ROWS = st.lists(st.tuples(st.sampled_from(["user_said", "model_said", "x"]), BODIES), max_size=5)


def filled(folder: Path, count: int = 4, session: str = "s1") -> None:
    with closing(Log.create(folder, session)) as log:
        for number in range(count):
            log.append([("user_said", b'{"n":%d}' % number)], AT)


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(st.tuples(ROWS, st.booleans(), st.booleans()), max_size=6), after=st.integers(0, 10))
def test_what_was_appended_is_read_back_in_order_by_owner_and_onlooker(batches, after):
    with TemporaryDirectory() as name:
        folder, expected = Path(name), []
        log = Log.create(folder, "s1")
        for rows, durable, reopen in batches:
            assert log.append(rows, AT, durable) == len(expected) + 1
            expected += [Row(len(expected) + n + 1, AT, kind, body) for n, (kind, body) in enumerate(rows)]
            if reopen:
                log.close()
                log = Log.open(folder, "s1")
            assert log.seq == len(expected)
        assert list(log.read()) == expected
        assert read_log(folder, "s1", after) == expected[after:]
        log.close()
        assert read_log(folder, "s1") == expected
        assert verify(folder) == (["s1"], [])


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.sampled_from([1, SPILL - 1, SPILL, SPILL + 1, 200_000]), min_size=1, max_size=4))
def test_long_bodies_lie_in_blobs_and_come_back_whole(sizes):
    with TemporaryDirectory() as name:
        folder = Path(name)
        bodies = [json.dumps("x" * size).encode() for size in sizes]
        with closing(Log.create(folder, "s1")) as log:
            with ThreadPoolExecutor(2) as threads:
                staged = list(threads.map(log.stage, bodies))
            assert [stub == body for stub, body in zip(staged, bodies, strict=True)] == [
                len(body) <= SPILL for body in bodies
            ]
            assert all(len(stub) <= SPILL for stub in staged)
            log.append([("call_finished", stub) for stub in staged], AT)
            assert [row.body for row in log.read()] == bodies
        assert [row.body for row in read_log(folder, "s1")] == bodies
        blobs = folder / "sessions" / "s1.blobs"
        names = {path.name for path in blobs.iterdir()} if blobs.exists() else set()
        assert len(names) == len({body for body in bodies if len(body) > SPILL})
        assert verify(folder) == (["s1"], [])


def test_files_are_for_their_owner_only(tmp_path):
    with closing(Log.create(tmp_path / "state", "s1")) as log:
        log.append([("x", log.stage(b"[" * (SPILL + 1)))], AT)
        log.mark_head(AT)
        modes = {str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in (tmp_path).rglob("*")}
    folders = {"state", "state/sessions", "state/sessions/s1.blobs"}
    assert {name for name, mode in modes.items() if mode == 0o700} == folders
    assert {mode for name, mode in modes.items() if name not in folders} == {0o600}
    assert "state/sessions/s1.db-wal" in modes


def test_a_closed_log_is_one_file_and_reading_it_leaves_nothing_behind(tmp_path):
    filled(tmp_path)
    read_log(tmp_path, "s1")
    verify(tmp_path)
    assert sorted(path.name for path in (tmp_path / "sessions").iterdir()) == ["s1.db", "s1.lock"]
    copy = tmp_path / "elsewhere" / "sessions"
    copy.mkdir(parents=True)
    (copy / "s1.db").write_bytes((tmp_path / "sessions" / "s1.db").read_bytes())
    assert read_log(tmp_path / "elsewhere", "s1") == read_log(tmp_path, "s1")


def child(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_only_one_owner_in_this_process_or_another(tmp_path):
    code = "import sys; from pathlib import Path; from host.store.log import Log; Log.open(Path(sys.argv[1]), 's1')"
    with closing(Log.create(tmp_path, "s1")) as log:
        log.append([("x", b"{}")], AT)
        with pytest.raises(StoreError, match="in use by another"):
            Log.open(tmp_path, "s1")
        other = child(code, tmp_path)
        assert "StoreError: session s1 is in use" in other.stderr
        with pytest.raises(StoreError, match="in use"):
            delete_log(tmp_path, "s1")
        log.append([("x", b"{}")], AT)
    other = child(code, tmp_path)
    assert (other.returncode, other.stderr) == (0, "")


def test_whoever_loses_the_place_behind_the_head_stores_nothing(tmp_path):
    with closing(Log.create(tmp_path, "s1")) as log:
        log.append([("x", b"{}")] * 2, AT)
        with closing(sqlite3.connect(tmp_path / "sessions" / "s1.db", isolation_level=None)) as other:
            other.execute("INSERT INTO event VALUES (3, 'at', 'x', x'7b', x'00', x'00', x'00')")
            with pytest.raises(StoreError, match="someone else wrote here"):
                log.append([("x", b"{}")], AT)
            other.execute("DELETE FROM event WHERE seq > 1")
            with pytest.raises(StoreError, match="someone else wrote here"):
                log.append([("x", b"{}")], AT)
            assert other.execute("SELECT seq FROM event").fetchall() == [(1,)]


def test_a_log_is_read_while_it_grows(tmp_path):
    with closing(Log.create(tmp_path, "s1")) as log:
        for number in range(1, 50):
            log.append([("x", b"{}")], AT)
            assert len(read_log(tmp_path, "s1")) == number
            log.mark_head(AT)
            assert verify(tmp_path) == (["s1"], [])


@pytest.mark.parametrize("session", ["nobody", "../s1", "s1/../s1", "", "-x", "s1.db", "a\0b", "x" * 200])
def test_an_unknown_or_impossible_id_is_said_so(tmp_path, session):
    filled(tmp_path)
    for door in (Log.open, read_log, delete_log, verify):
        with pytest.raises(StoreError, match="no session"):
            door(tmp_path, session)
    assert sorted(path.name for path in (tmp_path / "sessions").iterdir()) == ["s1.db", "s1.lock"]


def test_creating_over_a_session_is_refused_and_harms_nothing(tmp_path):
    filled(tmp_path)
    with pytest.raises(StoreError, match="already"):
        Log.create(tmp_path, "s1")
    assert len(read_log(tmp_path, "s1")) == 4


def test_a_newer_format_is_refused_and_not_touched(tmp_path):
    filled(tmp_path)
    file = tmp_path / "sessions" / "s1.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version=2")
    before = file.read_bytes()
    for door in (Log.open, read_log):
        with pytest.raises(StoreError, match=r"newer agent-host .*upgrade"):
            door(tmp_path, "s1")
    assert [damage.kind for damage in verify(tmp_path)[1]] == ["newer"]
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["s1.db", "s1.lock"]


@pytest.mark.parametrize("noise", [b"this is not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_named_with_a_remedy(tmp_path, noise):
    filled(tmp_path)
    (tmp_path / "sessions" / "s1.db").write_bytes(noise)
    for door in (Log.open, read_log):
        with pytest.raises(StoreError, match=r"s1\.db: .*restore a copy"):
            door(tmp_path, "s1")
    # The lock is free again: with the file restored, the session opens.
    (tmp_path / "sessions" / "s1.db").unlink()
    with closing(Log.create(tmp_path, "s1")) as log:
        assert log.seq == 0


def test_a_file_with_foreign_objects_is_not_opened(tmp_path):
    filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / "sessions" / "s1.db")) as db:
        db.execute("CREATE TRIGGER t AFTER INSERT ON event BEGIN UPDATE event SET body = x'00'; END")
    with pytest.raises(StoreError, match="was altered"):
        Log.open(tmp_path, "s1")
    assert [damage.kind for damage in verify(tmp_path)[1]] == ["unreadable"]


def test_a_creation_cut_short_is_an_empty_log(tmp_path):
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "s1.db").touch()
    assert read_log(tmp_path, "s1") == []
    assert verify(tmp_path) == (["s1"], [])
    with closing(Log.open(tmp_path, "s1")) as log:
        assert log.append([("x", b"{}")], AT) == 1
    assert verify(tmp_path) == (["s1"], [])


def test_erasing_leaves_no_byte_of_the_body_and_the_chain_whole(tmp_path):
    secret, long_secret = b"a private word", b"a long private story " * 2000
    with closing(Log.create(tmp_path, "s1")) as log:
        stub = log.stage(b'"%s"' % long_secret)
        log.append([("user_said", b'"%s"' % secret), ("call_finished", stub), ("call_finished", stub)], AT)
        for seq in (1, 2):
            log.erase(seq, "user", "they asked", AT)
        assert [row.body for row in log.read()][2] == b'"%s"' % long_secret, "the other row still names the blob"
        log.erase(3, "user", "they asked", AT)
        everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert secret not in everything
        assert b"private story" not in everything
        rows = list(log.read())
        assert [(row.kind, row.body) for row in rows[:3]] == [(k, b"") for k in ("user_said", *["call_finished"] * 2)]
        erased = decode(rows[3].kind, rows[3].body)
        assert (erased.kind, erased.target, erased.by, erased.why) == ("erased", 1, "user", "they asked")
        assert log.append([("x", b"{}")], AT) == 7
        for seq in (1, 4, 99):
            with pytest.raises(StoreError, match=f"no event {seq} to erase"):
                log.erase(seq, "user", "again", AT)
        log.mark_head(AT)
    assert verify(tmp_path) == (["s1"], [])


def test_opening_removes_blobs_that_no_row_names(tmp_path):
    with closing(Log.create(tmp_path, "s1")) as log:
        log.append([("x", log.stage(b"[" * (SPILL + 1)))], AT)
        log.stage(b"{" * (SPILL + 1))
    (tmp_path / "sessions" / "s1.blobs" / ".draft").write_bytes(b"half")
    with closing(Log.open(tmp_path, "s1")) as log:
        assert len(list((tmp_path / "sessions" / "s1.blobs").iterdir())) == 1
        assert [row.body for row in log.read()] == [b"[" * (SPILL + 1)]


def test_deleting_removes_every_file_of_the_session_and_is_no_damage(tmp_path):
    for session in ("s1", "s2"):
        with closing(Log.create(tmp_path, session)) as log:
            log.append([("x", log.stage(b"[" * (SPILL + 1)))], AT)
            log.mark_head(AT)
    delete_log(tmp_path, "s1")
    assert not [path for path in (tmp_path / "sessions").iterdir() if path.name.startswith("s1")]
    assert verify(tmp_path) == (["s2"], [])
    with pytest.raises(StoreError, match="no session s1"):
        verify(tmp_path, "s1")
    filled(tmp_path, session="s1")
    assert verify(tmp_path) == (["s1", "s2"], [])


def test_a_full_disk_is_an_error_with_a_remedy_and_the_log_stays_good(tmp_path):
    """The kernel refuses to let any file of the child grow further; then it may again."""
    code = """
import resource, sys
from pathlib import Path
from host.core.errors import StoreError
from host.store.log import Log
log = Log.create(Path(sys.argv[1]), "s1")
first = log.append([("x", b"{}")], "at", True)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, most))
for attempt in range(3):
    try:
        while True:
            log.append([("x", b"y" * 5000)], "at", attempt == 1)
    except StoreError as error:
        print(error)
    try:
        log.stage(b"z" * 200_000)
    except StoreError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
last = log.seq
assert log.append([("after", b"{}")], "at") == last + 1
log.close()
"""
    run = child(code, tmp_path)
    assert run.returncode == 0, run.stderr
    told = run.stdout.splitlines()
    assert len(told) == 6
    assert all("s1.db: cannot append: " in line and "check the disk" in line for line in told[::2])
    assert all("s1.blobs: cannot write a long event: " in line for line in told[1::2])
    rows = read_log(tmp_path, "s1")
    assert rows[-1].kind == "after"
    assert len(rows) > 5
    assert not list((tmp_path / "sessions" / "s1.blobs").iterdir())
    assert verify(tmp_path) == (["s1"], [])


def test_a_closed_log_refuses_and_closes_again_in_peace(tmp_path):
    log = Log.create(tmp_path, "s1")
    log.close()
    log.close()
    with pytest.raises(StoreError):
        log.append([("x", b"{}")], AT)


def test_a_torn_line_of_heads_spoils_no_other(tmp_path):
    log = Log.create(tmp_path, "s1")
    log.append([("x", b"{}")], AT)
    log.mark_head(AT)
    heads = tmp_path / "heads.log"
    line = heads.read_bytes()
    assert json.loads(line) == {"session": "s1", "seq": 1, "at": AT, "chain": json.loads(line)["chain"]}
    for cut in range(1, len(line)):
        heads.write_bytes(line + line[:cut])
        log.mark_head(AT)
        assert heads.read_bytes().splitlines()[-1] + b"\n" == line
    log.close()
    assert verify(tmp_path) == (["s1"], [])
    with closing(sqlite3.connect(tmp_path / "sessions" / "s1.db", isolation_level=None)) as db:
        db.execute("DELETE FROM event")
    assert [damage.kind for damage in verify(tmp_path)[1]] == ["truncate"]


def test_rights_that_are_missing_are_told(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read anything")
    filled(tmp_path)
    (tmp_path / "sessions" / "s1.db").chmod(0)
    with pytest.raises(StoreError, match="who owns the file"):
        read_log(tmp_path, "s1")
