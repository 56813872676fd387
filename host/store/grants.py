"""Answers given ahead that outlive a session: `grants.json`, a file that people may read and edit.

Each entry says which tool of which server, and `exact` arguments or conditions (`when`). What is not sound is refused
whole: a grant too few asks once more, a grant misread would not ask at all.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from host.core.conditions import conditions_problems
from host.core.errors import StoreError
from host.core.types import Grant, canonical
from host.store.files import guarded, sync, take

TEXTS = ("server", "tool", "digest", "identity", "project", "at")
OTHERS_WRITE = 0o022
LONGEST = 10_000_000


class GrantFile:
    """The grants of one home. Any process may add to them or take one back; the next look sees it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "grants.json"
        self._seen: tuple[int, ...] | None = None
        self._grants: tuple[Grant, ...] = ()

    def read(self) -> tuple[Grant, ...]:
        """The grants as the file has them now. Raises StoreError for a file that cannot be trusted."""
        with guarded(self.path, "cannot read the grants"):
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                self._seen, self._grants = None, ()
                return ()
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(descriptor)
                seen = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode, found.st_uid)
                if seen == self._seen:
                    return self._grants
                if found.st_uid != os.geteuid() or found.st_mode & OTHERS_WRITE:
                    raise StoreError(f"{self.path}: others may write it, so it grants nothing; chmod 600 it")
                self._grants = tuple(self._entries(file.read(LONGEST)))
                self._seen = seen
                return self._grants

    def add(self, grant: Grant) -> None:
        """Keep a grant; on disk when this returns."""
        self._change(lambda grants: [*(each for each in grants if each.id != grant.id), grant])

    def take_back(self, id: str) -> bool:
        """Whether there was a grant of this name; there is none now."""
        before = self.read()
        self._change(lambda grants: [each for each in grants if each.id != id])
        return any(each.id == id for each in before)

    def _change(self, change: Any) -> None:
        with guarded(self.path, "cannot keep the grants"):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = take(self.path.with_suffix(".lock"))
            if lock is None:
                raise StoreError(f"{self.path}: another process is changing it; try again")
            try:
                self._write(change(list(self.read())))
            finally:
                os.close(lock)

    def _write(self, grants: Iterable[Grant]) -> None:
        body = json.dumps([_plain(grant) for grant in grants], indent=2)
        descriptor, draft = tempfile.mkstemp(dir=self.path.parent, prefix=".grants-")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(body + "\n")
                file.flush()
                os.fsync(descriptor)
            Path(draft).replace(self.path)
        except OSError:
            Path(draft).unlink(missing_ok=True)
            raise
        sync(self.path.parent)

    def _entries(self, body: bytes) -> list[Grant]:
        try:
            entries = json.loads(body or b"[]")
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{self.path}: not JSON: {error}; it grants nothing until it is mended") from None
        if not isinstance(entries, list):
            raise StoreError(f"{self.path}: not a list of grants; it grants nothing until it is mended")
        return [self._entry(number, entry) for number, entry in enumerate(entries, 1)]

    def _entry(self, number: int, entry: Any) -> Grant:
        if problem := _problem(entry):
            raise StoreError(f"{self.path}: entry {number}: {problem}; it grants nothing until it is mended")
        arguments = entry["when"] if "when" in entry else canonical(entry["exact"])
        texts = {name: entry[name] for name in TEXTS if name in entry}
        return Grant(**texts, arguments=arguments, scope=entry["for"])


def _problem(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return "not an object"
    if unknown := entry.keys() - {*TEXTS, "for", "exact", "when"}:
        return f"unknown key {', '.join(sorted(unknown))}"
    if wrong := [name for name in TEXTS if not isinstance(entry.get(name, ""), str)]:
        return f"{wrong[0]} is a text"
    if entry.get("for") not in ("project", "me"):
        return 'for is "project" or "me"'
    if missing := [name for name in ("server", "tool", "digest", "identity") if not entry.get(name)]:
        return f"{missing[0]} is missing"
    if entry["for"] == "project" and not entry.get("project"):
        return "project is missing"
    if ("exact" in entry) == ("when" in entry):
        return "either exact or when"
    what = entry["exact"] if "exact" in entry else entry["when"]
    if not isinstance(what, dict) or ("when" in entry and not what):
        return "exact and when are objects"
    wrong = conditions_problems(what) if "when" in entry else []
    return wrong[0] if wrong else None


def _plain(grant: Grant) -> dict[str, Any]:
    exact = isinstance(grant.arguments, str)
    what = json.loads(grant.arguments) if isinstance(grant.arguments, str) else grant.arguments
    texts = {name: value for name in TEXTS if (value := getattr(grant, name))}
    return {"for": grant.scope, **texts, "exact" if exact else "when": what}
