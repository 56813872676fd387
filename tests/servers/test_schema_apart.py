"""Arguments that take long to check do not stand in anybody's way, and come to an end."""

import anyio

from host.core.schema import heavy
from host.servers.large import checked

MANY = {"type": "array", "items": {"anyOf": [{"pattern": f"(x|y)*{n}$"} for n in range(900)]}}
SLOW = {"type": "object", "properties": {"list": MANY}}
FLAT = {"type": "object", "properties": {"list": {"type": "array", "items": {"enum": [f"v{n}" for n in range(900)]}}}}


def found(schema, *lists):
    async def main():
        with anyio.fail_after(60):
            return [await checked(schema, {"list": values}) for values in lists]

    return anyio.run(main)


def test_a_check_that_does_not_end_in_time_is_ended():
    values = ["xy" * 200] * 5000
    assert heavy(SLOW, {"list": values})
    assert found(SLOW, values) == ["they take too long to check against the schema: send less"]


def test_a_large_call_is_checked_apart_with_the_same_words():
    right, wrong = ["v7"] * 4000, ["v7"] * 4000 + [7]
    assert heavy(FLAT, {"list": right})
    fits, problem = found(FLAT, right, wrong)
    assert fits is None
    assert problem.startswith("$.list[4000]: ")


def test_an_ordinary_call_is_checked_here():
    assert not heavy(SLOW, {"list": ["x"] * 50})
    assert not heavy({"type": "object"}, {"text": "x" * 1_000_000})
    assert found(FLAT, ["v1"], ["w"])[0] is None
