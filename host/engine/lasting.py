"""The grants that outlive a session, as far as they hold in this one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anyio import to_thread

from host.core.errors import StoreError
from host.core.types import Grant

if TYPE_CHECKING:
    from host.engine.session import Session


class Lasting:
    """`grants` are those that held here when they were last looked up."""

    def __init__(self, session: Session) -> None:
        self._session, self._file = session, session.setup.lasting
        self.grants: tuple[Grant, ...] = ()
        self._problem = ""

    async def look_up(self) -> None:
        """Take the grants that hold here as their file has them now: somebody may have taken one back."""
        if self._file is None:
            return
        try:
            found, problem = await to_thread.run_sync(self._file.read), ""
        except StoreError as error:
            found, problem = (), str(error)
        if problem and problem != self._problem:
            self._session.reject("grants", problem)
        self._problem = problem
        self.grants = tuple(grant for grant in found if self._holds(grant))

    def _holds(self, grant: Grant) -> bool:
        setup = self._session.setup
        server = setup.servers.get(grant.server)
        return server is not None and grant.holds_for(server.identity, setup.project)

    async def keep(self, grant: Grant) -> None:
        """Write down a grant that outlives the session. What cannot be written is told, and asks again next time."""
        setup = self._session.setup
        server = setup.servers.get(grant.server)
        if self._file is None or server is None:
            return
        project = setup.project if grant.scope == "project" else ""
        whole = replace(grant, identity=server.identity, project=project, at=self._session.now())
        try:
            await to_thread.run_sync(self._file.add, whole)
        except StoreError as error:
            self._session.reject("answer", f"the grant was not kept: {error}")
        await self.look_up()
