"""Send a call, round after round, and log what came of it. A server that needs input ends its round; one of the
handshake era asks in the middle of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import monotonic
from typing import Any

import anyio
from anyio import to_thread

from host.core import events as ev
from host.core.conditions import Unevaluable, lookup
from host.core.errors import HostError, StoreError
from host.core.source import ROUNDS, Round, ToolSource
from host.core.spans import traceparent
from host.core.state import Call, outcome_after_loss
from host.core.told import CHARS_PER_TOKEN
from host.core.types import CallResult, InputRequired, ToolSpec
from host.engine.questions import answer_in_call, answers, given, question
from host.engine.session import Session

POLL = (0.05, 0.1, 0.2, 0.25)
LOST = ("server_lost", "timeout")


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
        paused(session, call, result)
        if not await answers(session, call):
            return
        if not result.requests:
            await anyio.sleep(POLL[min(polls, len(POLL) - 1)])
            polls += 1


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
        return await answer_in_call(session, call, request)

    responses = given(session, call) if call.round > 1 else None
    state = call.paused.state if call.paused else None
    limit = session.state.limits.result_tokens * CHARS_PER_TOKEN
    round = Round(call.round, call.started.key, responses, state, limit, trace_of(session, call))
    return await source.call(spec, call.started.arguments, round, progress, ask_in_call)


def trace_of(session: Session, call: Call) -> str | None:
    """What the server is told of the call's span, where sessions are traced."""
    turn = session.state.turn
    if not session.setup.traced or turn is None or call.started is None:
        return None
    return traceparent(session.session, turn.began, call.id, call.started.key)


def paused(session: Session, call: Call, needed: InputRequired) -> None:
    """The server ended the round: each of its requests that a person answers is one durable question."""
    seq = session.state.seq + 1
    requests = {
        key: {"request_id": f"q{seq}.{number}", **request}
        for number, (key, request) in enumerate(needed.requests.items())
    }
    asked: list[ev.Asked] = []
    for request in requests.values():
        if (one := question(session, request["request_id"], call, request, asked)) is not None:
            asked.append(one)
    session.emit(ev.CallPaused(call.id, call.round, requests, needed.state), *asked)


# --- the end


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
        found=met(session, call, result),
        checked=result.checked,
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


def met(session: Session, call: Call, result: CallResult) -> tuple[str, ...] | None:
    """The tools that the model is offered from here on: what a search found, or a tool that it called by its name."""
    tool = call.proposal.name
    if session.offered and tool not in session.offered and session.servers.spec(tool):
        return (tool,)
    return result.found or None


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
