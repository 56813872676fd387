"""What of a listing is offered, and what a tool is proposed to do."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from host.core.pins import Pin, Pins, ahead, definition, digest_of, judge
from host.core.proposals import DESTROYS, STRICTNESS, propose
from host.core.settings import ServerConfig, ToolSettings
from host.core.types import ToolSpec

CONFIG = ServerConfig("s")
NAMES = st.sampled_from(["a", "b", "c"])
SCHEMAS = st.fixed_dictionaries(
    {"type": st.just("object"), "required": st.permutations(["x", "y"])},
    optional={"properties": st.dictionaries(st.sampled_from(["x", "y"]), st.just({"type": "string"}))},
)
HINTS = st.dictionaries(st.sampled_from(["readOnlyHint", "destructiveHint", "openWorldHint"]), st.booleans())
DEFINITIONS = st.fixed_dictionaries(
    {"inputSchema": SCHEMAS},
    optional={"description": st.text(min_size=1, max_size=5), "annotations": HINTS.filter(bool)},
)


def spec(name, known):
    return ToolSpec(
        "", "s", name, known.get("description", ""), known["inputSchema"],
        claims=known.get("annotations", {}), digest=digest_of(name, known),
    )  # fmt: skip


LISTINGS = st.dictionaries(NAMES, DEFINITIONS)


@given(LISTINGS, LISTINGS, LISTINGS, st.booleans())
def test_what_is_offered_is_what_was_accepted_or_is_met_for_the_first_time(lock, home, listed, locked):
    pins = Pins(*({n: Pin.of(n, d, "read", False) for n, d in known.items()} for known in (lock, home)), locked=locked)
    judged = judge(CONFIG, pins, [spec(name, known) for name, known in listed.items()])
    offered = {tool.remote_name: tool for tool in judged.offered}
    assert offered.keys() | judged.drifts.keys() == listed.keys()
    assert not offered.keys() & judged.drifts.keys()
    for name, tool in offered.items():
        known = [known for known in (home.get(name), lock.get(name)) if known is not None]
        assert (tool in judged.first) == (not known)
        if known:
            assert any(_like(definition(tool)) == _like(one) for one in known)
        else:
            assert not locked and not tool.confirmed
    for name, drift in judged.drifts.items():
        assert (drift.before is None) == (name not in home and name not in lock)


def _like(known):
    schema = known["inputSchema"]
    return known | {"inputSchema": schema | {"required": sorted(schema["required"])}}


@given(LISTINGS, st.randoms())
def test_order_means_nothing(listed, random):
    specs = [spec(name, known) for name, known in listed.items()]
    first = judge(CONFIG, Pins(), specs)
    pins = Pins(locked=True).accepted({s.remote_name: Pin(definition(s), s.digest) for s in first.first})
    random.shuffle(specs)
    for number, tool in enumerate(specs):
        turned = {"required": tool.input_schema["required"][::-1]}
        schema = dict(reversed(list(tool.input_schema.items()))) | turned
        specs[number] = spec(tool.remote_name, definition(tool) | {"inputSchema": schema})
    assert judge(CONFIG, pins, specs).drifts == {}


def test_what_was_said_of_a_definition_does_not_cover_another_one():
    known = {"inputSchema": {"type": "object"}, "description": "Looks.", "annotations": {"readOnlyHint": True}}
    changed = known | {"description": "Looks, and sends."}
    pins = Pins({"a": Pin.of("a", known, "read", False)}, {"a": Pin.of("a", changed)}, locked=True)
    (as_locked,) = judge(CONFIG, pins, [spec("a", known)]).offered
    (as_accepted,) = judge(CONFIG, pins, [spec("a", changed)]).offered
    assert (as_locked.effect, as_locked.open, as_locked.confirmed) == ("read", False, True)
    assert (as_accepted.effect, as_accepted.open, as_accepted.confirmed) == ("destructive", True, False)
    assert [tool.description for tool in ahead(CONFIG, pins)] == ["Looks, and sends."]
    stated = replace(CONFIG, tools={"a": ToolSettings("write", False)})
    assert [tool.effect for tool in judge(stated, pins, [spec("a", known)]).offered] == ["write"]
    hinted = replace(CONFIG, trust_hints=True)
    assert [tool.effect for tool in judge(hinted, pins, [spec("a", changed)]).offered] == ["read"]


@given(st.lists(st.sampled_from(["get", "list", "send", "delete", "thing", "status", "run"]), min_size=1), HINTS)
def test_a_hint_never_makes_a_proposal_milder_than_the_name(named, hints):
    tool = ToolSpec("", "s", "_".join(named), claims=hints)
    bare = propose(replace(tool, claims={}))
    proposed = propose(tool)
    if any(word in DESTROYS for word in named):
        assert proposed.effect == "destructive"
    if set(named) - {"thing"}:
        assert STRICTNESS[proposed.effect] >= STRICTNESS[bare.effect]


def test_proposals():
    def proposed(name, claims=None, parameters=(), remote=False):
        schema = {"type": "object", "properties": {key: {} for key in parameters}}
        found = propose(ToolSpec("", "s", name, input_schema=schema, claims=claims or {}), remote)
        return found.effect, found.open

    assert proposed("getOrder") == ("read", False)
    assert proposed("get_order", remote=True) == ("read", True)
    assert proposed("search", parameters=["query", "callback_url"]) == ("read", True)
    assert proposed("orders", {"readOnlyHint": True, "openWorldHint": False}) == ("read", True)
    assert proposed("list_orders", {"readOnlyHint": True, "openWorldHint": False}) == ("read", False)
    assert proposed("deleteAll", {"readOnlyHint": True}) == ("destructive", False)
    assert proposed("frobnicate") == ("destructive", True)
    assert proposed("update_address", {"destructiveHint": False}) == ("write", False)
