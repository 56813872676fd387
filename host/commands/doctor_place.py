"""What the doctor sees of the machine: interpreter, terminal, where state is kept. Reads, and writes one file to see
whether it can."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from host import __version__
from host.core.settings import ServerConfig
from host.servers import probe
from host.servers.sandbox import in_force

LITTLE = 200_000_000
PACKAGE = Path(__file__).parent.parent


def machine() -> dict[str, Any]:
    """Facts of the interpreter and the terminal."""
    size = os.get_terminal_size(sys.stdout.fileno()) if sys.stdout.isatty() else None
    multiplexer = "tmux" if os.environ.get("TMUX") else "screen" if os.environ.get("STY") else None
    return {
        "host": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "executable": sys.executable,
        "platform": platform.platform(terse=True),
        "bytecode": compiled(),
        "sandbox": sandbox(),
        "terminal": {
            "term": os.environ.get("TERM"),
            "colour": os.environ.get("COLORTERM"),
            "tty": sys.stdin.isatty() and sys.stdout.isatty(),
            "size": [size.columns, size.lines] if size else None,
            "encoding": sys.stdout.encoding,
            "multiplexer": multiplexer,
        },
    }


def sandbox() -> dict[str, Any]:
    """What holds servers on this machine, found by running it."""
    facts = probe.machine()
    landlock = f"Landlock {facts.landlock}" if facts.landlock else ""
    means = [name for name in ("bubblewrap" if facts.bwrap else "", landlock) if name]
    words = ", ".join(part for part in (" and ".join(means) or "none works", facts.trouble) if part)
    example = in_force(ServerConfig("any"), facts) if facts.confines else "off"
    return {"works": facts.confines, "means": means, "level": example, "about": f"{words}: {example}"}


def compiled() -> bool:
    """Whether the program's own modules lie there as bytecode: without it each start compiles them anew."""
    paths = [path for path in PACKAGE.rglob("*.py") if path.parent.name in ("commands", "core", "engine", "config")]
    return all(Path(importlib.util.cache_from_source(str(path))).exists() for path in paths)


def state(folder: Path) -> dict[str, Any]:
    """Whether sessions can be kept there, and how much room is left. A folder that is not there yet is not made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    found: dict[str, Any] = {"folder": str(folder), "writable": True, "error": None, "free_bytes": None}
    try:
        with tempfile.TemporaryFile(dir=there):
            found["free_bytes"] = shutil.disk_usage(there).free
    except OSError as error:
        found |= {"writable": False, "error": error.strerror or str(error)}
    return found


def remarks(facts: dict[str, Any], kept: dict[str, Any]) -> list[str]:
    """What is not wrong, but could be better, each with the remedy."""
    terminal = facts["terminal"]
    found = []
    if not facts["bytecode"]:
        found.append(
            f"not all of the program is compiled, so it starts slowly: {facts['executable']} -m compileall -q {PACKAGE}"
        )
    if terminal["tty"] and terminal["term"] in (None, "dumb"):
        found.append("TERM is unset or dumb: the chat needs a real terminal; agent-host run works without one")
    if (terminal["encoding"] or "").lower().replace("-", "") != "utf8":
        found.append(f"the terminal's encoding is {terminal['encoding']}: set LANG to a UTF-8 locale")
    if facts["sandbox"]["means"][:1] != ["bubblewrap"] and sys.platform == "linux":
        found.append("bubblewrap is not installed or does not run here: with it servers are held better")
    if kept["free_bytes"] is not None and kept["free_bytes"] < LITTLE:
        found.append(f"only {kept['free_bytes'] // 1_000_000} MB are free in {kept['folder']}")
    return found
