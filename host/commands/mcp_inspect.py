"""`agent-host mcp inspect`: connect to one server and tell all that it says of itself."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from time import monotonic
from typing import Any

import anyio

from host.arguments import UsageError
from host.commands.mcp import as_json, one_name, unknown
from host.commands.start import Begun, begin, facts, terminal_ask
from host.core.errors import ConfigError, HostError
from host.core.settings import ServerConfig
from host.core.source import Eras, ServerStatus
from host.core.text import Secrets
from host.core.types import ToolSpec
from host.frontends.plain import put_json, say, tell
from host.servers.pool import Pool
from host.store.host import HostStore

UNAVAILABLE = 7
FRAME, LINE = 2_000, 160
FRAMES = 1_000
ARROWS = {"out": "→", "in": "←"}
LISTS = ("tools", "resources", "resource_templates", "prompts")


class Frames:
    """The messages of a connection as they passed, with when: the first thousand."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self._began = monotonic()

    def heard(self, way: str, line: bytes) -> None:
        if len(self.kept) < FRAMES:
            text = line.decode("utf-8", "replace").strip()
            ms = round((monotonic() - self._began) * 1000)
            self.kept.append({"ms": ms, "way": way, "bytes": len(line), "frame": text})


def cut(text: str, limit: int | None) -> str:
    """The beginning of a message, and how much more there is."""
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]}… {len(text) - limit} characters more, shown by --wire"


def parsed(frame: dict[str, Any]) -> dict[str, Any]:
    """With the message as the JSON that it is; one that is cut, or was none, stays text."""
    try:
        return frame | {"frame": json.loads(frame["frame"])}
    except (ValueError, RecursionError):
        return frame


def main(options: argparse.Namespace) -> int:
    begun = begin(options, terminal_ask(options), talks=False)
    server = chosen(begun, one_name(options, ""))
    wire = Frames()
    with closing(HostStore(begun.env.state_folder)) as store:
        found = anyio.run(_inspected, server, facts(options), store, wire)
    secrets = Secrets(begun.config.secrets)
    limit = None if options.wire else FRAME if as_json(options) else LINE
    found["wire"] = [frame | {"frame": cut(secrets.clean(frame["frame"]), limit)} for frame in wire.kept]
    if as_json(options):
        put_json(found | {"wire": [parsed(frame) for frame in found["wire"]]}, secrets)
    else:
        say(*map(secrets.clean, as_text(found)))
    return UNAVAILABLE if "connection" in found["errors"] else 0


def chosen(begun: Begun, name: str) -> ServerConfig:
    """A server that may be started. Raises UsageError or ConfigError."""
    for notice in begun.notices:
        if "consent" in notice:
            tell(notice)
    server = begun.config.servers.get(name)
    if server is None:
        raise UsageError(unknown(name, begun.config.servers, list(begun.config.files)))
    if not server.enabled:
        raise ConfigError(f"{server.file}: {name} is off; agent-host mcp enable {name} turns it on")
    return server


async def _inspected(server: ServerConfig, facts: dict[str, Any], eras: Eras, wire: Frames) -> dict[str, Any]:
    def on_status(status: ServerStatus) -> None:
        """Its end is asked for, not waited for."""

    def on_tools(server: str, specs: list[ToolSpec], quarantined: dict[str, str]) -> None:
        """The lists are asked for anew, whole."""

    found: dict[str, Any] = {"name": server.name, "protocol": None, "server": {"name": None, "version": None}}
    found |= {"capabilities": {}, **{name: [] for name in LISTS}, "errors": {}, "quirks": []}
    async with Pool(eras=eras, tap=wire.heard) as pool:
        servers = pool.servers("inspect", [server], on_status, on_tools, facts)
        await servers.settled()
        status = servers.statuses[server.name]
        try:
            if status.state != "ready":
                raise HostError(status.detail or f"it is {status.state}")
            return found | await servers.inspect(server.name)
        except HostError as error:
            return found | {
                "errors": {"connection": str(error)},
                "quirks": servers.quirks(server.name),
                "log": servers.logs(server.name),
            }


def as_text(found: dict[str, Any]) -> list[str]:
    """The same for a person, as lines."""
    says = found["server"]
    lines = [
        f"{found['name']}: {says['name'] or 'without a name'} {says['version'] or ''}".rstrip(),
        f"  protocol      {found['protocol'] or 'not connected'}",
        f"  capabilities  {', '.join(sorted(found['capabilities'])) or 'none'}",
    ]
    for name in LISTS:
        if found[name]:
            lines.append(f"{name.replace('_', ' ')} ({len(found[name])}):")
            lines += [f"  {_entry(item)}" for item in found[name]]
    lines += [f"ERROR {name}: {why}" for name, why in found["errors"].items()]
    lines += [f"quirk: {quirk}" for quirk in found["quirks"]]
    lines += [f"{frame['ms']:6} ms {ARROWS[frame['way']]} {frame['frame']}" for frame in found["wire"]]
    lines += [f"log: {line}" for line in found.get("log", [])[-20:]]
    return lines


def _entry(item: dict[str, Any]) -> str:
    """A tool, resource or prompt on one line."""
    what = " ".join(str(item.get("description") or item.get("title") or "").split())
    wants = item.get("arguments") or list((item.get("inputSchema") or {}).get("properties") or {})
    names = ", ".join(str(each.get("name")) if isinstance(each, dict) else str(each) for each in wants)
    name = item.get("uri") or item.get("uriTemplate") or f"{item.get('name')}({names})"
    return f"{name}  {what[:200]}".rstrip()
