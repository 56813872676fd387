"""Carry one call from wherever it stands to its end. Validation, policy, approval, audit and limits are all here,
in one visible order, because none of them may be left out or moved."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from host.core import events as ev
from host.core.fold import grant_of
from host.core.policy import Verdict
from host.core.provenance import flows
from host.core.schema import unenforced
from host.core.state import Call, Question, Spent, outcome_after_loss
from host.core.types import ToolSpec
from host.engine.questions import answer_to, answers, finish
from host.engine.rounds import run
from host.engine.session import Session
from host.servers.large import checked

SAYS = 300
"""Characters of its own description that a server gets into a question."""


async def settle(session: Session, call: Call) -> None:
    """The stages of core/state.py, entered at the call's own: a fresh call and a resumed one come the same way."""
    if call.status == "started" and (outcome := outcome_after_loss(call)):
        end_lost(session, call, outcome)
        return
    if call.status == "proposed" and not await approved(session, call):
        return
    await in_order(session, call)
    await up(session, call)
    while spec := overtaken(session, call):
        if not await allowed(session, call, spec, call.arguments):
            return
    if call.status == "paused" and not await answers(session, call):
        return
    if ready_to_start(session, call):
        await run(session, call)


def end_lost(session: Session, call: Call, outcome: Any) -> None:
    """The process that ran this call died: close what it had asked, and say that nobody knows."""
    open_questions = [asked for asked in session.state.open_questions() if asked.call_id == call.id]
    session.emit(
        *(ev.Answered(asked.request_id, "cancel", by="host") for asked in open_questions),
        ev.CallFinished(call.id, outcome, True, reason="the host stopped while the call ran"),
    )


# --- before anything is sent


async def approved(session: Session, call: Call) -> bool:
    """Validate, decide and, if need be, ask. False is: the call has its end."""
    spec = session.spec(call.proposal.name)
    if spec is None and (why := session.servers.aside(call.proposal.name)):
        return finish(session, call, "error", "quarantined", why)
    if spec is None:
        return finish(session, call, "error", "unknown_tool", call.proposal.name)
    if call.proposal.malformed:
        return finish(session, call, "error", "malformed", (call.proposal.raw or "")[:200])
    if problem := await checked(spec.input_schema, call.proposal.arguments):
        return finish(session, call, "error", "invalid_arguments", problem)
    limit = session.state.limits.calls
    if limit is not None and calls_before(session, call) >= limit:
        return finish(session, call, "denied", "limit", f"limits.calls = {limit} was reached")
    if reached := server_limit(session, call, spec):
        return finish(session, call, "denied", "limit", reached)
    return await allowed(session, call, spec, call.proposal.arguments)


def calls_before(session: Session, call: Call) -> int:
    """The calls of this turn that were started, and those of this step before this one that still may be."""
    return len(waiting_before(session, call)) + (session.state.turn.calls if session.state.turn else 0)


def waiting_before(session: Session, call: Call) -> list[Call]:
    ahead = takewhile(lambda other: other is not call, session.state.calls.values())
    return [other for other in ahead if other.started is None and other.status != "finished"]


def server_limit(session: Session, call: Call, spec: ToolSpec) -> str | None:
    """The limit of its server that forbids this call, in words that name it."""
    config, turn = session.setup.servers.get(spec.server), session.state.turn
    if config is None or turn is None:
        return None
    spent, limits = turn.spent.get(spec.server, Spent()), config.limits
    waiting = sum(other.proposal.name.partition("__")[0] == spec.server for other in waiting_before(session, call))
    if limits.calls is not None and spent.calls + waiting >= limits.calls:
        return f"mcp_servers.{spec.server}.limits.calls = {limits.calls} was reached"
    if limits.seconds is not None and spent.milliseconds >= limits.seconds * 1000:
        return f"mcp_servers.{spec.server}.limits.seconds = {limits.seconds:g} was reached"
    return None


async def allowed(session: Session, call: Call, spec: ToolSpec, arguments: Mapping[str, Any]) -> bool:
    """Decide and, if need be, ask. False is: the call has its end."""
    question = decided(session, call, spec, arguments)
    decision = call.decision
    assert decision is not None
    if decision.verdict == "ask":
        return await answered_yes(session, call, spec, question.asked if question else ask(session, call, spec))
    return decision.verdict == "allow"


def decided(session: Session, call: Call, spec: ToolSpec, arguments: Mapping[str, Any]) -> Question | None:
    """Decide under today's rules and log it; a denied call has its end here. Returns the question of an earlier
    process that asks just this; any other that is open is closed."""
    decision = session.decide(spec, call, arguments)
    asks = decision.verdict is Verdict.ASK and call.decision is not None and call.decision.digest == spec.digest
    own = [question for question in session.state.questions.values() if question.asked.call_id == call.id]
    same = [q for q in own if asks and (q.asked.arguments, q.asked.reason) == (arguments, decision.reason)]
    session.emit(
        ev.CallDecided(
            call.id,
            spec.name,
            spec.server,
            spec.remote_name,
            arguments,
            decision.verdict.name.lower(),  # type: ignore[arg-type]
            decision.rules,
            decision.reason,
            spec.effect,
            spec.open,
            spec.digest,
            decision.grantable,
            decision.grant,
        ),
        *(
            ev.Answered(question.asked.request_id, "cancel", by="host", reason="decided anew")
            for question in own
            if question.answer is None and question not in same
        ),
    )
    if decision.verdict is Verdict.DENY:
        finish(session, call, "denied", "denied", decision.reason)
    return same[-1] if same else None


def overtaken(session: Session, call: Call) -> ToolSpec | None:
    """The tool of a call that waited while what its decision rests on changed: a mode, a fact, the end of a call just
    like it. None where it stands: today's verdict is no stricter, and asks for nothing that nobody was asked."""
    decision = call.decision
    spec = session.spec(decision.tool) if decision and call.status == "decided" else None
    if decision is None or spec is None:
        return None
    now, then = session.decide(spec, call, decision.arguments), Verdict[decision.verdict.upper()]
    other = now.verdict is then is Verdict.ASK and now.reason != decision.reason
    return spec if now.verdict > then or other else None


async def answered_yes(session: Session, call: Call, spec: ToolSpec, asked: ev.Asked) -> bool:
    """Wait for the answer to a question for approval, and take it."""
    answer = await answer_to(session, asked)
    if answer.action != "accept":
        if answer.by == "host":
            return finish(session, call, "declined", "nobody", without_a_person(asked))
        return finish(session, call, "declined", "declined", answer.reason)
    if answer.remember and call.decision and (grant := grant_of(answer, call.decision)).scope != "session":
        await session.lasting.keep(grant)
    edited = answer.content
    if edited is None or dict(edited) == call.arguments:
        return True
    if problem := await checked(spec.input_schema, edited):
        return finish(session, call, "error", "invalid_arguments", problem)
    decided(session, call, spec, edited)
    return call.status == "decided"


def without_a_person(asked: ev.Asked) -> str:
    """Why nobody's approval was not enough, and what would have been."""
    way = f"--allow '{asked.server}.{asked.remote_name}'" if asked.grantable else "only a person's approval"
    return f"{asked.reason}; {way} lets it run"


def ask(session: Session, call: Call, spec: ToolSpec) -> ev.Asked:
    """The question, with all that the host knows and a person should see before a yes."""
    state, decision = session.state, call.decision
    assert decision is not None
    server, status = session.setup.servers.get(decision.server), session.servers.statuses.get(decision.server)
    could_leave = flows(state.sources, state.messages, decision.server, decision.arguments) if decision.open else []
    asked = ev.Asked(
        f"q{state.seq + 1}",
        "approval",
        decision.server,
        call.id,
        state.turn.steps if state.turn else 0,
        decision.tool,
        decision.remote_name,
        decision.arguments,
        decision.effect,
        decision.open,
        decision.rules,
        decision.reason,
        decision.grantable,
        runs=server.argv if server else None,
        sandbox=(status.sandbox if status else None) or None,
        says=" ".join(spec.description.split())[:SAYS] or None,
        flows=tuple(could_leave) or None,
        unchecked=unenforced(spec.input_schema) or None,
    )
    session.emit(asked)
    return asked


async def in_order(session: Session, call: Call) -> None:
    """Calls to one server run one after another, in the order of the calls, unless it is `parallel`."""
    source = session.source(call.decision.server) if call.decision else None
    if source is None or source.parallel:
        return
    server = call.proposal.name.partition("__")[0]
    earlier = takewhile(lambda other: other is not call, session.state.calls.values())
    before = [other for other in earlier if other.proposal.name.partition("__")[0] == server]
    await session.until(lambda: all(other.status == "finished" for other in before))


async def up(session: Session, call: Call) -> None:
    """Wait for a server whose tools are known from its lock, and which is starting still."""
    server = call.decision.server if call.decision else ""
    if server in session.servers.statuses:
        await session.until(lambda: session.servers.statuses[server].state != "starting")


def ready_to_start(session: Session, call: Call) -> bool:
    """The definition that runs must be the one that the model was offered and the decision was about."""
    decision = call.decision
    assert decision is not None
    spec = session.spec(decision.tool)
    if spec is None and (why := session.servers.aside(decision.tool)):
        return finish(session, call, "error", "quarantined", why)
    if spec is None:
        status = session.servers.statuses.get(decision.server)
        failed = status.detail if status and status.state == "failed" else ""
        return finish(session, call, "error", "server_down", failed or f"it no longer offers {decision.remote_name}")
    if spec.digest != decision.digest or session.offered.get(spec.name, spec.digest) != spec.digest:
        return finish(session, call, "error", "definition_changed", decision.tool)
    return True
