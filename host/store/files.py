"""The files of a session beside its rows: where they lie, who owns them, its blobs, and the list of chain heads."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from hashlib import sha256
from pathlib import Path
from typing import Any

from host.core.errors import StoreError
from host.core.types import canonical

MARK = b"\0blob "  # no JSON begins with NUL, so a stub is never a body
NAME = 64
# sqlite3 cannot decode its own message about a file of noise.
FAULTS = (sqlite3.Error, OSError, UnicodeDecodeError)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of one session lie."""

    folder: Path
    session: str

    @classmethod
    def of(cls, folder: Path, session: str) -> Place:
        """Raises StoreError for a text that cannot name a session: it becomes a file name."""
        if not _ID.fullmatch(session):
            raise StoreError(f"no session {session!r}: an id has letters, digits, - and _; `session list` shows them")
        return cls(folder, session)

    @property
    def db(self) -> Path:
        return self.folder / "sessions" / f"{self.session}.db"

    @property
    def wal(self) -> Path:
        return self.db.with_name(f"{self.session}.db-wal")

    @property
    def lock(self) -> Path:
        return self.db.with_name(f"{self.session}.lock")

    @property
    def blobs(self) -> Path:
        return self.db.with_name(f"{self.session}.blobs")

    @property
    def heads(self) -> Path:
        return self.folder / "heads.log"


@contextmanager
def guarded(path: Path, doing: str) -> Iterator[None]:
    """Turn whatever the disk or sqlite say into a StoreError that names the file and the remedy."""
    try:
        yield
    except FAULTS as error:
        raise StoreError(f"{path}: {doing}: {error}; {remedy(error)}") from error


def remedy(error: Exception) -> str:
    """What a person can do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    number = getattr(error, "errno", None)
    if code == sqlite3.SQLITE_FULL or number in (ENOSPC, EDQUOT):
        return "free some space on this disk"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program holds the file: close it and try again"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, UnicodeDecodeError):
        return "the file is damaged: restore a copy or move it away; `agent-host audit verify` tells what is whole"
    if code in (sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or isinstance(
        error, PermissionError
    ):
        return "check who owns the file and its folder, and their rights"
    return "check the disk (is it full?) and the rights of this folder"


def take(path: Path) -> int | None:
    """Lock the file for as long as the returned descriptor is open; None if a live process has it.

    The kernel frees it when the process dies. Someone who only looks (`owned`) holds it for an instant: hence tries.
    """
    for attempt in range(_TRIES):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_ino == path.stat().st_ino:
                return lock
        except FileNotFoundError:
            pass
        except BlockingIOError:
            time.sleep(0.001 * 2**attempt)
        os.close(lock)
    return None


def owned(path: Path) -> bool:
    """Whether a live process, perhaps this one, has the lock."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def spill(place: Place, body: bytes, brief: bytes = b"") -> bytes:
    """Write a body to a blob that is on disk, whole or not at all, when this returns; the stub that names it, and
    behind it what stands for the body where it need not be whole."""
    name = sha256(body).hexdigest()
    path = place.blobs / name
    if not path.exists():
        if not place.blobs.exists():
            place.blobs.mkdir(mode=0o700, exist_ok=True)
            sync(place.db.parent)
        descriptor, draft = tempfile.mkstemp(dir=place.blobs, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).rename(path)
        except OSError:
            with suppress(OSError):
                Path(draft).unlink()
            raise
        sync(place.blobs)
    return MARK + name.encode() + brief


def blob_name(stub: bytes) -> str:
    return stub[len(MARK) : len(MARK) + NAME].decode("ascii", "replace")


def whole(place: Place, body: bytes, brief: bool = False) -> bytes:
    """The body that a stub stands for, or where a `brief` one will do, that; any other body as it is. Raises
    StoreError for a lost or altered blob."""
    if not body.startswith(MARK):
        return body
    if brief and (short := body[len(MARK) + NAME :]):
        return short
    if fault := blob_fault(place, body):
        raise StoreError(f"{place.blobs}: {fault}; restore a copy of this session, or go on in a new one")
    return (place.blobs / blob_name(body)).read_bytes()


def blob_fault(place: Place, stub: bytes) -> str | None:
    """What is wrong with the blob of a stub; None if it is what was written."""
    name = blob_name(stub)
    try:
        if "/" in name or sha256((place.blobs / name).read_bytes()).hexdigest() != name:
            return f"blob {name} was altered"
    except (OSError, ValueError) as error:
        return f"blob {name} cannot be read: {getattr(error, 'strerror', error)}"
    return None


def add_head(folder: Path, line: Mapping[str, Any]) -> None:
    """Append one canonical line to heads.log, on disk when this returns. A line torn by a power cut before it is
    closed first, so it spoils no other."""
    text = (canonical(dict(line)) + "\n").encode()
    descriptor = os.open(folder / "heads.log", os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            text = b"\n" + text
        if os.write(descriptor, text) != len(text):
            raise OSError(ENOSPC, "the line could not be written whole")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def heads(folder: Path) -> dict[str, list[tuple[int, str]] | None]:
    """The heads (seq, chain in hex) noted for each session; None for one that was deleted in good order.

    A torn line says nothing and is passed over.
    """
    noted: dict[str, list[tuple[int, str]] | None] = {}
    try:
        lines = (folder / "heads.log").read_bytes().split(b"\n")
    except FileNotFoundError:
        return noted
    for line in lines:
        match _json(line):
            case {"session": str(session), "deleted": True}:
                noted[session] = None
            case {"session": str(session), "seq": int(seq), "chain": str(chain)}:
                known = noted.get(session) or []
                noted[session] = [*known, (seq, chain)]
    return noted


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
