"""The index of sessions and the consents: shared by processes, honest about who still lives."""

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from host.core.errors import StoreError
from host.core.source import Spoken
from host.core.types import SessionRow
from host.store.host import HostStore
from host.store.log import Log, delete_log

T1, T2, T3 = (f"2026-11-22T12:00:0{n}.000Z" for n in (1, 2, 3))


def put(store: HostStore, id: str, at: str, profile: str = "p", state: str = "idle", title: str = "t") -> SessionRow:
    row = SessionRow(id, title, profile, "openai/m", at, 2, 0.25, state)
    store.upsert(id, title, profile, "openai/m", at, 2, 0.25, state)
    return row


def test_sessions_are_listed_newest_first_and_a_line_is_put_anew(tmp_path):
    with closing(HostStore(tmp_path / "state")) as store:
        a, c = put(store, "a", T1), put(store, "c", T3)
        b = put(store, "b", T2)
        assert store.sessions() == [c, b, a]
        put(store, "a", T3, title="half \ud83d")  # UTF-8 cannot carry it
        a = put(store, "a", T3, title="later")
        assert store.sessions() == [a, c, b]
        store.forget("c")
    with closing(HostStore(tmp_path / "state")) as again:
        assert again.sessions() == [a, b]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
    assert modes == {"host.db": 0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_the_latest_is_one_that_can_be_resumed(tmp_path):
    with closing(HostStore(tmp_path)) as store:
        assert store.latest() is None
        for session, at, profile in (("a", T1, "p"), ("b", T2, "q"), ("c", T3, "q")):
            put(store, session, at, profile)
            Log.create(tmp_path, session).close()
        assert (store.latest(), store.latest("p"), store.latest("q"), store.latest("r")) == ("c", "a", "c", None)
        assert store.latest(besides="openai/m") is None
        delete_log(tmp_path, "c")
        assert (store.latest(), store.latest("q")) == ("b", "b")


@pytest.mark.parametrize("state", ["working", "waiting"])
def test_a_session_whose_process_is_gone_was_interrupted(tmp_path, state):
    with closing(HostStore(tmp_path)) as store:
        put(store, "a", T1, state=state)
        with closing(Log.create(tmp_path, "a")):
            assert [row.state for row in store.sessions()] == [state]
        assert [row.state for row in store.sessions()] == ["interrupted"]
        with closing(Log.open(tmp_path, "a")):
            assert [row.state for row in store.sessions()] == [state]
        for rest in ("idle", "damaged"):
            put(store, "a", T1, state=rest)
            assert [row.state for row in store.sessions()] == [rest]


def test_consent_is_to_exactly_this(tmp_path):
    with closing(HostStore(tmp_path)) as store:
        store.consent("/p/servers.toml crm", "d1", T1)
        store.consent("/p/servers.toml crm", "d1", T2)
    with closing(HostStore(tmp_path)) as store:
        assert store.consented("/p/servers.toml crm", "d1")
        assert not store.consented("/p/servers.toml crm", "d2")
        assert not store.consented("/p/servers.toml kb", "d1")


def test_many_processes_open_it_at_once_for_the_first_time(tmp_path):
    code = """
import sys
from pathlib import Path
from host.store.host import HostStore
sys.stdin.readline()
store = HostStore(Path(sys.argv[1]))
for number in range(20):
    store.upsert(f"{sys.argv[2]}-{number}", "t", "p", "m", "at", number, 0.0, "idle")
store.close()
"""
    line = [sys.executable, "-c", code, str(tmp_path / "state")]
    children = [
        subprocess.Popen([*line, str(n)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for n in range(6)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    assert [child.communicate(timeout=60)[1] for child in children] == [""] * 6
    with closing(HostStore(tmp_path / "state")) as store:
        assert len(store.sessions()) == 120


def test_a_newer_or_damaged_file_is_told_and_left(tmp_path):
    HostStore(tmp_path).close()
    file = tmp_path / "host.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version=9")
    with pytest.raises(StoreError, match=r"host\.db was written by a newer agent-host .*upgrade"):
        HostStore(tmp_path)
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"host\.db: .*move it away"):
        HostStore(tmp_path)
    assert file.read_bytes().startswith(b"no database")


def test_an_older_file_gets_what_it_lacks_and_keeps_what_it_has(tmp_path):
    with closing(HostStore(tmp_path)) as store:
        store.consent("file", "digest", "2026-01-01")
    with closing(sqlite3.connect(tmp_path / "host.db")) as db:
        db.execute("DROP TABLE era")
        db.execute("PRAGMA user_version=2")
        db.commit()
    with closing(HostStore(tmp_path)) as store:
        assert store.consented("file", "digest")
        store.remember("s", Spoken("handshake", "s 1", "refused"))
        assert store.spoken("s") == Spoken("handshake", "s 1", "refused")
        store.unlearn("s")
        assert store.spoken("s") is None


def test_how_a_server_speaks_is_forgotten_after_a_month(tmp_path):
    with closing(HostStore(tmp_path)) as store:
        store.remember("s", Spoken("handshake", "s 1", "refused"))
        with closing(sqlite3.connect(tmp_path / "host.db")) as db:
            db.execute("UPDATE era SET at = datetime('now', '-31 days')")
            db.commit()
        assert store.spoken("s") is None


def test_a_closed_index_is_a_store_error(tmp_path):
    store = HostStore(tmp_path)
    store.close()
    with pytest.raises(StoreError):
        store.sessions()
