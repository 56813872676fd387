"""Reading a log that someone else may own, and telling whether it is what was written. Changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from host.core.errors import StoreError
from host.store.chain import Damage, Stored, inspect
from host.store.files import FAULTS, MARK, Place, blob_fault, guarded, heads, whole

FORMAT = 1
WAIT = 1.0
LAST = 2**63 - 1
SCHEMA = (
    "CREATE TABLE event(seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body BLOB, salt BLOB, "
    "digest BLOB NOT NULL, chain BLOB NOT NULL)"
)
_PAGE = "SELECT seq, at, kind, body FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 500"
_ALL = "SELECT seq, at, kind, body, salt, digest, chain FROM event ORDER BY seq"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One event as it was appended; an erased one has an empty body."""

    seq: int
    at: str
    kind: str
    body: bytes


class NewerFormat(StoreError):
    """A log that a later version wrote."""


def read_log(folder: Path, session: str, after: int = 0, upto: int | None = None, brief: bool = False) -> list[Row]:
    """The rows of a session after number `after`, whoever owns it, and not beyond number `upto`."""
    place = Place.of(folder, session)
    with guarded(place.db, "cannot read the session"):
        must_exist(place)
        return look(place, lambda db: list(rows(db, place, after, upto, brief)))


def rows(
    db: sqlite3.Connection, place: Place, after: int, upto: int | None = None, brief: bool = False
) -> Iterator[Row]:
    """The rows after number `after`, long bodies whole, or `brief` where they were stored with a brief one."""
    last = LAST if upto is None else upto
    while page := db.execute(_PAGE, (after, last)).fetchall():
        for seq, at, kind, body in page:
            if not (isinstance(body, bytes | None) and isinstance(at, str) and isinstance(kind, str)):
                raise StoreError(f"{place.db}: event {seq} was altered; `agent-host audit verify` tells more")
            yield Row(seq, at, kind, whole(place, body or b"", brief))
        after = page[-1][0]


def verify(folder: Path, session: str | None = None) -> tuple[list[str], list[Damage]]:
    """The ids of the sessions that are as they were written, and what is wrong with the others.

    It shows what was changed by whoever could not recompute the chain and heads.log as well; it does not protect from
    the account that owns the files. Rows after the last noted head can be cut off unseen.
    """
    # Heads first: a session that grows meanwhile is then never behind its own head.
    noted = heads(folder)
    if session is None:
        known = {path.stem for path in (folder / "sessions").glob("*.db")}
        ids = sorted(known | {id for id, marks in noted.items() if marks is not None})
    else:
        if noted.get(session) is None:
            must_exist(Place.of(folder, session))
        ids = [session]
    intact: list[str] = []
    damages: list[Damage] = []
    for id in ids:
        found = _examine(Place(folder, id), noted.get(id) or [])
        damages += found
        if not found:
            intact.append(id)
    return intact, damages


def _examine(place: Place, marks: list[tuple[int, str]]) -> list[Damage]:
    if not place.db.exists():
        if heads(place.folder).get(place.session) is None:  # deleted in good order since we began
            return []
        return [Damage(place.session, 0, "missing", f"{place.db} is gone; heads.log knows it")]
    try:
        return look(place, lambda db: _inspect(db, place, marks))
    except NewerFormat as error:
        return [Damage(place.session, 0, "newer", str(error))]
    except (*FAULTS, StoreError) as error:
        return [Damage(place.session, 0, "unreadable", f"{place.db}: {error}")]


def _inspect(db: sqlite3.Connection, place: Place, marks: list[tuple[int, str]]) -> list[Damage]:
    blobs: list[Damage] = []

    def stored() -> Iterator[Stored]:
        for row in map(Stored._make, db.execute(_ALL)):
            if isinstance(row.body, bytes) and row.body.startswith(MARK) and (fault := blob_fault(place, row.body)):
                blobs.append(Damage(place.session, row.seq, "blob", fault))
            yield row

    return inspect(place.session, stored(), marks) + blobs


def must_exist(place: Place) -> None:
    if not place.db.exists():
        raise StoreError(f"no session {place.session} in {place.db.parent}; `agent-host session list` shows them")


def look(place: Place, read: Callable[[sqlite3.Connection], T]) -> T:
    """What `read` makes of the log, through a connection that cannot write.

    A log that nobody writes is read as a still file, for sqlite would leave -wal and -shm beside it; whether it was
    still is seen afterwards.
    """
    if before := _still(place):
        try:
            value = _through(place, "immutable=1", read)
        except (*FAULTS, StoreError):
            if _still(place) == before:
                raise
        else:
            if _still(place) == before:
                return value
    return _through(place, "mode=ro", read)


def _still(place: Place) -> tuple[int, int, int] | None:
    """What tells a file from its next version; None if it has rows that are not in the .db yet."""
    if place.wal.exists() and place.wal.stat().st_size:
        return None
    now = place.db.stat()
    return now.st_ino, now.st_size, now.st_mtime_ns


def _through(place: Place, mode: str, read: Callable[[sqlite3.Connection], T]) -> T:
    uri = f"{place.db.absolute().as_uri()}?{mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None)) as db:
        db.text_factory = _text
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise NewerFormat(f"{place.db} was written by a newer agent-host (format {version}); upgrade to read it")
        objects = db.execute("SELECT sql FROM sqlite_schema").fetchall()
        if (version, objects) == (0, []):
            db.execute(SCHEMA.replace("TABLE", "TEMP TABLE", 1))  # its creation was cut short: empty, not damaged
        elif objects != [(SCHEMA,)]:
            raise StoreError(f"{place.db} is not a session log, or was altered; restore a copy of it")
        return read(db)


def _text(stored: bytes) -> str:
    """A text as it lies there, also where noise made it no UTF-8: then it is read, and found not to fit its seal."""
    return stored.decode(errors="surrogateescape")
