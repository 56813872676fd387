"""A part of scripts/attack that is quick enough for every day, and the manifest of gates."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

from attack import STAGES, play, wrong
from field import ROOT

HERE = Path(__file__).parent
ROWS = {f"T{number}" for number in range(1, 26)}


def stage(name):
    return [each for each in STAGES if each.name == name]


def test_orders_in_whatever_a_server_says_land_only_where_all_is_allowed():
    rows = {"T1", "T3", "T4", "T5", "T19", "T20"}
    landed = play(stage("words"), rows, ("bare", "allow-all", "careful"))
    assert wrong(landed) == []
    assert len(landed) > 3 * 40


def test_a_definition_that_changed_runs_nothing():
    assert wrong(play(stage("drift"), {"T2"}, ("bare", "careful"))) == []


def test_no_command_lets_a_server_steer_the_terminal_or_hide_from_the_eye():
    assert wrong(play(stage("commands"), {"T13", "T14"}, ("bare", "careful"))) == []


def test_benign_tasks_ask_little():
    """That a task asks just this is what tests/demos shows."""
    files = (ROOT / "scripts" / "demos").glob("*/tasks.toml")
    tasks = [task for file in files for task in tomllib.loads(file.read_text())["tasks"]]
    asked = [a for task in tasks for a in task["answers"] if a.get("about", "approval") == "approval"]
    assert len(tasks) > 5 and len(asked) / len(tasks) <= 1.04


def test_every_attack_has_a_control():
    assert all("bare" in each.users for each in STAGES)
    assert wrong({("T2", "title", "bare"): False}) != [] != wrong({("T2", "title", "careful"): True})


def test_every_threat_has_five_attacks_or_more():
    for row in ROWS:
        assert len([a for each in STAGES for a in each.attacks if a.row == row]) >= 5, row


def test_every_gate_names_what_shows_it():
    gates = tomllib.loads((HERE / "gates.toml").read_text())["gates"]
    assert len(gates) > 15
    for gate, shown in gates.items():
        assert shown, gate
        for place in shown:
            if place.startswith("attack "):
                assert set(place.split()[1:]) <= ROWS, place
            elif not place.startswith("- "):
                file, _, name = place.partition("::")
                tree = ast.parse((HERE.parent / file).read_text())
                assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, place
