"""The resources that there are, for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from host.core.catalog import brief
from host.core.errors import HostError

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
