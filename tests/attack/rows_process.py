"""Processes that stay behind (T17) and secrets that lie about (T18)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

from field import PATIENCE, Attack, World, field, tool
from obeying import order

SECONDS = 5
IGNORE = "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 13, 15)]; time.sleep(300)"
CHILDREN = {
    "a child": "import time; time.sleep(300)",
    "one that ignores signals": IGNORE,
    "one with a session of its own": f"import os; os.setsid(); {IGNORE}",
    "one whose parent is gone": f"import os; os.fork() and os._exit(0); os.setsid(); {IGNORE}",
    "one with a group of its own": f"import os; os.setpgid(0, 0); {IGNORE}",
}
LIMITS = {"in the sandbox": True, "with the sandbox off": False}
ENDS = ("killed", "ended")
SERVERS = {f"c{n}": kind for n, kind in enumerate(product(CHILDREN, LIMITS))}
SECRETS = {
    "variables of the host": "CANARY-of-the-host",
    "key of the model": "CANARY-model-key",
    "password in the log": "CANARY-server-password",
}


def left(mark: str) -> dict[int, bytes]:
    """The processes that were started with this mark among their arguments, each with these."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if mark.encode() in words.split(b"\0"):
                found[int(entry.name)] = words
    return found


def named(server: str, end: str) -> str:
    return f"{', '.join(SERVERS[server])}, the host {end}"


def stayed(name: str) -> Any:
    return lambda world: name in (world.folder / "stayed").read_text().split("\n")


KNOWN = (SECRETS["key of the model"], SECRETS["password in the log"])
"""What the host knows to be a secret. A variable that it never reads it cannot know."""


def told(name: str) -> Any:
    """Whether a server was given it in its environment."""
    return lambda world: any(SECRETS[name] in str(note.get("environment")) for note in world.ledger)


def kept(world: World) -> bool:
    """Whether a file of the host's own holds a secret, in any form that a search for its bytes finds."""
    state = world.folder.with_name(f"{world.folder.name}.state")
    files = [path for path in state.rglob("*") if path.is_file()]
    assert files, "the host keeps no files where this looks for them"
    return any(value.encode() in path.read_bytes() for path in files for value in KNOWN)


def printed(world: World) -> bool:
    text = str(world.lines) + (world.folder / "stderr").read_text()
    return any(value in text for value in KNOWN)


def sent(world: World) -> bool:
    return any(value in str(world.requests) for value in KNOWN)


def peeked(world: World) -> bool:
    """Whether a server that looks at every process found a variable of the host, and said so to the model."""
    return any(SECRETS["variables of the host"] in str(request) for request in world.requests)


ATTACKS = (
    *(Attack("T17", name, stayed(name)) for name in (named(s, end) for end in ENDS for s in SERVERS)),
    Attack("T18", "environment of a server: the host's", told("variables of the host")),
    Attack("T18", "environment of a server: the model's key", told("key of the model")),
    Attack("T18", "files of the host", kept),
    Attack("T18", "what the program prints", printed),
    Attack("T18", "what the model is sent", sent),
    Attack("T18", "/proc of the host", peeked),
)


def child(server: str) -> str:
    """The code of a server's child, by which its process is known."""
    return f"{CHILDREN[SERVERS[server][0]]}  # {server}"


def entries() -> Iterator[tuple[str, dict[str, Any]]]:
    for server, (_, limits) in SERVERS.items():
        yield server, {"tools": [tool("x")], "children": [child(server)], "boxed": LIMITS[limits]}
    said = {"content": [{"type": "text", "text": SECRETS["password in the log"]}]}
    more = 'env_vars = ["SHOP_PASSWORD"]'
    yield "peeping", {"tools": [tool("peek")], "reads": ["peek"], "boxed": True}
    yield "nosy", {
        "tools": [tool("look")], "reads": ["look"], "tells": True, "more": more,
        "results": {"look": said}, "stderr": [SECRETS["password in the log"]],
    }  # fmt: skip


def run(folder: Path, user: str) -> World:
    """Servers with children of every kind; the host is killed, or ends, and after five seconds none may be left."""
    env = {"SHOP_PASSWORD": SECRETS["password in the log"], "UNRELATED": SECRETS["variables of the host"]}
    env |= {"MODEL_KEY": SECRETS["key of the model"]}
    stay: list[str] = []
    with field(folder, dict(entries())) as home:
        flags = home.prepare(user)
        home.config.write_text(home.config.read_text().replace('"none-needed"', '"${MODEL_KEY}"'))
        for how in ENDS:
            with home.talk(*flags, **env) as talk:
                talk.send(kind="say", text=order("nosy__look") + order("peeping__peek"))
                talk.until("turn_ended")
                absent = absentees(folder.name)
                talk.kill() if how == "killed" else talk.end()
            stay += [named(server, how) for server in outlived(folder.name)]
            assert not absent, f"{user}, before the host was {how}: without a child are {absent}"
        (folder / "stayed").write_text("\n".join(stay))
        return home.world(talk)


def absentees(mark: str) -> set[str]:
    """The servers that have no child yet, after the time that a busy machine may take."""
    end = time.monotonic() + PATIENCE / 2
    while running(mark) != set(SERVERS) and time.monotonic() < end:
        time.sleep(0.1)
    return set(SERVERS) - running(mark)


def outlived(mark: str) -> set[str]:
    """Whose children are still there after the time they have; they are ended then."""
    end = time.monotonic() + SECONDS
    while left(mark) and time.monotonic() < end:
        time.sleep(0.1)
    servers = running(mark)
    for pid in left(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    return servers


def running(mark: str) -> set[str]:
    """The servers of which a child runs."""
    words = b"".join(left(mark).values())
    return {server for server in SERVERS if child(server).encode() in words}
