"""What outlives sessions: the index of them, what people consented to, how servers speak. One small file, shared by
processes."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from host.core.errors import StoreError
from host.core.pins import Pin
from host.core.source import Spoken
from host.core.types import SessionRow
from host.store.files import Place, guarded, owned

_WAIT = 5.0
_LIVE = ("working", "waiting")
_FORMATS = (
    (
        "CREATE TABLE session(id TEXT PRIMARY KEY, title TEXT NOT NULL, profile TEXT NOT NULL, model TEXT NOT NULL, "
        "at TEXT NOT NULL, turns INTEGER NOT NULL, usd REAL NOT NULL, state TEXT NOT NULL)",
        "CREATE TABLE consent(subject TEXT NOT NULL, digest TEXT NOT NULL, at TEXT NOT NULL, "
        "PRIMARY KEY(subject, digest))",
    ),
    (
        "CREATE TABLE tool(subject TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, definition TEXT NOT NULL, "
        "at TEXT NOT NULL, PRIMARY KEY(subject, name))",
    ),
    (
        "CREATE TABLE era(server TEXT PRIMARY KEY, era TEXT NOT NULL, says TEXT NOT NULL, probe TEXT NOT NULL, "
        "at TEXT NOT NULL)",
    ),
)
"""What each format adds to the one before it."""
FORMAT = len(_FORMATS)
_LEARNED_ANEW = "-30 days"


class HostStore:
    """The open host.db. Any thread may call; what one process writes the next reader sees."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "host.db"
        self._turn = Lock()
        with guarded(self._path, "cannot open the index of sessions"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(self._path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise StoreError(f"{self._path} was written by a newer agent-host (format {version}); upgrade to use it")
        if version < FORMAT:
            self._db.execute("BEGIN IMMEDIATE")
            # Another process may have been first, between our look and our turn.
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            for statement in (each for added in _FORMATS[version:] for each in added):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={FORMAT}")
            self._db.execute("COMMIT")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")

    def upsert(
        self, id: str, title: str, profile: str, model: str, at: str, turns: int, usd: float, state: str
    ) -> None:
        """Put a session's line, new or anew. The index takes no lone surrogate; the log keeps it."""
        title = title.encode(errors="replace").decode()
        self._run("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                  (id, title, profile, model, at, turns, usd, state))  # fmt: skip

    def sessions(self) -> list[SessionRow]:
        """All sessions, the newest first, with their states as they are now."""
        found = self._run("SELECT id, title, profile, model, at, turns, usd, state FROM session ORDER BY at DESC, id")
        return [self._now(SessionRow(*row)) for row in found]

    def latest(self, profile: str | None = None, besides: str | None = None) -> str | None:
        """The id of the newest session whose log is there, of one profile or of any, `besides` those of one model."""
        rows = (row for row in self.sessions() if (profile is None or row.profile == profile) and row.model != besides)
        return next((row.id for row in rows if Place(self._folder, row.id).db.exists()), None)

    def forget(self, id: str) -> None:
        """Take a session's line away; its log is another matter."""
        self._run("DELETE FROM session WHERE id = ?", (id,))

    def consent(self, subject: str, digest: str, at: str) -> None:
        """A person agreed that `subject` (a file and a server in it) runs what has this digest."""
        self._run("INSERT OR REPLACE INTO consent VALUES (?, ?, ?)", (subject, digest, at))

    def consented(self, subject: str, digest: str) -> bool:
        """Whether exactly this was agreed to."""
        return bool(self._run("SELECT 1 FROM consent WHERE subject = ? AND digest = ?", (subject, digest)))

    def ever_consented(self, subject: str) -> bool:
        """Whether anything of this subject was agreed to."""
        return bool(self._run("SELECT 1 FROM consent WHERE subject = ? LIMIT 1", (subject,)))

    def pins(self, subject: str) -> dict[str, Pin]:
        """The definitions of a server's tools (`subject`) that were accepted here, by name."""
        rows = self._run("SELECT name, digest, definition FROM tool WHERE subject = ?", (subject,))
        return {name: Pin(json.loads(definition), digest) for name, digest, definition in rows}

    def met(self, subject: str, pins: Mapping[str, Pin], at: str) -> None:
        """Definitions seen for the first time; one that is known already stays as it was accepted."""
        self._put_pins("INSERT OR IGNORE", subject, pins, at)

    def accept(self, subject: str, pins: Mapping[str, Pin], at: str, others: bool = True) -> None:
        """A person accepted these definitions; without `others`, all that was accepted before is taken back."""
        if not others:
            self._run("DELETE FROM tool WHERE subject = ?", (subject,))
        self._put_pins("INSERT OR REPLACE", subject, pins, at)

    def _put_pins(self, verb: str, subject: str, pins: Mapping[str, Pin], at: str) -> None:
        rows = [(subject, name, pin.digest, json.dumps(dict(pin.definition)), at) for name, pin in pins.items()]
        with self._turn, guarded(self._path, "cannot use the index of sessions"):
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(f"{verb} INTO tool VALUES (?, ?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")

    def spoken(self, server: str) -> Spoken | None:
        """How a server spoke when it was last seen. After a month it is asked again: what it runs may be newer."""
        sql = "SELECT era, says, probe FROM era WHERE server = ? AND at > datetime('now', ?)"
        rows = self._run(sql, (server, _LEARNED_ANEW))
        return Spoken(*rows[0]) if rows else None

    def remember(self, server: str, spoken: Spoken) -> None:
        """Keep how a server speaks."""
        self._run("INSERT OR REPLACE INTO era VALUES (?, ?, ?, ?, datetime('now'))",
                  (server, spoken.era, spoken.says, spoken.probe))  # fmt: skip

    def unlearn(self, server: str) -> None:
        """Let a server be asked anew."""
        self._run("DELETE FROM era WHERE server = ?", (server,))

    def close(self) -> None:
        with self._turn, guarded(self._path, "cannot close the index of sessions"):
            self._db.close()

    def _now(self, row: SessionRow) -> SessionRow:
        if row.state in _LIVE and not owned(Place(self._folder, row.id).lock):
            return replace(row, state="interrupted")
        return row

    def _run(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._turn, guarded(self._path, "cannot use the index of sessions"):
            return self._db.execute(sql, values).fetchall()
