"""Names, order and identity of tools."""

import re
from dataclasses import replace
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from host.core.catalog import definition_digest, exposed_name, exposed_names, visible
from host.core.types import ToolSpec

SERVERS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,23}", fullmatch=True)


def test_a_name_is_server_and_tool_in_the_characters_that_providers_take():
    assert exposed_name("crm", "get_order") == "crm__get_order"
    assert exposed_name("crm", "orders.get/é") == "crm__orders_get__"


def test_a_long_name_is_cut_and_hashed():
    name = exposed_name("crm", "x" * 80)
    assert len(name) == 64
    assert name == "crm__" + "x" * 50 + "_" + sha256(b"crm\0" + b"x" * 80).hexdigest()[:8]


def test_on_a_collision_both_get_the_hash_whatever_the_order():
    pairs = [("s", "a.b"), ("s", "a_b"), ("s", "c")]
    names = exposed_names(pairs)
    assert names[("s", "c")] == "s__c"
    assert {re.sub(r"_[0-9a-f]{8}$", "", names[pair]) for pair in pairs[:2]} == {"s__a_b"}
    assert names[pairs[0]] != names[pairs[1]]
    assert exposed_names(reversed(pairs)) == names
    assert exposed_names([("s", "A"), ("s", "a")]) == {("s", "A"): "s__A", ("s", "a"): "s__a"}


@given(st.lists(st.tuples(SERVERS, st.text(max_size=90)), max_size=12))
def test_names_are_unique_and_valid_for_any_tools(pairs):
    names = exposed_names(pairs)
    assert set(names) == set(pairs)
    assert len(set(names.values())) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names.values())


def test_a_digest_changes_with_any_part_and_not_with_the_order_of_keys():
    one = ("t", "T", "does", {"a": 1, "b": 2}, {"c": 3}, {"readOnlyHint": True})
    digest = definition_digest(*one)
    assert definition_digest("t", "T", "does", {"b": 2, "a": 1}, {"c": 3}, {"readOnlyHint": True}) == digest
    for position in range(6):
        changed = list(one)
        changed[position] = {} if position == 3 else None  # each tool has a schema
        assert definition_digest(*changed) != digest


def test_known_tools_keep_their_place_and_new_ones_follow_by_server():
    spec = ToolSpec("", "", "")
    tools = [replace(spec, name=f"{s}__{t}", server=s) for s, t in [("b", "2"), ("b", "1"), ("a", "9"), ("a", "8")]]
    assert [t.name for t in visible(tools)] == ["a__9", "a__8", "b__2", "b__1"]
    assert [t.name for t in visible(tools, ["b__1", "gone__x", "a__8"])] == ["b__1", "a__8", "a__9", "b__2"]
