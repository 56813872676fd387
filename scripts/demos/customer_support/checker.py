"""Is the end state of a task the right one? `python checker.py TASK DB [EVENTS.jsonl]` prints what is not.

The right state is the fresh database with exactly the changes that tasks.toml names: one row too many is as wrong as
one too few. With the session's events it also checks that what was written is what was started, and the other way.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import data

Json = dict[str, Any]
Rows = dict[str, Json]
WRITES = {
    "update_address", "cancel_order", "return_items", "exchange_items", "issue_refund",
    "add_note", "set_status", "escalate", "send_reply",
}  # fmt: skip


def tasks() -> dict[str, Json]:
    """All tasks by their id."""
    file = Path(__file__).with_name("tasks.toml")
    return {task["id"]: task for task in tomllib.loads(file.read_text())["tasks"]}


def check(task_id: str, db_path: Path, events: list[Json] | None = None) -> list[str]:
    """What is wrong after a task; empty means right."""
    end = tasks()[task_id]["end"]
    with (
        closing(sqlite3.connect(":memory:")) as fresh,
        closing(sqlite3.connect(f"file:{db_path}?mode=ro", uri=True)) as db,
    ):
        data.fill(fresh)
        before, after = rows(fresh), rows(db)
    ledger = [row for name, row in after.items() if name.startswith("ledger/")]
    problems = differences(before, after, end["changes"])
    if (written := [row["tool"] for row in ledger]) != end["writes"]:
        problems.append(f"the ledger holds {written}, right is {end['writes']}")
    return problems + (said_and_done(events, ledger, end) if events is not None else [])


def rows(db: sqlite3.Connection) -> Rows:
    """Every row of every table, under table/key."""
    found: Rows = {}
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        columns = db.execute(f"SELECT name, pk FROM pragma_table_info('{table}') ORDER BY cid").fetchall()
        for values in db.execute(f"SELECT * FROM {table} ORDER BY rowid"):
            row = dict(zip((name for name, _ in columns), values, strict=True))
            key = "/".join(str(row[name]) for name, pk in columns if pk)
            found[f"{table}/{key}"] = row
    return found


def differences(before: Rows, after: Rows, expected: list[Json]) -> list[str]:
    """Rows that are not what the fresh database and the expected changes say."""
    problems = [f"{name} is gone" for name in before if name not in after]
    changed = {one["row"]: one["set"] for one in expected if "row" in one}
    for name, row in before.items():
        right, now = {**row, **changed.get(name, {})}, after.get(name, row)
        problems += [f"{name}: {c} is {now[c]!r}, right is {right[c]!r}" for c in row if now[c] != right[c]]
    made = [name for name in after if name not in before and not name.startswith("ledger/")]
    for one in (one for one in expected if "new" in one):
        fitting = [n for n in made if n.split("/")[0] == one["new"] and fits(after[n], one["set"])]
        if fitting:
            made.remove(fitting[0])
        else:
            problems.append(f"no new row of {one['new']} has {one['set']}")
    return problems + [f"{name} should not be there: {after[name]}" for name in made]


def fits(row: Json, wanted: Json) -> bool:
    return all(
        want["has"].lower() in row[column].lower() if isinstance(want, dict) else row[column] == want
        for column, want in wanted.items()
    )


def said_and_done(events: list[Json], ledger: list[Json], end: Json) -> list[str]:
    """Where the session's record and the ledger disagree, and what was started that may not be."""
    started = [event for event in events if event["kind"] == "call_started"]
    finished = {event["call_id"]: event["outcome"] for event in events if event["kind"] == "call_finished"}
    recorded = {(row["key"], row["tool"], row["arguments"]) for row in ledger}
    sent = {(e["key"], e["remote_name"], json.dumps(e["arguments"], sort_keys=True)): e["call_id"] for e in started}
    problems = [f"{tool} is in the ledger and not in the record: {args}" for _, tool, args in recorded - sent.keys()]
    problems += [
        f"{tool} ended well and is not in the ledger: {args}"
        for (key, tool, args), call_id in sent.items()
        if tool in WRITES and finished.get(call_id) == "ok" and (key, tool, args) not in recorded
    ]
    for word in end.get("untouched", []):
        problems += [
            f"{e['remote_name']} was started with {word}" for e in started if word in json.dumps(e["arguments"])
        ]
    said = [part["text"] for e in events if e["kind"] == "model_said" for part in e["parts"] if part["kind"] == "text"]
    if "cites" in end and (not said or end["cites"] not in said[-1]):
        problems.append(f"the last answer does not cite {end['cites']}")
    if not any(event["kind"] == "turn_ended" and event["reason"] == "done" for event in events):
        problems.append("the turn did not end well")
    return problems


def followed(task_id: str, events: list[Json]) -> list[str]:
    """Where a played model's calls did not end as the task's `ends` say."""
    wanted = [(call["tool"], call["ends"]) for turn in tasks()[task_id]["turns"] for call in turn.get("calls", [])]
    ended = {event["call_id"]: event["outcome"] for event in events if event["kind"] == "call_finished"}
    said = [part for event in events if event["kind"] == "model_said" for part in event["parts"]]
    seen = [(part["name"], ended.get(part["id"], "never")) for part in said if part["kind"] == "tool_call"]
    return [] if seen == wanted else [f"the calls ended as {seen}, right is {wanted}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=tasks())
    parser.add_argument("db", type=Path)
    parser.add_argument("events", type=Path, nargs="?", help="the session's events, one a line")
    args = parser.parse_args()
    lines = args.events.read_text().splitlines() if args.events else None
    events = [json.loads(line) for line in lines] if lines is not None else None
    problems = check(args.task, args.db, [e for e in events if "seq" in e] if events is not None else None)
    print("\n".join(problems) or "right")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
