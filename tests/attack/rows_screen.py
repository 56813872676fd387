"""Terminals: what servers say on them (T13, T14)."""

from __future__ import annotations

import re
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from field import Attack, World, field, tool
from obeying import order
from terminal import Terminal

CONTROLS = "\x1b]0;OWNED\x07\x1b]52;c;T1dORUQ=\x07\x1b]8;;http://evil.example\x07here\x1b]8;;\x07"
CONTROLS += "\x1b[2J\x1bP+q\x1b\\\x9b31m\x90\rX"
UNSEEN = "\u202efdp\u202c\u200b\u2066x\u2069\U000e0041\ufeff"
HOSTILE = f"A {CONTROLS} B {UNSEEN} C [bold red]D[/]"
TEXT = {"content": [{"type": "text", "text": f"{HOSTILE}\n{HOSTILE}"}]}
SESSION = "SESSION"
COMMANDS: dict[str, list[str]] = {
    "run": ["run", order("h__look")],
    "mcp list": ["mcp", "list"],
    "mcp inspect": ["mcp", "inspect", "h"],
    "mcp call": ["mcp", "call", "h", "look", "--args", "{}"],
    "mcp read": ["mcp", "read", "h", "x://1"],
    "mcp prompt": ["mcp", "prompt", "h", "greet"],
    "session list": ["session", "list"],
    "session show": ["session", "show", SESSION],
    "session export": ["session", "export", SESSION, "--format", "md"],
    "session export as json": ["session", "export", SESSION, "--format", "json"],
    "session export as lines": ["session", "export", SESSION, "--format", "jsonl"],
    "audit show": ["audit", "show", SESSION],
    "audit export": ["audit", "export", SESSION],
    "doctor": ["doctor", "h"],
    "doctor as json": ["doctor", "h", "--json"],
    "mcp inspect as json": ["mcp", "inspect", "h", "--json"],
    "run as json": ["run", "--output-format", "json", order("h__look")],
    "run as stream": ["run", "--output-format", "stream-json", order("h__look") + order("h__fail")],
    "tool in words": ["policy", "explain", "h.look"],
    "lock": ["lock", "--check"],
}


def steers(written: bytes) -> bool:
    """Whether a command's output holds a control that is not a colour, a line end or a tab."""
    ours = rb"\x1b\[[0-9;]*m|\r\n|\r\x1b\[K|\rservers: "
    plain = re.sub(ours, b"", written).decode(errors="replace")
    return any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in plain)


def hides(written: bytes) -> bool:
    """Whether it holds a character that cannot be seen or turns the others round."""
    return any(unicodedata.category(c) in ("Cf", "Cs", "Co") for c in written.decode(errors="replace"))


def output(command: str, judge: Any) -> Any:
    return lambda world: judge((world.folder / f"screen-{command}").read_bytes())


def chat(mark: bytes) -> Any:
    """Whether a sequence that only a server can have made was written in the chat."""
    return lambda world: mark in (world.folder / "screen-chat").read_bytes()


MARKS = {
    "window title": b"\x1b]0;OWNED",
    "clipboard": b"\x1b]52;c;T1dORUQ",
    "link": b"evil.example\x07",
    "C1": "\x9b".encode(),
    "device control": b"\x1bP+q",
}
IN_COMMANDS = (
    *(Attack("T13", command, output(command, steers)) for command in COMMANDS),
    *(Attack("T14", command, output(command, hides)) for command in COMMANDS),
)
IN_CHATS = (
    *(Attack("T13", f"chat: {name}", chat(mark)) for name, mark in MARKS.items()),
    *(Attack("T14", f"chat: U+{ord(c):04X}", chat(c.encode())) for c in sorted(set(UNSEEN)) if not c.isascii()),
)


def servers() -> dict[str, dict[str, Any]]:
    parameter = {"type": "object", "properties": {HOSTILE: {"type": "string", "description": HOSTILE}}}
    hostile = {
        "tools": [tool("look", HOSTILE, title=HOSTILE, inputSchema=parameter), tool("fail")],
        "reads": ["look", "fail"],
        "results": {"look": TEXT, "fail": TEXT | {"isError": True}},
        "instructions": HOSTILE,
        "info": {"name": HOSTILE, "version": HOSTILE},
        "resources": [{"uri": f"x://{HOSTILE}", "name": HOSTILE, "description": HOSTILE}],
        "prompts": [{"name": "greet", "title": HOSTILE, "description": HOSTILE}],
        "messages": [{"role": "user", "content": {"type": "text", "text": HOSTILE}}],
        "text": HOSTILE,
        "stderr": [HOSTILE],
    }
    return {"h": hostile}


def commands(folder: Path, user: str) -> World:
    """Each command on a terminal of its own, two at a time; first the one whose session others show."""
    with field(folder, servers()) as home, ThreadPoolExecutor(2) as pool:
        home.prepare(user)

        def shown(command: str, session: str = "") -> str:
            words = [session if word == SESSION else word for word in COMMANDS[command]]
            screen = Terminal(home.command(*words), home.env, home.folder)
            (folder / f"screen-{command}").write_bytes(screen.rest(20))
            screen.close()
            return screen.words

        session = re.search(r'"session": ?"([\w-]+)"', shown("run as stream"))
        assert session, "no session to show"
        list(pool.map(lambda command: shown(command, session[1]), (c for c in COMMANDS if c != "run as stream")))
        return home.world()


def chats(folder: Path, user: str) -> World:
    """A chat in which two tools are called, and then the page of servers."""
    with field(folder, servers()) as home:
        flags = home.prepare(user)
        screen = Terminal([*home.command(*flags, order("h__look") + order("h__fail"))], home.env, home.folder)
        try:
            end = time.monotonic() + 60
            while len(home.model.requests) < 2 and time.monotonic() < end:
                screen.read(0.05)
            spend(screen, 1)
            screen.keys(b"\x1bOQ")
            spend(screen, 1)
        finally:
            screen.close()
        (folder / "screen-chat").write_bytes(screen.written)
        return home.world()


def spend(screen: Terminal, seconds: float) -> None:
    """Let it run."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        screen.read(0.05)
