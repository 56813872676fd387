"""Attack the host as a whole, with servers that lie and a model that obeys, and look from outside at what came of it.

scripts/attack [ROW …] [--user NAME] [--list]     exits 1 where an attack lands on a careful user, or a control is wrong

Where no user has a say the control is `bare`: the same attack on a host without a defence (bare.py).
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

import rows_files
import rows_process
import rows_screen
import rows_web
import rows_wire
import rows_words
from field import ROOT, USERS, Attack, World

COLUMNS = ("bare", *USERS)
EACH = ("bare",)
"""The controls in which every single attack must land."""


@dataclass(frozen=True)
class Stage:
    """Attacks that one run of the program shows. `alone` shows one by itself, where in a host without a defence one
    would hide the others."""

    name: str
    attacks: Sequence[Attack]
    run: Callable[[Path, str], World]
    users: Sequence[str] = ("bare", "careful")
    alone: Callable[[Path, Attack], World] | None = None

    @property
    def rows(self) -> set[str]:
        return {attack.row for attack in self.attacks}


STAGES = (
    Stage("words", rows_words.ATTACKS, rows_words.run, USERS),
    Stage("wire", rows_wire.ATTACKS, rows_wire.run, alone=rows_wire.alone),
    Stage("process", rows_process.ATTACKS, rows_process.run),
    Stage("commands", rows_screen.IN_COMMANDS, rows_screen.commands),
    Stage("chats", rows_screen.IN_CHATS, rows_screen.chats, ("careful",)),
    Stage("web", rows_web.ATTACKS, rows_web.run),
    Stage("drift", rows_files.TURNED, rows_files.turned),
    Stage("clone", rows_files.CLONED, rows_files.cloned),
)


def ordered(row: str) -> int:
    return int(row[1:])


def play(stages: Sequence[Stage], rows: set[str], users: Sequence[str]) -> dict[tuple[str, str, str], bool]:
    """Whether each attack landed, by row, carrier and user."""
    landed: dict[tuple[str, str, str], bool] = {}
    for stage in stages:
        for user in (name for name in stage.users if name in users):
            began = time.monotonic()
            with TemporaryDirectory() as folder:
                place = Path(folder) / f"{stage.name}-{user}"
                alone = stage.alone if user == "bare" else None
                world = stage.run(place, user) if alone is None else None
                for number, attack in enumerate(attack for attack in stage.attacks if attack.row in rows):
                    seen = world or (alone and alone(place / str(number), attack))
                    landed[attack.row, attack.carrier, user] = attack.landed(seen)
            sys.stderr.write(f"{stage.name}, {user}: {time.monotonic() - began:.1f} s\n")
    return landed


def table(landed: dict[tuple[str, str, str], bool]) -> str:
    """A line for each row: how many attacks landed, of how many, in the control and for each user."""
    lines = [f"{'row':6}" + "".join(f"{user:>12}" for user in COLUMNS)]
    for row in sorted({row for row, _, _ in landed}, key=ordered):
        cells = []
        for user in COLUMNS:
            found = [value for (r, _, u), value in landed.items() if (r, u) == (row, user)]
            cells.append(f"{sum(found)}/{len(found)}" if found else "-")
        lines.append(f"{row:6}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


def wrong(landed: dict[tuple[str, str, str], bool]) -> list[str]:
    """What must not be: an attack that lands on a careful user or through a denial, or does not in its control."""
    must_not = {key for key, value in landed.items() if value and key[2] in ("careful", "deny-all")}
    bad = [f"{row} {carrier}: landed ({user})" for row, carrier, user in landed if (row, carrier, user) in must_not]
    dud = [key for key, value in landed.items() if key[2] in EACH and not value]
    bad += [f"{row} {carrier}: shows nothing, it does not land where it could ({user})" for row, carrier, user in dud]
    free = [value for (_, _, user), value in landed.items() if user == "allow-all"]
    return bad + (["nothing landed with everything allowed: the attacks are broken"] if free and not any(free) else [])


def questions() -> tuple[int, int]:
    """What a person is asked over the benign tasks of the demos, and how many tasks those are. That a task asks just
    this is what tests/demos shows."""
    files = (ROOT / "scripts" / "demos").glob("*/tasks.toml")
    tasks = [task for file in files for task in tomllib.loads(file.read_text())["tasks"]]
    asked = [a for task in tasks for a in task["answers"] if a.get("about", "approval") == "approval"]
    return len(asked), len(tasks)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/attack", description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="T1 … T25; all if absent")
    parser.add_argument("--user", action="append", choices=COLUMNS)
    parser.add_argument("--list", action="store_true", help="print the attacks and run none")
    parser.add_argument("-v", "--verbose", action="store_true", help="each attack with its end")
    options = parser.parse_args()
    rows = set(options.rows) or {row for stage in STAGES for row in stage.rows}
    stages = [stage for stage in STAGES if stage.rows & rows]
    if options.list:
        known = [attack for stage in stages for attack in stage.attacks if attack.row in rows]
        for attack in sorted(known, key=lambda attack: ordered(attack.row)):
            print(f"{attack.row:5}{attack.carrier}")
        return 0
    began = time.monotonic()
    landed = play(stages, rows, options.user or COLUMNS)
    if options.verbose:
        for (row, carrier, user), value in landed.items():
            print(f"{row:5}{user:10} {'LANDED' if value else 'held':7} {carrier}")
    print(table(landed))
    asked, tasks = questions()
    print(f"questions over {tasks} benign tasks: {asked}, {asked / tasks:.2f} each")
    print(f"{time.monotonic() - began:.0f} s in all")
    problems = wrong(landed)
    print("\n".join(problems) or f"{len(landed)} ends, none of them wrong")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
