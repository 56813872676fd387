"""What the three servers share: the shop's database, its options, and the one way to write to it."""

from __future__ import annotations

import argparse
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import data

IDEMPOTENCY_KEY = "io.agent-host/idempotency-key"
PAGE = 10
Row = dict[str, Any]


class Refused(Exception):
    """The shop does not do this; the text tells what to do instead."""


@dataclass(frozen=True)
class Shop:
    """The database file and the user in whose name it is written."""

    file: Path
    user: str = "agent"

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one piece of work."""
        db = sqlite3.connect(self.file, timeout=10, isolation_level=None)
        try:
            db.row_factory = lambda cursor, row: {c[0]: v for c, v in zip(cursor.description, row, strict=True)}
            db.execute("PRAGMA synchronous = FULL")  # an answer is given only for what is on the disk
            db.execute("PRAGMA foreign_keys = ON")
            yield db
        finally:
            db.close()

    def rows(self, sql: str, *values: Any) -> list[Row]:
        with self.open() as db:
            return db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> Row | None:
        return next(iter(self.rows(sql, *values)), None)

    def write(self, request: Mapping[str, Any], effect: Callable[[sqlite3.Connection], Row]) -> Row:
        """Run a write once and record it in the ledger, in the same transaction.

        `request` are the params of the tools/call. A second request with the same idempotency key changes nothing
        and gets the first one's result: it may come from a host that never saw the first answer.
        """
        key = (request.get("_meta") or {}).get(IDEMPOTENCY_KEY)
        tool, arguments = request["name"], json.dumps(request.get("arguments") or {}, sort_keys=True)
        with self.open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                result = _stored(db, key, tool, arguments) if key else None
                if result is None:
                    result = effect(db)
                    at = datetime.now(UTC).isoformat(timespec="milliseconds")
                    db.execute(
                        "INSERT INTO ledger (key, tool, arguments, result, user, at) VALUES (?, ?, ?, ?, ?, ?)",
                        (key, tool, arguments, json.dumps(result), self.user, at),
                    )
                db.execute("COMMIT")
                return result
            except BaseException:
                db.execute("ROLLBACK")
                raise

    def done(self, request: Mapping[str, Any]) -> bool:
        """Whether a write with the request's idempotency key is in the ledger already."""
        key = (request.get("_meta") or {}).get(IDEMPOTENCY_KEY)
        return key is not None and self.one("SELECT 1 AS found FROM ledger WHERE key = ?", key) is not None

    def page(self, sql: str, values: tuple[Any, ...], cursor: str | None) -> tuple[list[Row], str | None]:
        """A page of a query and the cursor of the next one."""
        if cursor is not None and not cursor.isdecimal():
            raise Refused(f"no such cursor: {cursor!r}; pass next_cursor of the page before, or nothing")
        start = int(cursor or 0)
        rows = self.rows(f"{sql} LIMIT {PAGE + 1} OFFSET {start}", *values)
        return rows[:PAGE], str(start + PAGE) if len(rows) > PAGE else None


def _stored(db: sqlite3.Connection, key: str, tool: str, arguments: str) -> Row | None:
    row = db.execute("SELECT tool, arguments, result FROM ledger WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    if (row["tool"], row["arguments"]) != (tool, arguments):
        raise Refused("this idempotency key was used for another call")
    stored: Row = json.loads(row["result"])
    return stored


def options(http: bool = True) -> argparse.Namespace:
    """The command line of every server of this demo; `http` is for those that can serve it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--db", type=Path, default=Path("support.sqlite"), help="made and filled when it is missing")
    parser.add_argument("--as", dest="user", default="agent", help="who is written into the ledger")
    if http:
        parser.add_argument("--http", type=int, metavar="PORT", help="serve on 127.0.0.1 instead of stdio")
    return parser.parse_args()


def opened(args: argparse.Namespace) -> Shop:
    """The shop named on the command line; an empty place is filled with the seeded data first."""
    data.ensure(args.db)
    return Shop(args.db, args.user)
