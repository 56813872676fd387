"""Processes that stay behind (T17) and secrets that lie about (T18)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from field import Attack, World, field, tool
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
SECRETS = {
    "variables of the host": "CANARY-of-the-host",
    "key of the model": "CANARY-model-key",
    "password in the log": "CANARY-server-password",
}


def left(mark: str) -> list[int]:
    """The processes that were started with this mark among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in words.split(b"\0"):
                found.append(int(entry.name))
    return found


def stayed(name: str) -> Any:
    return lambda world: name in (world.folder / "stayed").read_text().split("\n")


KNOWN = (SECRETS["key of the model"], SECRETS["password in the log"])
"""What the host knows to be a secret. A variable that it never reads it cannot know."""


def told(name: str) -> Any:
    """Whether a server was given it in its environment."""
    return lambda world: any(SECRETS[name] in str(note.get("environment")) for note in world.ledger)


def kept(world: World) -> bool:
    """Whether a file of the host's own holds a secret, in any form that a search for its bytes finds."""
    files = [path for path in (world.folder / "state").rglob("*") if path.is_file()]
    return any(value.encode() in path.read_bytes() for path in files for value in KNOWN)


def printed(world: World) -> bool:
    text = str(world.lines) + (world.folder / "stderr").read_text()
    return any(value in text for value in KNOWN)


def sent(world: World) -> bool:
    return any(value in str(world.requests) for value in KNOWN)


def peeked(world: World) -> bool:
    return any(SECRETS["variables of the host"] in str(request) for request in world.requests)


ATTACKS = (
    *(Attack("T17", name, stayed(name)) for name in CHILDREN),
    Attack("T18", "environment of a server: the host's", told("variables of the host")),
    Attack("T18", "environment of a server: the model's key", told("key of the model")),
    Attack("T18", "files of the host", kept),
    Attack("T18", "what the program prints", printed),
    Attack("T18", "what the model is sent", sent),
    Attack(
        "T18", "/proc of the host", lambda world: any("CANARY-of" in note.get("found", "") for note in world.ledger)
    ),
)


def entries() -> Iterator[tuple[str, dict[str, Any]]]:
    for number, code in enumerate(CHILDREN.values()):
        yield f"c{number}", {"tools": [tool("x")], "children": [code], "boxed": True}
    said = {"content": [{"type": "text", "text": SECRETS["password in the log"]}]}
    more = 'env_vars = ["SHOP_PASSWORD"]'
    yield "peeping", {"tools": [tool("peek")], "reads": ["peek"], "boxed": True}
    yield "nosy", {
        "tools": [tool("look")], "reads": ["look"], "tells": True, "more": more,
        "results": {"look": said}, "stderr": [SECRETS["password in the log"]],
    }  # fmt: skip


def run(folder: Path, user: str) -> World:
    """Servers with children of every kind; the host is killed, and after five seconds none may be left."""
    env = {"SHOP_PASSWORD": SECRETS["password in the log"], "UNRELATED": SECRETS["variables of the host"]}
    with field(folder, dict(entries())) as home:
        mark = home.folder.name
        flags = home.prepare(user)
        text = home.config.read_text().replace('"none-needed"', '"${MODEL_KEY}"')
        home.config.write_text(text)
        with home.talk(*flags, **env, MODEL_KEY=SECRETS["key of the model"]) as talk:
            talk.send(kind="say", text=order("nosy__look") + order("peeping__peek"))
            talk.until("turn_ended")
            started = {name: pids for name in CHILDREN if (pids := left_by(name, mark))}
            talk.kill()
        end = time.monotonic() + SECONDS
        while left(mark) and time.monotonic() < end:
            time.sleep(0.1)
        (home.folder / "stayed").write_text("\n".join(name for name in started if left_by(name, mark)))
        world = home.world(talk)
    for pid in left(mark):
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue
    assert len(started) == len(CHILDREN), f"only {list(started)} were started"
    return world


def left_by(name: str, mark: str) -> list[int]:
    """The processes of one child, told by its code."""
    code = CHILDREN[name].encode()
    found = []
    for pid in left(mark):
        try:
            if code in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(pid)
        except OSError:
            continue
    return found
