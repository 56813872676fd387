"""What servers ask outside of a call: to sign in, open for as long as somebody is at it, and for input before they
give a resource or a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio

from host.core import events as ev
from host.core.errors import HostError, StoreError
from host.core.source import SignIn
from host.core.state import Question
from host.engine.questions import answer_to, as_result, elicited
from host.engine.session import Session

SECONDS = 600.0
ADDRESS = "address"
"""What an accepted answer may hold: the address that the person was sent to in the end, on another machine."""


class Signer:
    """The person of a session. Satisfies core.source.Person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def here(self, server: str, scopes: str) -> bool:
        """Whether somebody can be asked. Where nobody can, the question and its refusal are in the record."""
        session = self._session
        if session.closing or session.broken is not None:
            return False
        if not session.attended:
            rights = f" for {scopes}" if scopes else ""
            asked = ev.Asked(self._id(), "sign_in", server, message=f"sign in{rights}")
            reason = f"nobody is here to sign in; agent-host mcp login {server} does it"
            with suppress(StoreError):  # the session has failed then, and says so
                session.emit(asked, ev.Answered(asked.request_id, "decline", by="host", reason=reason))
        return session.attended

    def knows(self, server: str, token: str) -> None:
        session = self._session
        session.setup = replace(session.setup, secrets=session.setup.secrets.also(f"{server}.token", token))

    async def lead(self, where: SignIn) -> str:
        """Ask; the question is open until the browser comes back, or somebody answers it. Raises HostError."""
        session = self._session
        rights = f" for {where.scopes}" if where.scopes else ""
        asked = ev.Asked(
            self._id(), "sign_in", where.server, message=f"sign in at {where.host}{rights}"[:1000], url=where.url
        )
        session.emit(asked)
        question = session.state.questions[asked.request_id]
        ended: list[str] = []

        async def come_back() -> None:
            ended.append(await where.visited())
            if question.answer is None:
                session.emit(ev.Answered(asked.request_id, "accept", by="host"))
            session.wake()

        try:
            with anyio.move_on_after(SECONDS):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(come_back)
                    await session.until(lambda: question.answer is not None)
                    assert question.answer is not None
                    if pasted := (question.answer.content or {}).get(ADDRESS):
                        ended.append(str(pasted))
                    await session.until(lambda: bool(ended) or refused(question))
                    tasks.cancel_scope.cancel()
        finally:
            if question.answer is None and session.broken is None:
                with suppress(StoreError):
                    session.emit(ev.Answered(asked.request_id, "cancel", by="host"))
        if refused(question) or not ended:
            why = "it was declined" if refused(question) else "nobody came back"
            raise HostError(f"{why}; agent-host mcp login {where.server} signs in later")
        return ended[-1]

    async def answers(self, server: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        session = self._session
        asked = elicited(self._id(), server, request.get("params") or {})
        session.emit(asked)
        return as_result(await answer_to(session, asked))

    def _id(self) -> str:
        return f"q{self._session.state.seq + 1}"


def refused(question: Question) -> bool:
    return question.answer is not None and question.answer.action != "accept"


def close_stale(session: Session) -> None:
    """What an earlier process asked outside of a call cannot be answered any more. The server asks anew."""
    stale = [asked for asked in session.state.open_questions() if asked.call_id is None]
    if stale:
        session.emit(*(ev.Answered(asked.request_id, "cancel", by="host") for asked in stale))
