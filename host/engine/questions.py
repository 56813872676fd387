"""What is asked while a call runs, by the host or by its server, and how the answers get back to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from host.core import events as ev
from host.core.errors import HostError, StoreError
from host.core.source import ELICITATION, ROOTS, SAMPLING
from host.core.state import Call
from host.engine import sampling
from host.engine.session import Session


def question(
    session: Session, request_id: str, call: Call, request: Mapping[str, Any], beside: Sequence[ev.Asked] = ()
) -> ev.Asked | None:
    """A server's request as a question to a person; None where it is none, or may not be asked. `beside` it are asked
    those of the same pause."""
    params = request.get("params") or {}
    decision = call.decision
    if decision is None:
        return None
    if request.get("method") == SAMPLING:
        return sampling.question(session, request_id, call, params, beside)
    if request.get("method") != ELICITATION:
        return None
    return elicited(request_id, decision.server, params, call)


def elicited(request_id: str, server: str, params: Mapping[str, Any], call: Call | None = None) -> ev.Asked:
    """A server's wish for input, as a form or an address."""
    decision = call.decision if call else None
    url = params.get("mode") == "url"
    return ev.Asked(
        request_id,
        "url" if url else "form",
        server,
        call.id if call else None,
        tool=decision.tool if decision else None,
        remote_name=decision.remote_name if decision else None,
        message=params.get("message"),
        schema=None if url else params.get("requestedSchema"),
        url=params.get("url") if url else None,
    )


async def answers(session: Session, call: Call) -> bool:
    """Wait until all that a paused call asked is answered, also what an earlier process asked. False is: the call has
    its end, for the server gets no answer of the model."""
    assert call.paused is not None
    for request in call.paused.requests.values():
        found = session.state.questions.get(request["request_id"])
        if found is None and request.get("method") not in (ROOTS, ELICITATION):
            return finish(session, call, "error", "bad_result", f"it asks for {request.get('method')}, without leave")
        if found is None:
            continue
        answer = await answer_to(session, found.asked)
        if found.asked.about != "sampling":
            continue
        try:
            if answer.action == "accept":
                answer = await answer_to(session, await sampling.reply(session, call, found.asked))
        except StoreError:
            raise
        except HostError as error:
            return finish(session, call, "error", "bad_result", f"the answer of the model that it wanted: {error}")
        if answer.action != "accept":
            return finish(session, call, "declined", "declined", answer.reason)
    return True


def finish(session: Session, call: Call, outcome: Any, cause: str, reason: str | None) -> bool:
    """End a call that is not at its server. Always False, for callers that answer 'may it run?'."""
    session.emit(ev.CallFinished(call.id, outcome, True, cause=cause, reason=reason))
    return False


def given(session: Session, call: Call) -> dict[str, Any]:
    """The answers to a pause, by the server's own keys."""
    assert call.paused is not None
    found: dict[str, Any] = {}
    for key, request in call.paused.requests.items():
        asked = session.state.questions.get(request["request_id"])
        if request.get("method") == ROOTS:
            found[key] = request["answer"]
        elif asked is not None and asked.asked.about == "sampling":
            found[key] = sampling.result(session, request["request_id"])
        else:
            found[key] = as_result(asked.answer) if asked and asked.answer else {"action": "cancel"}
    return found


async def answer_in_call(session: Session, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a server of the handshake era asks in the middle of a call; an empty answer where there is none."""
    asked = question(session, f"q{session.state.seq + 1}", call, request)
    if asked is None:
        return {}
    session.emit(asked)
    answer = await answer_to(session, asked)
    if asked.about != "sampling":
        return as_result(answer)
    if answer.action == "accept":
        await answer_to(session, await sampling.reply(session, call, asked))
    return sampling.result(session, asked.request_id) or {}


def as_result(answer: ev.Answered) -> dict[str, Any]:
    """An answer as MCP's ElicitResult."""
    content = {"content": dict(answer.content)} if answer.action == "accept" and answer.content is not None else {}
    return {"action": answer.action, **content}


async def answer_to(session: Session, asked: ev.Asked) -> ev.Answered:
    """Wait for the answer; where nobody can give one the host declines at once."""
    question = session.state.questions[asked.request_id]
    if question.answer is None and not session.attended:
        session.emit(session.decline(asked))
    if question.answer is None:
        session.setup.note(session.state)
        await session.until(lambda: question.answer is not None)
        session.setup.note(session.state)
    assert question.answer is not None
    return question.answer
