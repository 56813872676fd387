"""The log of a session: one SQLite file that only grows, sealed row by row, with one owner at a time.

The owner holds a lock that the kernel frees when it dies; others read. What was appended with `durable` survives a
power cut, everything appended survives a kill, and a blob is on disk before the row that names it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from host.core.errors import StoreError
from host.core.events import Erased, dumps, plain
from host.store.chain import SALT, Damage, link, seal, seed
from host.store.files import MARK, NAME, Place, add_head, blob_name, guarded, spill, sync, take
from host.store.reader import FORMAT, SCHEMA, WAIT, Row, look, must_exist, read_log, rows, verify

__all__ = ["Damage", "Log", "Row", "delete_log", "read_log", "verify"]

SPILL = 16_384
_INSERT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)"
_HEAD = "SELECT seq, chain FROM event ORDER BY seq DESC LIMIT 1"
_STUBS = f"SELECT substr(body, 1, {len(MARK) + NAME}) FROM event WHERE substr(body, 1, {len(MARK)}) = ?"


class Log:
    """An owned session. One thread at a time, except `stage`, which any thread may call at any time."""

    def __init__(self, place: Place, lock: int, db: sqlite3.Connection) -> None:
        self._place = place
        self._lock: int | None = lock
        self._db = db
        self._full = False
        self._head: tuple[int, bytes] = db.execute(_HEAD).fetchone() or (0, seed(place.session))

    @classmethod
    def create(cls, folder: Path, session: str) -> Log:
        """A new, empty log. Raises StoreError if there is one of this name."""
        place = Place.of(folder, session)
        with guarded(place.db, "cannot create the session"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.db.parent.mkdir(mode=0o700, exist_ok=True)
            lock = _take(place)
            try:
                if place.db.exists():
                    raise StoreError(f"there is a session {session} already; resume it, or choose another id")
                os.close(os.open(place.db, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                try:
                    return cls._own(place, lock)
                except BaseException:
                    _remove(place)
                    raise
            except BaseException:
                os.close(lock)
                raise

    @classmethod
    def open(cls, folder: Path, session: str) -> Log:
        """Own an existing log. Raises StoreError if it is unknown, another's, of a newer format, or damaged."""
        place = Place.of(folder, session)
        with guarded(place.db, "cannot open the session"):
            must_exist(place)
            lock = _take(place)
            try:
                must_exist(place)
                look(place, lambda db: None)  # refuses what is not ours before anything is written
                log = cls._own(place, lock)
            except BaseException:
                os.close(lock)
                raise
            log._sweep()
            return log

    @classmethod
    def _own(cls, place: Place, lock: int) -> Log:
        db = sqlite3.connect(place.db, timeout=WAIT, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            if db.execute("PRAGMA user_version").fetchone() == (0,):
                db.execute("BEGIN IMMEDIATE")
                db.execute(SCHEMA)
                db.execute(f"PRAGMA user_version={FORMAT}")
                db.execute("COMMIT")
            return cls(place, lock, db)
        except BaseException:
            db.close()
            raise

    @property
    def session(self) -> str:
        return self._place.session

    @property
    def folder(self) -> Path:
        return self._place.folder

    @property
    def seq(self) -> int:
        """The number of the last row; 0 if there is none."""
        return self._head[0]

    def append(self, rows: Sequence[tuple[str, bytes]], at: str, durable: bool = False) -> int:
        """Append (kind, body) rows, all or none; the number of the first. Raises StoreError, and appends nothing, if
        they cannot be written or anyone else wrote here."""
        with guarded(self._place.db, "cannot append"):
            return self._write(rows, at, durable)

    def stage(self, body: bytes, brief: bytes = b"") -> bytes:
        """What to append for a body: itself, or for a long one the stub of a blob that is now on disk. A `brief` body
        stays beside the stub, for readers that need no more."""
        if len(body) <= SPILL:
            return body
        with guarded(self._place.blobs, "cannot write a long event"):
            return spill(self._place, body, brief)

    def read(self, after: int = 0, brief: bool = False) -> Iterator[Row]:
        """The rows after number `after`, long bodies whole, or `brief` where they were stored with a brief one."""
        with guarded(self._place.db, "cannot read the session"):
            yield from rows(self._db, self._place, after, brief=brief)

    def erase(self, seq: int, by: str, why: str, at: str) -> None:
        """Drop a body for good, and its blob; an `erased` row tells who and why, and the chain still verifies."""
        with guarded(self._place.db, f"cannot erase event {seq}"):
            row = self._db.execute("SELECT kind, at, body FROM event WHERE seq = ?", (seq,)).fetchone()
            if row is None or row[2] is None or row[0] == Erased.kind:
                raise StoreError(f"session {self.session} has no event {seq} to erase; `audit show` lists them")
            # No seal covers kind and time of the target any more: the erasure, sealed itself, vouches for them.
            body = dumps(plain(Erased(seq, by, why)) | {"kind": row[0], "at": row[1]})
            self._db.execute("PRAGMA secure_delete=ON")
            self._write([(Erased.kind, body)], at, durable=True, blank=seq)
            self._sweep(only=row[2])
            # The old bytes would live on in the write-ahead log.
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def mark_head(self, at: str) -> None:
        """Note the head of the chain in heads.log, so that a log cut short is found out. The rows are on disk first:
        else a power cut would look like a cut made by hand."""
        seq, chain = self._head
        with guarded(self._place.heads, "cannot note the head of the session"):
            with suppress(FileNotFoundError):
                sync(self._place.wal)
            add_head(self._place.folder, {"session": self.session, "seq": seq, "chain": chain.hex(), "at": at})

    def close(self) -> None:
        """Leave the .db file (and blobs) alone as the whole session, and give up ownership."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        try:
            with guarded(self._place.db, "cannot close the session"), closing(self._db):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            os.close(lock)

    def _write(self, rows: Sequence[tuple[str, bytes]], at: str, durable: bool, blank: int | None = None) -> int:
        """The only writer: seals the rows and stores them behind the head we know, or raises and stores nothing."""
        seq, chain = self._head
        sealed = []
        for kind, body in rows:
            seq += 1
            salt = os.urandom(SALT)
            digest = seal(salt, seq, at, kind, body)
            chain = link(chain, digest)
            sealed.append((seq, at, kind, body, salt, digest, chain))
        execute = self._db.execute
        if durable is not self._full:
            execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._full = durable
        try:
            execute("BEGIN IMMEDIATE")
            if (execute(_HEAD).fetchone() or (0, seed(self.session))) != self._head:
                raise StoreError(f"{self._place.db}: someone else wrote here; close this session and resume it")
            for row in sealed:
                execute(_INSERT, row)
            if blank is not None:
                execute("UPDATE event SET body = NULL, salt = NULL WHERE seq = ?", (blank,))
            execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.rollback()
            raise
        first = self._head[0] + 1
        self._head = (seq, chain)
        return first

    def _sweep(self, only: bytes | None = None) -> None:
        """Remove blobs that no row names: of erased rows, and of appends that never came; or the one of `only`."""
        if not self._place.blobs.exists():
            return
        named = {blob_name(stub) for (stub,) in self._db.execute(_STUBS, (MARK,))}
        for path in self._place.blobs.iterdir():
            if path.name not in named and (only is None or path.name == blob_name(only)):
                path.unlink(missing_ok=True)


def delete_log(folder: Path, session: str) -> None:
    """Remove a session: rows, blobs, all. heads.log remembers that it was meant. Raises StoreError if it is in use."""
    place = Place.of(folder, session)
    with guarded(place.db, "cannot delete the session"):
        must_exist(place)
        lock = _take(place)
        try:
            if place.blobs.exists():
                shutil.rmtree(place.blobs)
            # Emptied first, so that a full disk has room for the note; while it stands, all this can be repeated.
            os.truncate(place.db, 0)
            add_head(folder, {"session": session, "deleted": True})
            _remove(place)
        finally:
            os.close(lock)


def _remove(place: Place) -> None:
    for path in (place.wal, place.db.with_name(f"{place.session}.db-shm"), place.db, place.lock):
        path.unlink(missing_ok=True)


def _take(place: Place) -> int:
    lock = take(place.lock)
    if lock is None:
        raise StoreError(f"session {place.session} is in use by another agent-host; close it there, or start a new one")
    return lock
