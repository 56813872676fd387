"""What the tests of servers share: a session over real processes, with bounded waits."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from host.core.settings import ServerConfig
from host.core.source import Round
from host.servers.pool import Pool, SessionServers

PROGRAMS = Path(__file__).parent / "programs"


def run(main: Callable[[], Awaitable[None]], seconds: float = 30) -> None:
    """Run an async test to its end, in bounded time."""

    async def bounded() -> None:
        with anyio.fail_after(seconds):
            await main()

    anyio.run(bounded)


def lean(era: str, *traits: str, name: str = "lean", **more: Any) -> ServerConfig:
    """The raw server of programs/lean.py, free to write its ledger and to tell its process ids."""
    return ServerConfig(name, "python", (str(PROGRAMS / "lean.py"), era, *traits), **{"sandbox": "off", **more})


class Seen:
    """What a session was told: statuses and listings in order."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []
        self.listings: list[tuple[str, list[str], dict[str, str]]] = []
        self._told = anyio.Event()

    def status(self, status: Any) -> None:
        self.states.append((status.server, status.state))
        self._tell()

    def tools(self, server: str, specs: list[Any], quarantined: dict[str, str]) -> None:
        self.listings.append((server, [spec.name for spec in specs], quarantined))
        self._tell()

    def _tell(self) -> None:
        self._told.set()
        self._told = anyio.Event()

    async def until(self, true: Callable[[], Any]) -> None:
        while not true():
            await self._told.wait()


@asynccontextmanager
async def serving(
    *configs: ServerConfig,
    facts: dict[str, Any] | None = None,
    seen: Seen | None = None,
    backoff: tuple[float, float] = (0.05, 0.2),
    eras: Any = None,
    person: Any = None,
    tap: Any = None,
) -> AsyncIterator[SessionServers]:
    """A session with these servers."""
    seen = seen or Seen()
    async with Pool(backoff, eras, tap) as pool:
        yield pool.servers("s1", configs, seen.status, seen.tools, facts or {}, person=person)


async def nobody(request: Any) -> dict[str, Any]:
    raise AssertionError(f"asked {request}")


async def call(
    servers: SessionServers,
    name: str,
    arguments: dict[str, Any] | None = None,
    round: Round | None = None,
    progress: Any = lambda *_: None,
    ask: Any = nobody,
) -> Any:
    """Call a tool by its exposed name."""
    spec = servers.spec(name)
    assert spec is not None, f"{name} is not among {[s.name for s in servers.tools()]}"
    source = servers.source(spec.server)
    assert source is not None
    return await source.call(spec, arguments or {}, round or Round(1, "key"), progress, ask)


def words(result: Any) -> str:
    """The text of a result."""
    return "".join(block.get("text", "") for block in result.content)


def ledger(path: Path, method: str) -> list[dict[str, Any]]:
    """The messages of one method that a server wrote down."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    return [line for line in lines if line.get("method") == method]
