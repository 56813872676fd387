"""The chain of a log: how a row is sealed, and what a reader can tell from seals that do not fit. Pure."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

SALT = 16
_HEAD = struct.Struct(">16sqQQQ")
_PAIRS = 200  # beyond so many broken rows it is not asked which of them changed places


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a session, first of all where.

    `kind`: edit, drop, swap, insert, truncate, fork · blob (missing or altered) · unreadable (not a log any more)
    · newer (of a format this version does not know) · missing (the whole session is gone).
    """

    session: str
    seq: int
    kind: str
    detail: str


class Stored(NamedTuple):
    """A row as it lies in the file; whoever changed it may have left any type."""

    seq: int
    at: Any
    kind: Any
    body: Any
    salt: Any
    digest: Any
    chain: Any

    @property
    def erased(self) -> bool:
        return self.body is None and self.salt is None


def seed(session: str) -> bytes:
    """What the chain of a session begins with, so that no log can pass for another's."""
    return sha256(b"agent-host log\0" + session.encode()).digest()


def seal(salt: bytes, seq: int, at: str, kind: str, body: bytes) -> bytes:
    """The digest of a row. Salted, so that an erased body cannot be guessed from it."""
    when, what = at.encode(errors="surrogateescape"), kind.encode(errors="surrogateescape")
    return sha256(_HEAD.pack(salt, seq, len(when), len(what), len(body)) + when + what + body).digest()


def link(previous: bytes, digest: bytes) -> bytes:
    return sha256(previous + digest).digest()


def fits(row: Stored, seq: int) -> bool:
    """Whether the row is, byte for byte, what was sealed under this number."""
    match row:
        case Stored(_, str(at), str(kind), bytes(body), bytes(salt), bytes(digest)) if len(salt) == SALT:
            return seal(salt, seq, at, kind, body) == digest
    return False


@dataclass(slots=True)
class _Findings:
    """What one walk over the rows found, before it is told as damage."""

    session: str
    last: int = 0
    damages: dict[int, Damage] = field(default_factory=dict)
    broken: list[tuple[Stored, bool]] = field(default_factory=list)
    unlinked: list[int] = field(default_factory=list)
    gaps: list[Stored] = field(default_factory=list)
    erasures: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    chains: dict[int, Any] = field(default_factory=dict)

    def note(self, seq: int, kind: str, detail: str) -> None:
        self.damages[seq] = Damage(self.session, seq, kind, detail)


def inspect(session: str, rows: Iterable[Stored], heads: Sequence[tuple[int, str]]) -> list[Damage]:
    """Every place where the rows, in order of seq, are not those that were appended, as far as chain and noted heads
    can tell; none for an untouched log."""
    found = _walk(session, rows, {seq for seq, _ in heads})
    _tell_broken(found)
    told = found.damages.keys() | {row.seq for row, _ in found.broken}
    for seq in found.unlinked:
        if seq not in told and seq - 1 not in told:  # else it is the consequence of another damage
            kind = "insert" if seq == found.last else "edit"
            found.note(seq, kind, "its seal is whole, but it does not follow the row before it")
        told.add(seq)
    for row in found.gaps:
        if found.erasures.get(row.seq) != (row.kind, row.at):
            found.note(row.seq, "edit", "its body is gone and no erasure says so")
    damages = sorted(found.damages.values(), key=lambda damage: damage.seq)
    if not damages:
        forks = (seq for seq, chain in heads if seq in found.chains and found.chains[seq] != chain)
        damages = [Damage(session, seq, "fork", "another history was noted in heads.log") for seq in sorted(forks)[:1]]
    longest = max((seq for seq, _ in heads), default=0)
    if longest > found.last:
        detail = f"the log ends at {found.last}; heads.log knows {longest}"
        damages.append(Damage(session, found.last + 1, "truncate", detail))
    return damages


def _walk(session: str, rows: Iterable[Stored], wanted: set[int]) -> _Findings:
    found = _Findings(session)
    previous: bytes | None = seed(session)
    for row in rows:
        if row.seq < 1:
            found.note(row.seq, "insert", "rows are numbered from 1")
            continue
        if row.seq > found.last + 1:
            missing = row.seq - found.last - 1
            found.note(found.last + 1, "drop", f"{missing} row{'s' * (missing > 1)} before {row.seq} missing")
            previous = None
        sealed = isinstance(row.digest, bytes) and isinstance(row.chain, bytes)
        linked = sealed and (previous is None or link(previous, row.digest) == row.chain)
        if row.erased:
            found.gaps.append(row)
        if not (sealed and (row.erased or fits(row, row.seq))):
            found.broken.append((row, linked))
        elif not linked:
            found.unlinked.append(row.seq)
        elif row.kind == "erased":
            _note_erasure(found, row)
        if row.seq in wanted:
            found.chains[row.seq] = row.chain.hex() if sealed else None
        previous = row.chain if sealed else None
        found.last = row.seq
    return found


def _note_erasure(found: _Findings, row: Stored) -> None:
    """An intact erasure vouches for kind and time of its target, which nothing seals any more."""
    try:
        body = json.loads(row.body)
        found.erasures[body["target"]] = (body["kind"], body["at"])
    except (TypeError, ValueError, KeyError, RecursionError):
        pass  # a row of this kind that our erase did not write vouches for nothing


def _tell_broken(found: _Findings) -> None:
    """Name the rows whose seal does not fit: rows that stand in another's place were moved, others were edited."""
    broken = {row.seq: row for row, _ in found.broken}
    homes = {seq: home for seq, row in broken.items() if (home := _home(row, broken)) is not None}
    shift = 0
    for row, linked in found.broken:
        seq, home = row.seq, homes.get(row.seq)
        moved = home - seq if home is not None else 0
        if home is None:
            foreign = not linked and seq == found.last
            found.note(seq, "insert" if foreign else "edit", "its content is not what was sealed")
        elif homes.get(home) == seq:
            found.note(min(seq, home), "swap", f"rows {min(seq, home)} and {max(seq, home)} changed places")
        elif moved != shift:
            if moved > 0:
                found.note(seq, "drop", f"a row is missing here; this one was row {home}")
            else:
                found.note(seq - 1, "insert", f"a row was put in here; row {seq} was row {home}")
        shift = moved


def _home(row: Stored, broken: dict[int, Stored]) -> int | None:
    """The number a row was sealed under, if it is near or another broken row's."""
    near = [row.seq + 1, row.seq - 1]
    candidates = near if len(broken) > _PAIRS else [*near, *broken]
    return next((seq for seq in candidates if seq != row.seq and fits(row, seq)), None)
