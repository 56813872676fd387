#!/usr/bin/env python3
"""Real servers, run by the host's own connection layer: start, list, one call, clean end; a table of what came of each.

zoo.py [NAME ...]        the servers of servers.toml; each is fetched once, into $XDG_CACHE_HOME/agent-host/real
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from host.core.settings import ServerConfig
from host.core.source import Round
from host.servers.pool import Pool

LIST = Path(__file__).parent / "servers.toml"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-host" / "real"
FETCH_SECONDS, START_SECONDS, CALL_SECONDS, END_SECONDS = 600, 90, 60, 6


@dataclass
class Ran:
    """What came of one server."""

    name: str
    protocol: str = ""
    tools: int = 0
    ready: float = 0.0
    called: float = 0.0
    ended: float = 0.0
    quirks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def fetched(name: str, entry: dict[str, Any]) -> Path:
    """The folder of programs of a server, fetched if it is not there yet."""
    packages = entry.get("npm") or entry["pypi"]
    place = CACHE / f"{name}-{hashlib.sha256(json.dumps(packages).encode()).hexdigest()[:12]}"
    programs = place / ("node_modules/.bin" if "npm" in entry else "bin")
    if (place / "fetched").exists():
        return programs
    print(f"fetching {name}: {' '.join(packages)}", file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if "npm" in entry:
        commands = [["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(place), *packages]]
    else:
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages]
        commands = [[sys.executable, "-m", "venv", str(place)], pip]
    for command in commands:
        subprocess.run(command, check=True, timeout=FETCH_SECONDS, cwd=place, stdout=sys.stderr)
    (place / "fetched").touch()
    return programs


def furnished(folder: Path) -> Path:
    """What the servers find in the folder that they are given."""
    (folder / "hello.txt").write_text("hello from a file")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def config_of(name: str, entry: dict[str, Any], programs: Path, folder: Path) -> ServerConfig:
    def put(text: str) -> str:
        return text.replace("{folder}", str(folder))

    program, *arguments = entry["run"]
    return ServerConfig(
        name,
        str(programs / program),
        tuple(map(put, arguments)),
        {key: put(value) for key, value in entry.get("env", {}).items()},
        cwd=folder,
        sandbox=entry.get("sandbox", "strict"),
        startup_timeout=START_SECONDS,
        tool_timeout=CALL_SECONDS,
    )


async def tried(entry: dict[str, Any], config: ServerConfig) -> Ran:
    """Start it, call it, end it, and look whether anything of it is left."""
    ran = Ran(config.name)
    began = time.monotonic()
    async with Pool() as pool:
        servers = pool.servers("real", [config], lambda status: None, lambda *_: None, {})
        await servers.settled()
        ran.ready = time.monotonic() - began
        status = servers.statuses[config.name]
        if status.state != "ready":
            ran.problems += [f"{status.state}: {status.detail}", *servers.logs(config.name)[-5:]]
            return ran
        ran.protocol, ran.tools, ran.quirks = status.protocol or "", status.tools, servers.quirks(config.name)
        ran.problems += [f"speaks {ran.protocol}, not {entry['protocol']}"] * (ran.protocol != entry["protocol"])
        ran.problems += await called(entry, config, servers)
        ran.called = time.monotonic() - began - ran.ready
        groups = sessions_of_ours()
        if not groups:
            ran.problems.append("its processes were not found")
        await servers.close()
        ran.ended = time.monotonic() - began - ran.ready - ran.called
        if ran.ended > END_SECONDS:
            ran.problems.append(f"took {ran.ended:.1f} s to end")
        if left := sessions_alive(groups):
            ran.problems.append(f"left processes behind: {left}")
    return ran


async def called(entry: dict[str, Any], config: ServerConfig, servers: Any) -> list[str]:
    spec = next((spec for spec in servers.tools() if spec.remote_name == entry["tool"]), None)
    if spec is None:
        return [f"has no tool {entry['tool']}, but {', '.join(spec.remote_name for spec in servers.tools())}"]
    arguments = json.loads(json.dumps(entry["arguments"]).replace("{folder}", str(config.cwd)))

    async def nobody(request: Any) -> dict[str, Any]:
        return {"action": "cancel"}

    result = await servers.source(config.name).call(spec, arguments, Round(1, "real"), lambda *_: None, nobody)
    text = "".join(block.get("text", "") for block in result.content)
    if result.outcome != "ok" or entry["expects"] not in text:
        return [f"{entry['tool']} answered {result.outcome} {result.reason or ''} {text[:300]!r}"]
    return []


def stat(process: Path) -> list[str]:
    """State, parent, group and session of a process; nothing if it is gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return []


def sessions_of_ours() -> set[str]:
    """The sessions that our children lead: each server has its own."""
    ours = str(os.getpid())
    return {found[3] for process in Path("/proc").glob("[0-9]*") if (found := stat(process)) and found[1] == ours}


def sessions_alive(sessions: set[str]) -> list[str]:
    return [
        process.name
        for process in Path("/proc").glob("[0-9]*")
        if (found := stat(process)) and found[3] in sessions and found[0] != "Z" and process.name != str(os.getpid())
    ]


def told(ran: Ran) -> str:
    mark = "FAIL" if ran.problems else "ok"
    times = f"{ran.ready:6.1f} {ran.called:6.2f} {ran.ended:6.2f}"
    lines = [f"{mark:4}  {ran.name:12}  {ran.protocol:10}  {ran.tools:5}  {times}"]
    lines += [f"      {problem}" for problem in ran.problems]
    return "\n".join(lines + [f"      quirk: {quirk}" for quirk in ran.quirks])


def main() -> int:
    entries = tomllib.loads(LIST.read_text())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="NAME", nargs="*", help=", ".join(entries))
    names = parser.parse_args().names or list(entries)
    if unknown := set(names) - set(entries):
        parser.error(f"not in {LIST.name}: {', '.join(sorted(unknown))}")
    print(f"{'':4}  {'server':12}  {'protocol':10}  {'tools':>5}  {'ready':>6} {'call':>6} {'end':>6}  (seconds)")
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            programs = fetched(name, entries[name])
            config = config_of(name, entries[name], programs, furnished(Path(folder)))
            ran = anyio.run(tried, entries[name], config)
        failed += bool(ran.problems)
        print(told(ran), flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
