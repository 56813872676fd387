"""Whatever another program does to a log is found, at its place and by its name; an untouched log is never accused."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.store.chain import link, seal, seed
from host.store.log import SPILL, Log, verify

AT = "2026-11-22T12:00:00.000Z"
COLUMNS = "seq, at, kind, body, salt, digest, chain"
SIZES = st.integers(3, 12)
FEW = settings(max_examples=30, deadline=None)


def grown(folder: Path, count: int, session: str = "s1") -> None:
    """A log of `count` rows, its head noted half-way and at the end."""
    with closing(Log.create(folder, session)) as log:
        for number in range(count):
            log.append([("user_said", b'{"n":%d}' % number)], AT)
            if number in (count // 2, count - 1):
                log.mark_head(AT)


def tampered(count: int, *changes: tuple[str, tuple]) -> list[tuple[int, str]]:
    """What verify finds after another connection ran these statements."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        grown(folder, count)
        with closing(sqlite3.connect(folder / "sessions" / "s1.db", isolation_level=None)) as db:
            for sql, values in changes:
                db.execute(sql, values)
        return found(folder)


def found(folder: Path) -> list[tuple[int, str]]:
    intact, damages = verify(folder)
    assert (intact == []) == bool(damages)
    assert {damage.session for damage in damages} <= {"s1"}
    return [(damage.seq, damage.kind) for damage in damages]


def shift(seq: int, by: int) -> list[tuple[str, tuple]]:
    """Renumber the rows from `seq` on; by way of numbers nobody uses, for a number is unique."""
    return [
        ("UPDATE event SET seq = seq + 1000000 WHERE seq >= ?", (seq,)),
        ("UPDATE event SET seq = seq - 1000000 + ? WHERE seq > 1000000", (by,)),
    ]


def forged(folder: Path, first: int, change: bool = True) -> None:
    """Rebuild digests and chain from row `first` on, as someone can who knows how."""
    with closing(sqlite3.connect(folder / "sessions" / "s1.db", isolation_level=None)) as db:
        previous = seed("s1")
        for seq, at, kind, body, salt, _, chain in db.execute(f"SELECT {COLUMNS} FROM event ORDER BY seq").fetchall():
            if seq >= first:
                body = body + b" " if change and seq == first else body
                digest = seal(salt, seq, at, kind, body)
                chain = link(previous, digest)
                db.execute("UPDATE event SET body=?, digest=?, chain=? WHERE seq=?", (body, digest, chain, seq))
            previous = chain


@FEW
@given(data=st.data(), count=SIZES, column=st.sampled_from(["body", "at", "kind", "salt", "digest", "chain"]))
def test_an_edit_of_any_column(data, count, column):
    seq = data.draw(st.integers(1, count))
    value = data.draw(st.sampled_from(["x", b"x", b"", 7]))
    value = "x" if column in ("at", "kind") else value
    damages = tampered(count, (f"UPDATE event SET {column} = ? WHERE seq = ?", (value, seq)))
    assert [place for place, _ in damages] == [seq]
    assert column in ("digest", "chain") or damages == [(seq, "edit")]


@FEW
@given(data=st.data(), count=SIZES)
def test_an_edit_with_its_seal_renewed(data, count):
    seq = data.draw(st.integers(1, count - 1))
    with TemporaryDirectory() as name:
        grown(Path(name), count)
        with closing(sqlite3.connect(Path(name) / "sessions" / "s1.db", isolation_level=None)) as db:
            (salt,) = db.execute("SELECT salt FROM event WHERE seq = ?", (seq,)).fetchone()
            digest = seal(salt, seq, AT, "user_said", b"{}")
            db.execute("UPDATE event SET body = x'7b7d', digest = ? WHERE seq = ?", (digest, seq))
        assert found(Path(name)) == [(seq, "edit")]


@FEW
@given(data=st.data(), count=SIZES)
def test_a_drop_with_a_gap_or_closed_up(data, count):
    seq = data.draw(st.integers(1, count - 1))
    gone = ("DELETE FROM event WHERE seq = ?", (seq,))
    assert tampered(count, gone) == [(seq, "drop")]
    assert tampered(count, gone, *shift(seq + 1, -1)) == [(seq, "drop"), (count, "truncate")]


@FEW
@given(data=st.data(), count=SIZES)
def test_a_swap(data, count):
    first, second = sorted(data.draw(st.lists(st.integers(1, count), min_size=2, max_size=2, unique=True)))
    swap = [
        ("UPDATE event SET seq = -1 WHERE seq = ?", (first,)),
        ("UPDATE event SET seq = ? WHERE seq = ?", (first, second)),
        ("UPDATE event SET seq = ? WHERE seq = -1", (second,)),
    ]
    assert tampered(count, *swap) == [(first, "swap")]


@FEW
@given(data=st.data(), count=SIZES, sealed=st.booleans())
def test_an_insertion(data, count, sealed):
    seq = data.draw(st.integers(1, count + 1))
    salt = bytes(16)
    digest = seal(salt, seq, AT, "user_said", b"{}") if sealed else bytes(32)
    row = ("INSERT INTO event VALUES (?, ?, 'user_said', ?, ?, ?, ?)", (seq, AT, b"{}", salt, digest, bytes(32)))
    assert tampered(count, *shift(seq, 1), row) == [(seq, "insert")]


def test_an_insertion_before_the_first_row():
    assert tampered(3, ("INSERT INTO event VALUES (0, 'a', 'k', x'', x'', x'', x'')", ())) == [(0, "insert")]


@FEW
@given(data=st.data(), count=SIZES)
def test_a_truncation(data, count):
    last = data.draw(st.integers(0, count - 1))
    assert tampered(count, ("DELETE FROM event WHERE seq > ?", (last,))) == [(last + 1, "truncate")]


@FEW
@given(data=st.data(), count=SIZES)
def test_another_history_sealed_without_a_fault(data, count):
    seq = data.draw(st.integers(1, count))
    with TemporaryDirectory() as name:
        grown(Path(name), count)
        forged(Path(name), seq, change=False)
        assert found(Path(name)) == []
        forged(Path(name), seq)
        assert [kind for _, kind in found(Path(name))] == ["fork"]


def test_an_old_copy_put_back_and_carried_on(tmp_path):
    grown(tmp_path, 4)
    file = tmp_path / "sessions" / "s1.db"
    old = file.read_bytes()
    for word in (b'{"n":"first"}', b'{"n":"second"}'):
        file.write_bytes(old)
        with closing(Log.open(tmp_path, "s1")) as log:
            log.append([("user_said", word)], AT)
            log.mark_head(AT)
    assert found(tmp_path) == [(5, "fork")]


def test_a_log_of_another_session(tmp_path):
    grown(tmp_path, 4, "s2")
    (tmp_path / "heads.log").unlink()
    shutil.move(tmp_path / "sessions" / "s2.db", tmp_path / "sessions" / "s1.db")
    assert found(tmp_path) == [(1, "edit")]


def test_a_session_that_is_gone(tmp_path):
    grown(tmp_path, 4)
    (tmp_path / "sessions" / "s1.db").unlink()
    assert found(tmp_path) == [(0, "missing")]
    assert verify(tmp_path, "s1")[1][0].kind == "missing"


def test_a_body_blanked_without_an_erasure(tmp_path):
    assert tampered(4, ("UPDATE event SET body = NULL, salt = NULL WHERE seq = 2", ())) == [(2, "edit")]


@pytest.mark.parametrize("column", ["kind", "at"])
def test_an_erased_row_told_otherwise(tmp_path, column):
    with closing(Log.create(tmp_path, "s1")) as log:
        log.append([("user_said", b"{}")] * 3, AT)
        log.erase(2, "user", "why not", AT)
    assert found(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / "sessions" / "s1.db", isolation_level=None)) as db:
        db.execute(f"UPDATE event SET {column} = 'other' WHERE seq = 2")
    assert found(tmp_path) == [(2, "edit")]


@FEW
@given(data=st.data(), how=st.sampled_from(["missing", "cut", "changed", "folder"]))
def test_a_blob_missing_or_altered(data, how):
    with TemporaryDirectory() as name:
        with closing(Log.create(Path(name), "s1")) as log:
            for number in range(3):
                log.append([("x", log.stage(bytes([65 + number]) * (SPILL + 1))), ("x", b"{}")], AT)
            log.mark_head(AT)
            seq = data.draw(st.sampled_from([1, 3, 5]))
            body = list(log.read())[seq - 1].body
        blob = next(p for p in (Path(name) / "sessions" / "s1.blobs").iterdir() if p.read_bytes() == body)
        place = data.draw(st.integers(0, SPILL))
        blob.unlink()
        if how == "cut":
            blob.write_bytes(body[:place])
        elif how == "changed":
            blob.write_bytes(body[:place] + b"z" + body[place + 1 :])
        elif how == "folder":
            blob.mkdir()
        assert found(Path(name)) == [(seq, "blob")]


@FEW
@given(data=st.data())
def test_noise_over_the_file_is_never_taken_for_the_log(data):
    """Bytes of the file that carry something are changed: either the rows read the same, or verify objects."""
    with TemporaryDirectory() as name:
        grown(Path(name), 12)
        file = Path(name) / "sessions" / "s1.db"
        before = list(rows(file))
        content = bytearray(file.read_bytes())
        for _ in range(data.draw(st.integers(1, 20))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        if not found(Path(name)):
            assert list(rows(file)) == before


def rows(file: Path) -> list[tuple]:
    with closing(sqlite3.connect(f"file:{file}?immutable=1", uri=True)) as db:
        return db.execute(f"SELECT {COLUMNS} FROM event ORDER BY seq").fetchall()


@FEW
@given(
    data=st.data(), steps=st.lists(st.sampled_from(["append", "many", "spill", "erase", "head", "reopen"]), max_size=15)
)
def test_an_untouched_log_is_never_accused(data, steps):
    with TemporaryDirectory() as name:
        folder = Path(name)
        log = Log.create(folder, "s1")
        try:
            for step in steps:
                match step:
                    case "append":
                        body = data.draw(st.binary(min_size=1, max_size=50)).lstrip(b"\0") or b"{}"
                        log.append([("x", body)], AT, True)
                    case "many":
                        log.append([("x", b"{}")] * 3, AT)
                    case "spill":
                        log.append([("x", log.stage(os.urandom(8) * SPILL))], AT)
                    case "erase":
                        whole = [row.seq for row in log.read() if row.body and row.kind != "erased"]
                        if whole:
                            log.erase(data.draw(st.sampled_from(whole)), "user", "why not", AT)
                    case "head":
                        log.mark_head(AT)
                    case "reopen":
                        log.close()
                        log = Log.open(folder, "s1")
                assert verify(folder) == (["s1"], [])
        finally:
            log.close()  # also where a draw ends the example: a connection left open is a warning
        assert verify(folder) == (["s1"], [])


OTHER = """
import json, sqlite3, sys
with open(sys.argv[1]) as changes:
    for file, statements in json.load(changes):
        db = sqlite3.connect(file, isolation_level=None)
        for sql in statements:
            db.execute(sql)
        db.close()
"""
CARRY_ON = """
import sys
from pathlib import Path
from host.store.log import Log
log = Log.open(Path(sys.argv[1]), "fork")
log.append([("x", sys.argv[2].encode())], "at")
log.mark_head("at")
log.close()
"""
MOVED = "; ".join(f"UPDATE event SET seq = {new} WHERE seq = {old}" for old, new in ((3, -1), (5, 3), (-1, 5)))
PUT_IN = "INSERT INTO event VALUES (8, 'a', 'user_said', x'7b7d', x'00', x'00', x'00')"
DONE_BY_ANOTHER = {
    "edit": ("UPDATE event SET body = '{}' WHERE seq = 4", 4),
    "drop": ("DELETE FROM event WHERE seq = 4", 4),
    "swap": (MOVED, 3),
    "insert": (PUT_IN, 8),
    "truncate": ("DELETE FROM event WHERE seq > 5", 6),
}


def test_another_program_is_found_out_for_each_kind_with_session_and_place(tmp_path):
    """The seven kinds, done by a process of their own, told by the program: five by SQL, a fork by an old copy that was
    carried on, a blob by its file."""
    changes = []
    for kind, (sql, _) in DONE_BY_ANOTHER.items():
        grown(tmp_path, 7, kind)
        changes.append((str(tmp_path / "sessions" / f"{kind}.db"), sql.split("; ")))
    grown(tmp_path, 7, "whole")
    with closing(Log.create(tmp_path, "blob")) as log:
        log.append([("x", log.stage(b"x" * (SPILL + 1)))], AT)
    grown(tmp_path, 4, "fork")
    old = (tmp_path / "sessions" / "fork.db").read_bytes()
    for word in ("[1]", "[2]"):
        (tmp_path / "sessions" / "fork.db").write_bytes(old)
        subprocess.run([sys.executable, "-c", CARRY_ON, str(tmp_path), word], check=True, timeout=60)
    (tmp_path / "changes").write_text(json.dumps(changes))
    subprocess.run([sys.executable, "-c", OTHER, str(tmp_path / "changes")], check=True, timeout=60)
    spilled = next((tmp_path / "sessions" / "blob.blobs").iterdir())
    subprocess.run(["sh", "-c", 'printf y >> "$0"', str(spilled)], check=True, timeout=60)
    intact, damages = verify(tmp_path)
    assert intact == ["whole"]
    wanted = {(kind, seq, kind) for kind, (_, seq) in DONE_BY_ANOTHER.items()} | {
        ("fork", 5, "fork"),
        ("blob", 1, "blob"),
    }
    assert {(damage.session, damage.seq, damage.kind) for damage in damages} == wanted
