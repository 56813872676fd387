"""The planner on requests in people's own words, over real servers: nothing is changed unasked, and most end right."""

import importlib.util
import sys
import tomllib
from pathlib import Path

import anyio
import pytest

ROOT = Path(__file__).parent.parent.parent
FLOOR = {"support": 0.75, "house": 0.75, "demo": 0.7}


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("planner_bench", ROOT / "scripts" / "benchmark" / "planner.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("domain", FLOOR)
def test_no_write_without_confirmation_and_most_end_right(bench, domain):
    async def main():
        with anyio.fail_after(120):
            return await bench.outcomes(domain)

    found = anyio.run(main)
    assert len(found) == len(tomllib.loads(bench.PARAPHRASES.read_text())[bench.CASES.get(domain, domain)])
    assert [one.case["say"] for one in found if one.ran.unconfirmed] == []
    assert any(one.ran.calls for one in found), "nothing ran at all"
    for half in (True, False):
        part = [one for one in found if one.tuned is half]
        wrong = [(one.case["say"], one.wrong) for one in part if one.wrong]
        assert 1 - len(wrong) / len(part) >= FLOOR[domain], wrong
