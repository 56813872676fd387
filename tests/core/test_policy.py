"""decide(): pure, total, strictest wins, order means nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.core.conditions import lookup, pattern
from host.core.policy import Context, Rule, Verdict, decide, holds, problems
from host.core.types import Grant, ToolSpec, canonical

REFUND = ToolSpec(
    "crm__issue_refund", "crm", "issue_refund", digest="d1", effect="destructive", open=False, confirmed=True
)
READ = replace(REFUND, name="crm__get_order", remote_name="get_order", effect="read")
WRITE = replace(REFUND, name="crm__add_note", remote_name="add_note", effect="write")
UNCONFIRMED = replace(READ, confirmed=False, effect="destructive", open=True, claims={"readOnlyHint": True})

ALLOW_SMALL = Rule("small", "crm", "issue_refund", Verdict.ALLOW, {"amount": {"max": 50}})
ASK_MIDDLE = Rule("middle", "crm", "issue_refund", Verdict.ASK, {"amount": {"min": 50.01}}, grantable=False)
DENY_LARGE = Rule("large", "crm", "issue_refund", Verdict.DENY, {"amount": {"min": 500.01}}, reason="escalate it")
BANDS = (ALLOW_SMALL, ASK_MIDDLE, DENY_LARGE)


@pytest.mark.parametrize(
    ("amount", "verdict"),
    [
        (20, "ALLOW"),
        (50, "ALLOW"),
        (120, "ASK"),
        (500, "ASK"),
        (800, "DENY"),
        ("20", "DENY"),
        (None, "DENY"),
        (True, "DENY"),
    ],
)
def test_bands_and_values_that_are_no_numbers(amount, verdict):
    assert decide(BANDS, (), REFUND, {"amount": amount}, Context()).verdict.name == verdict


def test_an_absent_argument_is_false_for_allow_and_true_for_deny():
    assert decide((ALLOW_SMALL,), (), REFUND, {}, Context()).verdict is Verdict.ASK
    assert decide((DENY_LARGE,), (), REFUND, {}, Context()).verdict is Verdict.DENY


@pytest.mark.parametrize(
    ("spec", "mode", "verdict"),
    [
        (READ, "ask", "ALLOW"), (WRITE, "ask", "ASK"), (REFUND, "ask", "ASK"), (UNCONFIRMED, "ask", "ASK"),
        (READ, "read-only", "ALLOW"), (WRITE, "read-only", "DENY"), (UNCONFIRMED, "read-only", "DENY"),
        (WRITE, "auto", "ALLOW"), (REFUND, "auto", "ASK"), (replace(WRITE, open=True), "auto", "ASK"),
        (replace(READ, open=True), "ask", "ASK"), (UNCONFIRMED, "auto", "ASK"),
    ],
)  # fmt: skip
def test_defaults_by_effect_and_mode(spec, mode, verdict):
    assert decide((), (), spec, {}, Context(mode=mode)).verdict.name == verdict


def test_an_allow_rule_does_not_lift_read_only_mode():
    rule = Rule("all", "*", "*", Verdict.ALLOW)
    assert decide((rule,), (), WRITE, {}, Context(mode="read-only")).verdict is Verdict.DENY


def test_needs_denies_until_the_fact_is_set():
    rule = Rule(
        "own",
        "crm",
        "issue_refund",
        Verdict.ALLOW,
        {"customer_id": {"equals": "${fact.customer_id}"}},
        ("customer_id",),
    )
    call = {"customer_id": "C1"}
    assert decide((rule,), (), REFUND, call, Context()).verdict is Verdict.DENY
    assert decide((rule,), (), REFUND, call, Context(facts={"customer_id": "C1"})).verdict is Verdict.ALLOW
    assert decide((rule,), (), REFUND, call, Context(facts={"customer_id": "C2"})).verdict is Verdict.ASK


def test_a_grant_satisfies_an_ask_for_exactly_these_arguments_never_a_deny():
    grant = Grant("crm", "issue_refund", "d1", canonical({"amount": 120}))
    asks = (replace(ASK_MIDDLE, grantable=True), DENY_LARGE)
    assert decide(asks, (grant,), REFUND, {"amount": 120}, Context()).verdict is Verdict.ALLOW
    assert decide(asks, (grant,), REFUND, {"amount": 121}, Context()).verdict is Verdict.ASK
    assert decide(asks, (grant,), replace(REFUND, digest="d2"), {"amount": 120}, Context()).verdict is Verdict.ASK
    wide = Grant("crm", "issue_refund", scope="run")
    assert decide(asks, (wide,), REFUND, {"amount": 800}, Context()).verdict is Verdict.DENY
    assert decide((ASK_MIDDLE,), (wide,), REFUND, {"amount": 120}, Context()).verdict is Verdict.ASK


def test_a_globbed_run_grant_does_not_cover_a_destructive_tool():
    glob, exact = Grant("crm", "*", scope="run"), Grant("crm", "issue_refund", scope="run")
    assert decide((), (glob,), REFUND, {}, Context()).verdict is Verdict.ASK
    assert decide((), (exact,), REFUND, {}, Context()).verdict is Verdict.ALLOW
    assert decide((), (glob,), WRITE, {}, Context()).verdict is Verdict.ALLOW


def test_a_call_like_one_of_unknown_end_always_asks():
    grant = Grant("crm", "issue_refund", scope="run")
    for context in (
        Context(unsettled=True),
        Context(unsettled=True, bypass=True),
        Context(unsettled=True, mode="auto"),
    ):
        assert decide((ALLOW_SMALL,), (grant,), REFUND, {"amount": 1}, context).verdict is Verdict.ASK
    assert decide(BANDS, (), REFUND, {"amount": 800}, Context(unsettled=True)).verdict is Verdict.DENY


def test_bypass_turns_asks_never_denies():
    assert decide(BANDS, (), REFUND, {"amount": 120}, Context(bypass=True)).verdict is Verdict.ALLOW
    assert decide(BANDS, (), REFUND, {"amount": 800}, Context(bypass=True)).verdict is Verdict.DENY


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
PATHS = st.sampled_from(["a", "b", "$.a", "$.a.b", "$.a[0]", "$.a[*]", "$.a[*].b", "$['c']"])
CONDITIONS = st.one_of(
    st.fixed_dictionaries({"equals": VALUES | st.just("${fact.f}")}),
    st.fixed_dictionaries({"not_equals": VALUES | st.just("${fact.f}")}),
    st.fixed_dictionaries({"in": st.lists(VALUES, max_size=3)}),
    st.fixed_dictionaries({"min": st.integers(-5, 5)}),
    st.fixed_dictionaries({"max": st.integers(-5, 5)}),
    st.fixed_dictionaries({"regex": st.sampled_from(["^a", "b+$", "(a|b)*"])}),
    st.fixed_dictionaries({"glob": st.sampled_from(["*", "a*", "?"])}),
    st.fixed_dictionaries({"path": st.sampled_from(["/work", "/"])}),
)
RULES = st.lists(
    st.builds(
        Rule,
        id=st.text("xyz", min_size=1, max_size=3),
        server=st.sampled_from(["crm", "*", "other"]),
        tool=st.sampled_from(["issue_refund", "issue_*", "*", "none"]),
        verdict=st.sampled_from(list(Verdict)),
        args=st.dictionaries(PATHS, CONDITIONS, max_size=2),
        needs=st.sampled_from([(), ("f",)]),
        grantable=st.booleans(),
    ),
    max_size=5,
)
CONTEXTS = st.builds(
    Context,
    mode=st.sampled_from(["read-only", "ask", "auto"]),
    facts=st.sampled_from([{}, {"f": 1}, {"f": "a"}]),
    unsettled=st.booleans(),
    bypass=st.booleans(),
)
SPECS = st.sampled_from([REFUND, READ, WRITE, UNCONFIRMED])
ARGUMENTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(RULES, SPECS, ARGUMENTS, CONTEXTS, st.randoms())
def test_total_and_order_means_nothing(rules, spec, arguments, context, random):
    shuffled = list(rules)
    random.shuffle(shuffled)
    first, second = decide(rules, (), spec, arguments, context), decide(shuffled, (), spec, arguments, context)
    assert (first.verdict, first.rules, first.grantable) == (second.verdict, second.rules, second.grantable)


@given(RULES, RULES, SPECS, ARGUMENTS, CONTEXTS)
def test_more_rules_never_loosen_what_rules_decided(rules, more, spec, arguments, context):
    """A file that is merged in can only tighten, as long as some rule spoke before."""
    before = decide(rules, (), spec, arguments, context)
    after = decide([*rules, *more], (), spec, arguments, context)
    if before.rules:
        assert after.verdict >= before.verdict


@given(RULES, SPECS, ARGUMENTS, CONTEXTS)
def test_a_deny_rule_that_speaks_denies(rules, spec, arguments, context):
    deny = Rule("no", spec.server, spec.remote_name, Verdict.DENY)
    assert decide([*rules, deny], [Grant("*", "*", scope="run")], spec, arguments, context).verdict is Verdict.DENY


def test_lookup_paths():
    value = {"lines": [{"amount": 1}, {"amount": 2}], "odd name": {"x": 3}, "a": {"b": [7]}}
    assert lookup(value, "$.lines[*].amount") == [1, 2]
    assert lookup(value, "$['odd name'].x") == [3]
    assert lookup(value, "$.a.b[0]") == [7]
    assert lookup(value, "a") == [{"b": [7]}]


def test_every_element_must_hold_for_allow_and_any_for_deny():
    each = {"$.lines[*].amount": {"max": 50}}
    call = {"lines": [{"amount": 1}, {"amount": 99}]}
    assert not holds(Rule("a", "*", "*", Verdict.ALLOW, each), call, {})
    assert holds(Rule("d", "*", "*", Verdict.DENY, {"$.lines[*].amount": {"min": 50}}), call, {})


@pytest.mark.parametrize(
    ("value", "inside"),
    [
        ("/work/a", True),
        ("/work", True),
        ("/work-evil/a", False),
        ("/work/../etc", False),
        ("a/b", True),
        ("../x", False),
    ],
)
def test_path_condition_is_about_folders_not_prefixes(value, inside):
    assert holds(Rule("p", "*", "*", Verdict.ALLOW, {"p": {"path": "/work"}}), {"p": value}, {}) is inside


@pytest.mark.parametrize(
    "value", ["/work/..%2f..%2Fetc", "..\\..\\etc", "~/x", "file:///etc/x", "C:x", "$HOME/x", "a\0/../.."]
)
def test_a_path_that_a_server_may_read_otherwise_is_neither_in_nor_out(value):
    inside = {"p": {"path": "/work"}}
    assert not holds(Rule("p", "*", "*", Verdict.ALLOW, inside), {"p": value}, {})
    assert holds(Rule("p", "*", "*", Verdict.DENY, inside), {"p": value}, {})


def test_examples_disagreeing_with_their_rule_are_named():
    good = replace(ALLOW_SMALL, match=({"amount": 20},), not_match=({"amount": 80},))
    assert problems(good) == []
    assert problems(replace(good, match=({"amount": 80},))) == ['match example {"amount":80} does not match']
    assert problems(replace(good, not_match=({"amount": 20},))) == ['not_match example {"amount":20} matches']
    with_fact = replace(good, args={**good.args, "customer_id": {"equals": "${fact.customer_id}"}})
    assert problems(with_fact) == []


@pytest.mark.parametrize(
    "args",
    [
        {"a": {"equal": 1}},
        {"a": {"regex": "("}},
        {"$.[": {"equals": 1}},
        {"a": {"in": 3}},
        {"a": {"max": "x"}},
        {"a": {"glob": 1}},
    ],
)
def test_impossible_conditions_are_problems(args):
    assert problems(Rule("r", "*", "*", Verdict.ASK, args))


def test_a_pattern_that_cannot_be_compiled_is_told_in_words_and_nowhere_else(capfd):
    with pytest.raises(ValueError, match=r"RE2 engine: missing \)"):
        pattern("(")
    assert capfd.readouterr().err == ""
