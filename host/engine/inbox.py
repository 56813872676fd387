"""Commands: checked, then written. A command that is taken is durable when `take` returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from host.core import events as ev
from host.core.errors import HostError
from host.core.policy import grant_problem
from host.core.schema import arguments_problem, heavy
from host.core.types import Text

if TYPE_CHECKING:
    from host.engine.session import Session


def take(session: Session, command: ev.Command) -> str | None:
    """Carry a command out. Returns why not, or None."""
    match command:
        case ev.Say():
            return _say(session, command)
        case ev.Restart(server):
            return _at_server(lambda: session.servers.restart(server))
        case ev.Listen(server, level):
            return _at_server(lambda: session.servers.listen(server, level))
        case ev.Answer():
            return _answer(session, command)
        case ev.Change():
            return _change(session, command)
        case ev.Accept():
            return _accept(session, command)
        case ev.Interrupt():
            if session.state.turn is None and not session.compacting:
                return "no turn is running"
            session.interrupt()
        case ev.Compact():
            if session.state.turn is not None:
                return "a turn is running; compact when it has ended"
            session.compacting = True
        case ev.Close():
            session.closing = True
            if session.scope is not None:
                session.scope.cancel()
    return None


def _say(session: Session, said: ev.Say) -> str | None:
    if not said.text.strip():
        return "nothing was said"
    if said.attach or sum(one.parts for one in said.attached) != len(said.parts):
        return "what is attached is read first, and told for all its parts"
    session.go()
    session.emit(ev.UserSaid((Text(said.text), *said.parts), said.attached or None))
    session.watch()
    session.going = True
    return None


def _at_server(do: Callable[[], None]) -> str | None:
    try:
        do()
    except HostError as error:
        return str(error)
    return None


def _answer(session: Session, answer: ev.Answer) -> str | None:
    if len(set(answer.ids)) < len(answer.ids):
        return "a question is answered once: name each request_id once"
    for id in answer.ids:
        question = session.state.questions.get(id)
        if question is None:
            return f"no question has the request_id {id!r}"
        if question.answer is not None:
            return f"the question {id!r} was already answered"
        if reason := _problem(session, answer, question.asked):
            return reason
    remember, reason = answer.remember, answer.reason
    session.emit(*(ev.Answered(id, answer.action, answer.content, "user", remember, reason) for id in answer.ids))
    return None


def _problem(session: Session, answer: ev.Answer, asked: ev.Asked) -> str | None:
    """Why this answer cannot be given to this question."""
    if answer.remember is not None:
        if answer.action != "accept" or not asked.grantable:
            return "no grant is offered for this question" if answer.action == "accept" else "only a yes is remembered"
        arguments = asked.arguments if answer.content is None else answer.content
        if reason := grant_problem(answer.remember, asked.effect, arguments or {}, session.state.facts):
            return reason
    if answer.action != "accept" or (answer.content is None and asked.about != "form"):
        return None
    schema = asked.schema or {}
    if asked.about == "approval":
        spec = session.spec(asked.tool or "")
        schema = spec.input_schema if spec else {}
        if heavy(schema, answer.content or {}):
            return None  # it is checked apart, before anything is sent
    problem = arguments_problem(schema, answer.content or {})
    return f"the answer does not fit the schema: {problem}" if problem else None


def _change(session: Session, change: ev.Change) -> str | None:
    changes: dict[str, Any] = {}
    if change.model is not None:
        if reason := session.setup.known_model(change.model):
            return reason
        changes["model"] = change.model
    if change.mode is not None:
        changes["mode"] = change.mode
    for name, value in (change.facts or {}).items():
        if session.state.facts.get(name, value) != value:
            return f"the fact {name} is already set and stays as it is in this session"
        changes.setdefault("facts", {})[name] = value
    if change.revoke is not None:
        if all(grant.id != change.revoke for grant in session.state.grants):
            return f"this session has no grant {change.revoke!r}"
        changes["revoked"] = change.revoke
    if not changes:
        return "nothing to change: give model, mode, facts or revoke"
    session.emit(ev.SettingsChanged(changes))
    if "facts" in changes:
        session.servers.set_facts(session.state.facts)
    return None


def _accept(session: Session, accept: ev.Accept) -> str | None:
    try:
        session.servers.accept(accept.server, accept.tool, accept.digest)
    except HostError as error:
        return str(error)
    session.emit(ev.SettingsChanged({"accepted": {k: getattr(accept, k) for k in ("server", "tool", "digest")}}))
    return None
