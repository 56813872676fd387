"""Queries: what a reader may ask of a session. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from host.core.catalog import by_server
from host.core.context import Account, account, tokens
from host.core.errors import HostError
from host.engine.attach import attachment, files

if TYPE_CHECKING:
    from host.engine.session import Session


async def answer(session: Session, query: str, parameters: Mapping[str, Any]) -> Any:
    """What each gives is said where the door is (frontends.handle). Raises HostError for an unknown query."""
    match query:
        case "servers":
            return list(session.servers.statuses.values())
        case "tools":
            return session.offer().tools
        case "drifts":
            return session.servers.drifts()
        case "state":
            return session.state
        case "since":
            return session.since
        case "context":
            return _context(session)
        case "result":
            return await session.result_at(parameters["seq"])
        case "tool":
            wanted = (parameters["server"], parameters["name"])
            return next((s for s in session.servers.tools() if (s.server, s.remote_name) == wanted), None)
        case "prompt":
            return await session.servers.get_prompt(parameters["server"], parameters["name"], parameters["arguments"])
        case "attach":
            return await attachment(session, parameters["what"])
        case "listed":
            return await session.servers.listed(parameters["server"], parameters["name"])
        case "complete":
            of = (parameters["ref"], parameters["name"], parameters["value"], parameters["given"])
            return await session.servers.complete(parameters["server"], *of)
        case "files":
            return await to_thread.run_sync(files, parameters["prefix"])
        case "journal":
            return session.servers.journal(parameters["server"])
    known = (
        "servers, tools, drifts, state, since, result, context, tool, prompt, attach, listed, complete, files, journal"
    )
    raise HostError(f"unknown query {query!r}; known: {known}")


def _context(session: Session) -> Account:
    """Where the tokens of the next request are."""
    state, offer, profile = session.state, session.offer(), session.known_model()
    sent, deferred = by_server(offer.tools, session.costs), by_server(offer.deferred, session.costs)
    system = tokens(offer.system)
    return account(state.messages, state.load, profile.context, profile.max_output, system, sent, deferred)
