"""Attack the host as a whole, with servers that lie and a model that obeys, and look from outside at what came of it.

scripts/attack [ROW …] [--user NAME] [--list]     exits 1 where an attack lands on a careful user, or a control is wrong

Where no user has a say the control is `bare`: the same attack on a host without a defence (bare.py).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

import rows_files
import rows_panel
import rows_process
import rows_screen
import rows_web
import rows_wire
import rows_words
from field import USERS, Attack, World

COLUMNS = ("bare", *USERS)
PANELS = ("bare", "allow-all", "deny-all", "careful", "tired")
HELD = ("deny-all", "careful", "no-lies")
"""Those on whom nothing may land."""


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
    Stage("words", rows_words.ATTACKS, rows_words.run, COLUMNS),
    Stage("panels", rows_panel.ATTACKS, rows_panel.run, PANELS),
    Stage("wire", rows_wire.ATTACKS, rows_wire.run, alone=rows_wire.alone),
    Stage("process", rows_process.ATTACKS, rows_process.run),
    Stage("commands", rows_screen.IN_COMMANDS, rows_screen.commands),
    Stage("chats", rows_screen.IN_CHATS, rows_screen.chats),
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


def refused() -> dict[tuple[str, str], str]:
    """The attacks that the host lets nobody have, with why."""
    return {(a.row, a.carrier): a.never for stage in STAGES for a in stage.attacks if a.never}


def wrong(landed: dict[tuple[str, str, str], bool]) -> list[str]:
    """What must not be: an attack that lands where nothing may, or does not land in a control of its own. On the bare
    host each must land, and where all is allowed each that is not refused to everybody."""
    never, bad = refused(), []
    for (row, carrier, user), value in landed.items():
        may_not = user in HELD or (user == "allow-all" and (row, carrier) in never)
        if value and may_not:
            bad.append(f"{row} {carrier}: landed ({user})")
        elif user in ("bare", "allow-all") and not value and not may_not:
            bad.append(f"{row} {carrier}: shows nothing, it does not land where it could ({user})")
    return bad


def asked(landed: dict[tuple[str, str, str], bool]) -> str:
    """What a person is asked by the same policy over the benign tasks of the demo."""
    import benign  # the tests of the demo, which no attack needs

    with TemporaryDirectory() as folder:
        about, tasks = benign.asked(Path(folder))
    careful = [value for (_, _, user), value in landed.items() if user == "careful"]
    others = "".join(f", {number} {kind}" for kind, number in about.items() if kind != "approval")
    return (
        f"the default policy: {sum(careful)} of {len(careful)} attacks land on the careful user; {tasks} benign tasks "
        f"ask for {about['approval']} approvals{others}: {about['approval'] / tasks:.2f} approvals a task"
    )


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
    users = options.user or COLUMNS
    landed = play(stages, rows, users)
    if options.verbose:
        for (row, carrier, user), value in landed.items():
            print(f"{row:5}{user:10} {'LANDED' if value else 'held':7} {carrier}")
        for (row, carrier), why in refused().items():
            print(f"{row:5}refused to everybody: {carrier}: {why}") if row in rows else None
    print(table(landed))
    if "careful" in users and not options.rows:
        print(asked(landed))
    print(f"{time.monotonic() - began:.0f} s in all")
    problems = wrong(landed)
    print("\n".join(problems) or f"{len(landed)} ends, none of them wrong")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
