"""What a front end may do: three doors into a session, and the host's own door to sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from host.core.events import Command, Delta, Recorded, Rejected, ServerNews
from host.core.source import ServerStatus
from host.core.types import Grant, SessionRow

FeedItem = Recorded | Delta | ServerStatus | Rejected | ServerNews


class Handle(Protocol):
    """One open session."""

    @property
    def session(self) -> str: ...

    def submit(self, command: Command) -> Rejected | None:
        """Change the session. None is: accepted, and durable in the log. The first answer to a question counts."""
        ...

    def feed(self, after: int = 0) -> AsyncIterator[FeedItem]:
        """What is stored after seq `after`, then the text streamed so far as one delta, then what comes.
        A slow reader loses deltas by merging, never events. Ends when the session is closed."""
        ...

    async def ask(self, query: str, **parameters: Any) -> Any:
        """Read without a trace. `servers`: list of ServerStatus · `tools`: list of ToolSpec, as the model is
        offered them · `drifts`: list of Drift, tools that wait to be accepted as they are now
        · `state`: the live State, to look at and not to touch · `since`: seq of the last event that an
        earlier process wrote · `context`: the Account of where its
        tokens are · `result` (seq): the stored body of a finished call, whole, where its event is only an
        outline · `tool` (server, name): the ToolSpec of a server's tool by its own name, or None ·
        `prompt` (server, name, arguments): a server's prompt filled in, as it wrote it · `listed` (server,
        name): its resources, resource_templates or prompts, as it wrote them · `complete` (server, ref, name,
        value, given): values for an argument, and whether there are more · `attach` (what): an Attached and
        its parts, to be said; `what` is {server, uri}, {server, prompt, arguments} or {file} · `files`
        (prefix): names of files that begin so · `journal` (server): the last lines of its stderr and its log."""
        ...

    def go(self) -> None:
        """Carry on a turn that an earlier process left unfinished; without this word it waits."""
        ...

    def leave(self) -> None:
        """Nobody can answer any more: open and new questions are declined by the host."""
        ...


class Door(Protocol):
    """The host: opens sessions and lists them."""

    async def open(self, resume: str | None = None, profile: str | None = None) -> Handle:
        """A new session, or an old one by its id. Raises HostError."""
        ...

    async def close(self, session: str) -> None:
        """Close an open session by its id, in good order."""
        ...

    async def sessions(self) -> list[SessionRow]: ...

    async def grants(self) -> tuple[Grant, ...]:
        """The answers given ahead that outlive a session. Raises HostError where their file cannot be trusted."""
        ...

    async def take_back(self, id: str) -> bool:
        """Take a lasting grant back; whether there was one of this name."""
        ...
