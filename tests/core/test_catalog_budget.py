"""What the model is offered of many tools: within a budget, in an order whose beginning stays."""

from hypothesis import given
from hypothesis import strategies as st

from host.core.catalog import Costs, brief, budget_of, fits, server_index, tokens, visible
from host.core.types import ToolSpec


def spec(name, size=1, server="s"):
    return ToolSpec(f"{server}__{name}", server, str(name), "x" * size, digest=f"{name}-{size}")


def cost(each):
    return len(each.description)


def names(specs):
    return [each.name for each in specs]


SIZES = st.lists(st.integers(1, 30), max_size=30)
BATCHES = st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=12)


def catalog(sizes):
    return [spec(number, size) for number, size in enumerate(sizes)]


def searches(batches):
    return [tuple(f"s__{number}" for number in batch) for batch in batches]


@given(SIZES, BATCHES, st.integers(0, 400))
def test_the_budget_holds_whatever_was_found(sizes, batches, budget):
    specs = catalog(sizes)
    shown = visible(specs, (), searches(batches), budget, cost)
    assert sum(map(cost, shown)) <= budget
    assert len(set(names(shown))) == len(shown)
    if sum(sizes) <= budget:
        assert shown == specs
    else:
        assert set(names(shown)) <= {name for batch in searches(batches) for name in batch}
    assert shown == visible(iter(specs), [], searches(batches), budget, cost)


@given(SIZES, BATCHES, st.lists(st.integers(0, 30), max_size=8), st.integers(0, 400))
def test_a_search_appends_until_the_budget_breaks(sizes, batches, batch, budget):
    specs = catalog(sizes)
    before = names(visible(specs, (), searches(batches), budget, cost))
    after = names(visible(specs, (), searches([*batches, batch]), budget, cost))
    if after[: len(before)] != before:
        dropped = [each for each in specs if each.name in set(before) - set(after)]
        added = [each for each in specs if each.name in set(after) - set(before)]
        kept = [name for name in after if name in before]
        assert dropped
        assert kept == [name for name in before if name in kept]
        whole = sum(cost(each) for each in specs if each.name in before) + sum(map(cost, added))
        assert whole > budget


@given(SIZES, BATCHES, st.integers(0, 400))
def test_the_last_search_is_offered_as_far_as_it_fits(sizes, batches, budget):
    batches = [list(dict.fromkeys(batch)) for batch in batches]
    specs = {each.name: each for each in catalog(sizes)}
    shown = names(visible(list(specs.values()), (), searches(batches), budget, cost))
    room = budget
    for name in searches(batches)[-1] if batches else ():
        if name in specs and cost(specs[name]) <= room:
            room -= cost(specs[name])
            assert name in shown


def test_below_the_budget_everything_is_sent_in_the_order_it_was_met():
    specs = [spec("a", server="two"), spec("b", server="one"), spec("c", server="one")]
    assert names(visible(specs, ["one__c", "gone"], budget=10_000)) == ["one__c", "one__b", "two__a"]
    assert names(visible(specs, ["one__c", "gone"], [("two__a",)], 10_000)) == ["one__c", "one__b", "two__a"]


def test_a_tool_that_is_gone_leaves_and_one_that_is_found_again_stays_in_place():
    specs = [spec(n, 10) for n in range(20)]
    found = [("s__1", "s__2"), ("s__gone", "s__3"), ("s__2",)]
    assert names(visible(specs, (), found, 100, cost)) == ["s__1", "s__2", "s__3"]


def test_what_was_found_longest_ago_goes_first_and_half_of_the_room_is_made():
    specs = [spec(n, 10) for n in range(20)]
    found = [(f"s__{n}",) for n in range(10)] + [("s__0",)]
    assert names(visible(specs, (), found, 100, cost)) == [f"s__{n}" for n in range(10)]
    more = names(visible(specs, (), [*found, ("s__12",)], 100, cost))
    assert more == ["s__0", "s__7", "s__8", "s__9", "s__12"]


def test_the_budget_is_a_tenth_of_the_window_and_never_over_ten_thousand():
    assert [budget_of(window) for window in (8_000, 32_000, 100_000, 1_000_000)] == [800, 3_200, 10_000, 10_000]


def test_a_definition_is_counted_once_and_grows_with_what_is_sent():
    small = spec("a", 10)
    large = ToolSpec("s__b", "s", "b", "x" * 4260, {"type": "object"}, digest="b")
    assert 0 < tokens(small) < 30
    assert 1000 <= tokens(large) <= 1020
    costs = Costs()
    assert costs(large) == costs(large) == tokens(large)
    assert not fits([small, large], 1000, costs)
    assert fits([small, large], 1100, costs)
    seen = []
    assert not fits([large] * 5000, 10_000, lambda each: seen.append(each) or 1000)
    assert len(seen) == 11


def test_the_server_index_is_one_safe_line_a_server():
    index = server_index([("crm", 12, "Customers,\n and\x1b what they bought. " + "word " * 100), ("kb", 3, "")])
    lines = index.splitlines()
    assert "host__search_tools" in lines[0]
    assert lines[1].startswith("crm (12): Customers, and␣U+001B what they bought. word")
    assert len(lines[1]) < 140
    assert lines[2] == "kb (3)"
    many = server_index([(f"s{n}", n, "A server for this and that and the other") for n in range(300)])
    assert many.splitlines()[1] == "s0 (0)"
    assert len(many) < 4500


def test_brief_cuts_between_words():
    assert brief("one two three", 13) == "one two three"
    assert brief("one two, three", 13) == "one two…"
    assert brief("x" * 50, 10) == "x" * 9 + "…"
