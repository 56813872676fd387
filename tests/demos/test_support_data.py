"""The seeded shop: the same seed makes the same rows, and a start never sees half of them."""

import sqlite3
import subprocess
import sys
from contextlib import closing

from support_case import DEMO, demo_module

COUNTS = {"customers": 500, "orders": 1000, "tickets": 60, "articles": 120, "ledger": 0}


def made(file, *options):
    command = [sys.executable, DEMO / "data.py", file, *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def dump(file):
    with closing(sqlite3.connect(file)) as db:
        return "\n".join(db.iterdump())


def test_the_same_seed_makes_the_same_rows_and_another_seed_others(tmp_path):
    for name, seed in (("a", "2026"), ("b", "2026"), ("c", "7")):
        assert made(tmp_path / name, "--seed", seed).returncode == 0
    assert dump(tmp_path / "a") == dump(tmp_path / "b") != dump(tmp_path / "c")


def test_it_is_a_shop_of_the_promised_size(tmp_path):
    made(tmp_path / "a")
    with closing(sqlite3.connect(tmp_path / "a")) as db:
        found = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COUNTS}
        orphans = db.execute("PRAGMA foreign_key_check").fetchall()
    assert found == COUNTS
    assert orphans == []


def test_a_file_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "a").write_text("mine")
    run = made(tmp_path / "a")
    assert run.returncode == 2
    assert "exists" in run.stderr
    assert (tmp_path / "a").read_text() == "mine"


def test_several_first_starts_at_once_make_one_whole_database(tmp_path):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import data, pathlib; data.ensure(pathlib.Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(DEMO), str(tmp_path / "a")]
    starts = [subprocess.Popen(command) for _ in range(3)]
    assert [start.wait(timeout=60) for start in starts] == [0, 0, 0]
    made(tmp_path / "b")
    assert dump(tmp_path / "a") == dump(tmp_path / "b")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_the_cases_of_the_tasks_are_in_it(tmp_path):
    made(tmp_path / "a")
    cases = demo_module("cast").CASES
    with closing(sqlite3.connect(tmp_path / "a")) as db:
        rows = db.execute("SELECT name, subject FROM tickets JOIN customers USING (customer_id) ORDER BY ticket_id")
        assert rows.fetchmany(len(cases)) == [(case.name, case.subject) for case in cases]
