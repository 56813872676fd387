"""A session over programs/notes.py, and what every way to it must show."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest
from serving import PROGRAMS, Seen, call

from host.core.errors import HostError
from host.core.settings import ServerConfig
from host.core.source import Person
from host.servers.pool import Pool, SessionServers

NOTES = PROGRAMS / "notes.py"


class Told:
    """The news of servers, in order."""

    def __init__(self) -> None:
        self.news: list[tuple[str, str, str | None]] = []
        self._more = anyio.Event()

    def __call__(self, server: str, what: str, uri: str | None) -> None:
        self.news.append((server, what, uri))
        self._more.set()
        self._more = anyio.Event()

    async def of(self, what: str, uri: str | None = None) -> None:
        while ("notes", what, uri) not in self.news:
            await self._more.wait()


@asynccontextmanager
async def noting(
    config: ServerConfig, told: Told | None = None, person: Person | None = None
) -> AsyncIterator[SessionServers]:
    async with Pool((0.05, 0.2)) as pool:
        seen = Seen()
        servers = pool.servers("s1", [config], seen.status, seen.tools, {}, on_news=told or Told(), person=person)
        await servers.settled()
        yield servers


def stdio(era: str, **more: Any) -> ServerConfig:
    return ServerConfig("notes", "python", (str(NOTES), era), **{"sandbox": "off", **more})


async def everything_besides_tools(config: ServerConfig) -> None:
    async with noting(config) as servers:
        assert servers.statuses["notes"].instructions == "Notes are short. Read note://one first."
        uris = [each["uri"] for each in await servers.listed("notes", "resources")]
        assert uris == ["note://one", "note://two", "note://long", "picture://red", "blob://raw"]
        templates = await servers.listed("notes", "resource_templates")
        assert [each["uriTemplate"] for each in templates] == ["topic://{topic}"]
        assert [each["name"] for each in await servers.listed("notes", "prompts")] == ["sum_up", "greet"]
        complete = partial(servers.complete, "notes", {"type": "ref/prompt", "name": "sum_up"})
        assert await complete("topic", "ap", {}) == (["apples", "apricots"], False)
        assert await complete("style", "", {"topic": "apples"}) == (["apples-plain", "rhymed"], False)
        topic = {"type": "ref/resource", "uri": "topic://{topic}"}
        assert await servers.complete("notes", topic, "topic", "ch", {}) == (["cherries"], False)
        with pytest.raises(HostError, match="no resource note://none"):
            await servers.read_resource("notes", "note://none")


async def changes_are_told(config: ServerConfig) -> None:
    told = Told()
    async with noting(config, told) as servers:
        before = await servers.listed("notes", "resources")
        assert await servers.listed("notes", "resources") is before
        await until_told(servers, told, "add_note", "resources", None)
        assert "note://n3" in [each["uri"] for each in await servers.listed("notes", "resources")]
        servers.watch("notes", "note://one")
        await until_told(servers, told, "change_note", "resource", "note://one")


async def until_told(servers: SessionServers, told: Told, tool: str, what: str, uri: str | None) -> None:
    """Do it until it is told: a subscription takes its time to be there."""
    async with anyio.create_task_group() as tasks:

        async def again() -> None:
            while True:
                await call(servers, f"notes__{tool}")

        tasks.start_soon(again)
        await told.of(what, uri)
        tasks.cancel_scope.cancel()


class Ann:
    """A person who answers forms."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def here(self, server: str, scopes: str) -> bool:
        return True

    def knows(self, server: str, token: str) -> None:
        pass

    async def lead(self, where: Any) -> str:
        raise HostError("not here")

    async def answers(self, server: str, request: Any) -> dict[str, Any]:
        self.asked.append((server, request["params"]["message"]))
        return {"action": "accept", "content": {"who": "Ann"}}


async def a_person_is_asked_before_it_is_given(config: ServerConfig) -> None:
    ann = Ann()
    async with noting(config, person=ann) as servers:
        read = await servers.read_resource("notes", "asked")
        filled = await servers.get_prompt("notes", "asked", {})
    said = '{"action": "accept", "content": {"who": "Ann"}}'
    assert isinstance(read, list)
    assert (read[0]["text"], filled["messages"][0]["content"]["text"]) == (said, said)
    assert ann.asked == [("notes", "For whom?")] * 2
    async with noting(config) as servers:
        assert (await servers.read_resource("notes", "asked"))[0]["text"] == '{"action": "cancel"}'
