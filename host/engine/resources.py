"""The resources that there are, and the reading of one, for the model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from host.core.catalog import brief
from host.core.errors import HostError
from host.core.flow import strangers
from host.core.types import Contents

if TYPE_CHECKING:
    from host.engine.session import Session

MOST = 50


async def resources(session: Session, server: str | None, query: str) -> str:
    """One resource a line, its URI first; of templates what has to be filled in."""
    words = query.lower().split()
    lines: list[str] = []
    for name, status in session.servers.statuses.items():
        if server in (None, name) and "resources" in status.offers:
            try:
                found = [*await session.servers.listed(name, "resources")]
                found += await session.servers.listed(name, "resource_templates")
            except HostError as error:
                lines.append(f"{name}: {error}")
                continue
            lines += [
                line for line in (f"{name}: {_line(one)}" for one in found) if all(w in line.lower() for w in words)
            ]
    more = [f"{len(lines) - MOST} more matched; narrow it down with other words."] if len(lines) > MOST else []
    return "\n".join([*lines[:MOST], *more]) or "No resource matches."


def _line(one: dict[str, Any]) -> str:
    about = brief(str(one.get("description") or one.get("title") or one.get("name") or ""), 100)
    kind = f" ({one['mimeType']})" if one.get("mimeType") else ""
    return f"{one.get('uri') or one.get('uriTemplate')} - {about}{kind}"


async def read_resource(session: Session, server: str, uri: str) -> Contents:
    """Nobody is asked about this, so an address may carry nothing from elsewhere. Raises HostError."""
    if _odd(session, server, uri, ()) and (odd := _odd(session, server, uri, await _addresses(session, server))):
        raise HostError(
            f"Not read: {', '.join(odd)} in this address was said neither by the server {server} nor by the user, "
            "and may be another server's data. Use an address as the server wrote it."
        )
    return await session.servers.read_resource(server, uri)


def _odd(session: Session, server: str, uri: str, listed: Sequence[str]) -> list[str]:
    return strangers(uri, server, session.state.messages, listed, session.state.compacted)


async def _addresses(session: Session, server: str) -> list[str]:
    """The addresses that a server lists, as far as it does."""
    found: list[str] = []
    for name, key in (("resources", "uri"), ("resource_templates", "uriTemplate")):
        with suppress(HostError):
            found += [str(each.get(key)) for each in await session.servers.listed(server, name)]
    return found
