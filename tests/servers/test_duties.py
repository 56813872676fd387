"""The manifest of duties: every cell names a test that exists, or says why there is none."""

import ast
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
CELLS = ["http_legacy", "http_modern", "stdio_legacy", "stdio_modern"]


def known_in(file):
    """The tests of a file, each with whether it runs for both eras."""
    tree = ast.parse((HERE / file).read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: "ERAS" in {getattr(mark, "id", "") for mark in node.decorator_list} for node in functions}


def both_eras(name):
    file, _, test = name.partition("::")
    assert test in known_in(file), f"{name} is no test"
    return known_in(file)[test]


def test_every_duty_has_its_tests():
    manifest = tomllib.loads((HERE / "duties.toml").read_text())
    for duty, tests in manifest["both"].items():
        assert [both_eras(test) for test in tests] == [True, True], duty
        assert [test.startswith("test_http") for test in tests] == [False, True], duty
    for duty, cells in manifest["cells"].items():
        assert sorted(cells) == CELLS, duty
        for cell in cells.values():
            assert len(cell) > 5 if cell.startswith("- ") else both_eras(cell) in (True, False), duty
    for test in manifest["sign_in"].values():
        both_eras(test)
