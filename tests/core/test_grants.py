"""Answers given ahead: what they may cover, and what they never do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_policy import ARGUMENTS, CONDITIONS, CONTEXTS, PATHS, RULES, SPECS, WRITE

from host.core.policy import Context, Rule, Verdict, decide, grant_problem
from host.core.types import Grant, canonical

WHEN = st.dictionaries(PATHS, CONDITIONS, max_size=2)
SOME = {"amount": 20, "note": "x"}


def grants_of(spec, arguments):
    """Grants that speak of this tool, sound ones and such as only a tampered file has."""
    return st.lists(
        st.builds(
            Grant,
            server=st.sampled_from([spec.server, "other", "*"]),
            tool=st.sampled_from([spec.remote_name, "other", "*"]),
            digest=st.sampled_from([spec.digest, "old", None]),
            arguments=st.sampled_from([canonical(arguments), "{}"]) | WHEN | st.none(),
            scope=st.sampled_from(["session", "project", "me"]),
        ),
        max_size=4,
    )


@given(st.data(), RULES, SPECS, ARGUMENTS, CONTEXTS)
def test_a_grant_turns_an_ask_into_an_allow_and_nothing_else(data, rules, spec, arguments, context):
    grants = data.draw(grants_of(spec, arguments))
    before, after = (decide(rules, given, spec, arguments, context) for given in ((), grants))
    if before.verdict is not Verdict.ASK or not before.grantable or context.unsettled:
        assert after.verdict is before.verdict
    if after.verdict is not before.verdict:
        assert after.grant in {grant.id for grant in grants}
        named = [g for g in grants if g.id == after.grant]
        assert all((g.server, g.tool, g.digest) == (spec.server, spec.remote_name, spec.digest) for g in named)
        if spec.effect == "destructive":
            assert all(g.scope == "session" and g.arguments == canonical(arguments) for g in named)


@given(st.sampled_from(["session", "project", "me"]), WHEN | st.just("exact"), ARGUMENTS)
def test_what_is_taken_to_be_remembered_covers_the_call_it_was_given_for(scope, what, arguments):
    if grant_problem({"for": scope, "arguments": what}, "write", arguments, {}) is None:
        kept = canonical(arguments) if what == "exact" else what
        grant = Grant("crm", "add_note", "d1", kept, scope)
        assert decide((), (grant,), WRITE, arguments, Context()).verdict is Verdict.ALLOW


def test_conditions_cover_what_fits_them_and_no_more():
    grant = Grant("crm", "add_note", "d1", {"amount": {"max": 50}}, "project")
    for arguments, verdict in (
        ({"amount": 50}, "ALLOW"),
        ({"amount": 51}, "ASK"),
        ({}, "ASK"),
        ({"amount": "1"}, "ASK"),
    ):
        assert decide((), (grant,), WRITE, arguments, Context()).verdict.name == verdict
    changed = replace(WRITE, digest="d2")
    assert decide((), (grant,), changed, {"amount": 1}, Context()).verdict is Verdict.ASK
    kept = Rule("ask", "*", "*", Verdict.ASK, grantable=False)
    assert decide((kept,), (grant,), WRITE, {"amount": 1}, Context()).verdict is Verdict.ASK


@pytest.mark.parametrize(
    ("remember", "effect", "said"),
    [
        ({"for": "session", "arguments": "exact"}, "destructive", None),
        ({"for": "me", "arguments": {"amount": {"max": 50}, "note": {"regex": "^x"}}}, "write", None),
        ({"for": "me", "arguments": "exact"}, "destructive", "may destroy"),
        ({"for": "session", "arguments": {"amount": {"max": 50}}}, "destructive", "may destroy"),
        ({"for": "project", "arguments": "exact"}, None, "may destroy"),
        ({"for": "ever", "arguments": "exact"}, "write", "session, project or me"),
        ({"for": "session"}, "write", "remember is"),
        ({"for": "session", "arguments": "exact", "tool": "*"}, "write", "remember is"),
        ({"for": "session", "arguments": {}}, "write", "conditions"),
        ({"for": "session", "arguments": "all"}, "write", "conditions"),
        ({"for": "session", "arguments": {"amount": {}}}, "write", "conditions are a table"),
        ({"for": "session", "arguments": {"amount": 20}}, "write", "conditions are a table"),
        ({"for": "session", "arguments": {"amount": {"is": 20}}}, "write", "unknown condition"),
        ({"for": "session", "arguments": {"note": {"regex": "(?=x)"}}}, "write", "RE2"),
        ({"for": "session", "arguments": {"amount": {"max": 10}}}, "write", "not true of the arguments"),
    ],
)
def test_what_cannot_be_remembered_is_said(remember, effect, said):
    problem = grant_problem(remember, effect, SOME, {})
    assert said in problem if said else problem is None


def test_a_grant_is_named_after_what_it_grants():
    grant = Grant("crm", "add_note", "d1", canonical(SOME), "me", "i1")
    assert grant.id == replace(grant, at="2026-11-22").id
    others = [replace(grant, scope="project"), replace(grant, identity="i2"), replace(grant, arguments="{}")]
    assert len({grant.id, *(g.id for g in others)}) == 4
