"""Carry one call from wherever it stands to its end. Validation, policy, approval, audit and limits are all here,
in one visible order, because none of them may be left out or moved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import monotonic
from typing import Any

import anyio
from anyio import to_thread

from host.core import events as ev
from host.core.errors import HostError, StoreError
from host.core.policy import Unevaluable, Verdict, lookup
from host.core.schema import arguments_problem
from host.core.source import Round, ToolSource
from host.core.state import Call, outcome_after_loss
from host.core.told import CHARS_PER_TOKEN
from host.core.types import CallResult, InputRequired, ToolSpec
from host.engine.session import Session

ROUNDS = 10
POLL = (0.05, 0.1, 0.2, 0.25)
LOST = ("server_lost", "timeout")


async def settle(session: Session, call: Call) -> None:
    """The stages of core/state.py, entered at the call's own: a fresh call and a resumed one come the same way."""
    if call.status == "started" and (outcome := outcome_after_loss(call)):
        end_lost(session, call, outcome)
        return
    if call.status == "proposed" and not await approved(session, call):
        return
    await in_order(session, call)
    if call.status == "paused":
        await ask_again(session, call)
    if call.status == "paused" or ready_to_start(session, call):
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
    if spec is None:
        return finish(session, call, "error", "unknown_tool", call.proposal.name)
    if call.proposal.malformed:
        return finish(session, call, "error", "malformed", (call.proposal.raw or "")[:200])
    if problem := arguments_problem(spec.input_schema, call.proposal.arguments):
        return finish(session, call, "error", "invalid_arguments", problem)
    limit = session.state.limits.calls
    position = list(session.state.calls).index(call.id)
    if limit is not None and session.state.turn is not None and session.state.turn.calls + position >= limit:
        return finish(session, call, "denied", "limit", f"limits.calls = {limit} was reached")
    verdict = decided(session, call, spec, call.proposal.arguments)
    if verdict is Verdict.ASK:
        return await answered_yes(session, call, spec)
    return verdict is Verdict.ALLOW


def decided(session: Session, call: Call, spec: ToolSpec, arguments: Mapping[str, Any]) -> Verdict:
    """Decide under today's rules and log it; a denied call has its end here."""
    decision = session.decide(spec, arguments)
    stale = [asked for asked in session.state.open_questions() if asked.call_id == call.id]
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
        ),
        *(
            ev.Answered(asked.request_id, "cancel", by="host", reason="decided anew")
            for asked in stale
            if decision.verdict is not Verdict.ASK
        ),
    )
    if decision.verdict is Verdict.DENY:
        finish(session, call, "denied", "denied", decision.reason)
    return decision.verdict


async def answered_yes(session: Session, call: Call, spec: ToolSpec) -> bool:
    """Ask for approval, unless the question of an earlier process is still open, and wait for the answer."""
    asked = next((a for a in session.state.open_questions() if a.call_id == call.id), None) or ask(session, call)
    answer = await answer_to(session, asked)
    if answer.action != "accept":
        if answer.by == "host":
            return finish(session, call, "declined", "nobody", without_a_person(asked))
        return finish(session, call, "declined", "declined", answer.reason)
    edited = answer.content
    if edited is None or dict(edited) == call.arguments:
        return True
    if problem := arguments_problem(spec.input_schema, edited):
        return finish(session, call, "error", "invalid_arguments", problem)
    return decided(session, call, spec, edited) is not Verdict.DENY


def without_a_person(asked: ev.Asked) -> str:
    """Why nobody's approval was not enough, and what would have been."""
    way = f"--allow '{asked.server}.{asked.remote_name}'" if asked.grantable else "only a person's approval"
    return f"{asked.reason}; {way} lets it run"


def ask(session: Session, call: Call) -> ev.Asked:
    decision = call.decision
    assert decision is not None
    asked = ev.Asked(
        f"q{session.state.seq + 1}",
        "approval",
        decision.server,
        call.id,
        session.state.turn.steps if session.state.turn else 0,
        decision.tool,
        decision.remote_name,
        decision.arguments,
        decision.effect,
        decision.open,
        decision.rules,
        decision.reason,
        decision.grantable,
    )
    session.emit(asked)
    return asked


async def answer_to(session: Session, asked: ev.Asked) -> ev.Answered:
    """Wait for the answer; where nobody can give one the host declines at once."""
    question = session.state.questions[asked.request_id]
    if question.answer is None and not session.attended:
        session.emit(session.decline(asked))
    await session.until(lambda: question.answer is not None)
    assert question.answer is not None
    return question.answer


async def in_order(session: Session, call: Call) -> None:
    """Calls to one server run one after another, in the order of the calls, unless it is `parallel`."""
    source = session.source(call.decision.server) if call.decision else None
    if source is None or source.parallel:
        return
    before = []
    for other in session.state.calls.values():
        if other is call:
            break
        if other.proposal.name.partition("__")[0] == call.proposal.name.partition("__")[0]:
            before.append(other)
    await session.until(lambda: all(other.status == "finished" for other in before))


# --- sending


def ready_to_start(session: Session, call: Call) -> bool:
    """The definition that runs must be the one that the model was offered and the decision was about."""
    decision = call.decision
    assert decision is not None
    spec = session.spec(decision.tool)
    if spec is None or spec.digest != decision.digest or session.offered.get(spec.name, spec.digest) != spec.digest:
        return finish(session, call, "error", "definition_changed", decision.tool)
    return True


def start(session: Session, call: Call, round: int) -> None:
    """The durable intent. Nothing is awaited between the digest check and this."""
    decision = call.decision
    assert decision is not None
    if call.started is not None:
        key = call.started.key
    elif earlier := session.state.unsettled_like(decision.tool, decision.arguments):
        key = earlier.key
    else:
        key = f"{session.session}:{session.state.seq + 1}"
    session.emit(ev.CallStarted(call.id, round, decision.server, decision.remote_name, decision.arguments, key))


async def run(session: Session, call: Call) -> None:
    """Send, round after round, until the server has given its result."""
    decision = call.decision
    assert decision is not None
    source, spec = session.source(decision.server), session.spec(decision.tool)
    began = monotonic()
    polls = 0
    while True:
        start(session, call, call.round + 1 if call.status == "paused" else max(call.round, 1))
        result = await send(session, call, source, spec)
        if isinstance(result, CallResult):
            if result.cause in LOST and outcome_after_loss(call) is None:
                continue
            await finished(session, call, result, round((monotonic() - began) * 1000))
            return
        if call.round >= ROUNDS:
            reason = f"it still asked for input after {ROUNDS} rounds"
            await finished(session, call, CallResult("error", cause="bad_result", reason=reason), 0)
            return
        await paused(session, call, result)
        if not result.requests:
            await anyio.sleep(POLL[min(polls, len(POLL) - 1)])
            polls += 1


async def send(
    session: Session, call: Call, source: ToolSource | None, spec: ToolSpec | None
) -> CallResult | InputRequired:
    """One round. What streams meanwhile is progress; a handshake-era server may ask in the middle."""
    if source is None or spec is None or call.started is None:
        return CallResult("error", cause="server_down", reason="it is not running")
    last = 0.0

    def progress(done: float, total: float | None, message: str | None) -> None:
        nonlocal last
        if (now := monotonic()) - last >= 0.05:
            last = now
            value = json.dumps({"progress": done, "total": total, "message": message})
            session.delta(ev.Delta(0, 0, "progress", value, call.id))

    async def ask_in_call(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = question(f"q{session.state.seq + 1}", call, request)
        if asked is None:
            return {"action": "cancel"}
        session.emit(asked)
        return as_result(await answer_to(session, asked))

    responses = given(session, call) if call.round > 1 else None
    state = call.paused.state if call.paused else None
    limit = session.state.limits.result_tokens * CHARS_PER_TOKEN
    round = Round(call.round, call.started.key, responses, state, limit)
    return await source.call(spec, call.started.arguments, round, progress, ask_in_call)


async def paused(session: Session, call: Call, needed: InputRequired) -> None:
    """The server ended the round: each of its requests is one durable question, and all are answered before the
    next round."""
    seq = session.state.seq + 1
    requests = {
        key: {"request_id": f"q{seq}.{number}", **request}
        for number, (key, request) in enumerate(needed.requests.items())
    }
    asked = [a for request in requests.values() if (a := question(request["request_id"], call, request))]
    session.emit(ev.CallPaused(call.id, call.round, requests, needed.state), *asked)
    for each in asked:
        await answer_to(session, each)


async def ask_again(session: Session, call: Call) -> None:
    """A paused call of an earlier process: what it asks is open again, under the same request ids."""
    for question in [q for q in session.state.questions.values() if q.asked.call_id == call.id]:
        await answer_to(session, question.asked)


def question(request_id: str, call: Call, request: Mapping[str, Any]) -> ev.Asked | None:
    """A server's request as a question to a person; None where this host has no way to ask it."""
    params = request.get("params") or {}
    decision = call.decision
    if request.get("method") != "elicitation/create" or decision is None:
        return None
    url = params.get("mode") == "url"
    return ev.Asked(
        request_id,
        "url" if url else "form",
        decision.server,
        call.id,
        tool=decision.tool,
        remote_name=decision.remote_name,
        message=params.get("message"),
        schema=None if url else params.get("requestedSchema"),
        url=params.get("url") if url else None,
    )


def given(session: Session, call: Call) -> dict[str, Any]:
    """The answers to a pause, by the server's own keys."""
    assert call.paused is not None
    answers = {}
    for key, request in call.paused.requests.items():
        asked = session.state.questions.get(request["request_id"])
        answers[key] = as_result(asked.answer) if asked and asked.answer else {"action": "cancel"}
    return answers


def as_result(answer: ev.Answered) -> dict[str, Any]:
    """An answer as MCP's ElicitResult."""
    content = {"content": dict(answer.content)} if answer.action == "accept" and answer.content is not None else {}
    return {"action": answer.action, **content}


# --- the end


def finish(session: Session, call: Call, outcome: Any, cause: str, reason: str | None) -> bool:
    """End a call that was never sent. Always False, for callers that answer 'may it run?'."""
    session.emit(ev.CallFinished(call.id, outcome, True, cause=cause, reason=reason))
    return False


async def finished(session: Session, call: Call, result: CallResult, milliseconds: int) -> None:
    """Log the server's result, and with it the facts that it sets."""
    outcome, cause, reason = result.outcome, result.cause, result.reason
    if cause in LOST and call.effect != "read":
        outcome, cause, reason = "unknown", None, reason or cause
    done = ev.CallFinished(
        call.id,
        outcome,
        result.is_error or outcome != "ok",
        result.content,
        result.structured,
        milliseconds,
        cause,
        reason,
    )
    facts = await facts_of(session, call, result) if done.outcome == "ok" else {}
    others: list[ev.Event] = [ev.SettingsChanged({"facts": facts}, by=call.id)] if facts else []
    try:
        if result.large is None:
            await session.record(done, *others)
        else:
            await session.record_large(done, result.large, *others)
    except (ValueError, HostError) as error:
        if isinstance(error, StoreError):
            raise
        # Such as 1e999, which a reader takes for infinity and no JSON can say again.
        await session.record(ev.CallFinished(call.id, "error", True, (), None, milliseconds, "bad_result", str(error)))
        return
    if facts:
        session.servers.set_facts(session.state.facts)


async def facts_of(session: Session, call: Call, result: CallResult) -> dict[str, Any]:
    """The facts that this result sets: once set, a fact stays as it is."""
    decision, facts = call.decision, {}
    paths = {
        name: source.path
        for name, source in session.setup.profile.facts.items()
        if source is not None and decision is not None and name not in session.state.facts
        if (source.server, source.tool) == (decision.server, decision.remote_name)
    }
    structured = result.structured
    if paths and result.large is not None:
        structured = (await to_thread.run_sync(json.loads, result.large.json)).get("structured")
    for name, path in paths.items():
        try:
            facts[name] = lookup(structured, path)[0]
        except (Unevaluable, IndexError):
            continue
    return facts
