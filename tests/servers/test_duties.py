"""The manifest of duties is held to its word: its tests exist, and run for the cells that it claims."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MANIFEST = tomllib.loads((HERE / "duties.toml").read_text())
ERAS = {"modern", "legacy"}
CELLS = {f"{way}-{era}" for way in ("stdio", "http") for era in ERAS}
KEYS = {"protocol": {"tests", "without"}, "host": {"tests"}, "authorization": {"tests", "conformance"}}


@cache
def parsed(file):
    return ast.parse(file.read_text())


def functions(file):
    return {node.name: node for node in parsed(file).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def constants(file):
    """What a module calls something, at its top level."""
    assigned = [node for node in parsed(file).body if isinstance(node, ast.Assign)]
    return {target.id: node.value for node in assigned for target in node.targets if isinstance(target, ast.Name)}


def texts(node):
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def names(node):
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def parameters(file, function):
    """All texts that a test is parametrised with."""
    known = constants(file)
    marks = [known.get(mark.id, mark) if isinstance(mark, ast.Name) else mark for mark in function.decorator_list]
    return set().union(*map(texts, marks)) if marks else set()


def cells_of(test):
    """The cells that a test runs for: by its parameters, else by what it starts. None if there is no such test."""
    path, _, name = test.partition("::")
    file = (HERE / path).resolve()
    function = functions(file).get(name) if file.exists() and name.startswith("test_") else None
    if function is None:
        return None
    given, said = parameters(file, function), texts(function)
    starts = {"http"} if "web" in names(function) or file.name.startswith("test_http") else set()
    starts |= (
        {"stdio"} if names(function) & {"lean", "stdio"} or file.parent != HERE or "LEAN" in names(function) else set()
    )
    ways = {"stdio", "http"} & given or starts | ({"stdio", "http"} & said)
    return {f"{way}-{era}" for way in ways for era in ERAS & given or ERAS & said}


@pytest.mark.parametrize(
    ("kind", "name", "duty"), [(kind, name, duty) for kind, duties in MANIFEST.items() for name, duty in duties.items()]
)
def test_a_duty_has_its_tests(kind, name, duty):
    assert duty["tests"] and set(duty) <= KEYS[kind]
    shown = {test: cells_of(test) for test in duty["tests"]}
    assert None not in shown.values(), f"no such test: {[test for test, cells in shown.items() if cells is None]}"
    if kind != "protocol":
        return
    without = duty.get("without", {})
    assert set(without) <= CELLS and all(len(why) > 7 for why in without.values())
    missing = CELLS - set(without) - set().union(*shown.values())
    assert not missing, f"no test of {name} for {sorted(missing)}"


def test_a_claim_that_is_not_true_is_found_out():
    assert cells_of("test_life.py::test_that_nobody_wrote") is None
    assert cells_of("test_nowhere.py::test_x") is None
    assert cells_of("test_life.py::test_a_changed_listing_is_followed") == {"stdio-modern", "stdio-legacy"}
    assert cells_of("test_http.py::test_a_result_without_its_type_is_taken") == {"http-modern"}
    assert cells_of("test_matrix.py::test_every_request_ends_once_on_the_wire") == CELLS
