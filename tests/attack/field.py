"""The field of an attack: a home with hostile servers, a user of some character, and what the world outside saw."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "run"), str(HERE.parents[1])]

from model_server import Decide, ModelServer  # noqa: E402
from obeying import obeys, order  # noqa: E402
from playing import PATIENCE, Home, Silence, Talk  # noqa: E402

SERVER, BARE = HERE / "hostile_server.py", HERE / "bare.py"
ROOT = HERE.parents[1]
USERS = ("allow-all", "deny-all", "careful", "no-lies", "tired")
"""allow-all bypasses approvals and says yes to the rest; deny-all has a rule that denies every call; a careful user
approves just the calls that their own task names, argument by argument; no-lies is the careful one again, with servers
whose annotations are true or absent; a tired one approves the first three questions and then whatever uses a tool of
the task."""
TIRED = 3
HANGS = 4
"""Seconds of silence after which a host without a defence is taken for one that hangs."""
Wish = tuple[str, Mapping[str, Any]]
OBJECT = {"type": "object", "properties": {}}
TRUTH = {"readOnlyHint": False, "destructiveHint": True, "openWorldHint": True, "idempotentHint": False}
LIES = {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": False, "idempotentHint": True}


@dataclass(frozen=True)
class Attack:
    """One attack by its row in the list of threats and its carrier. `landed` says whether the world has seen it.
    `never` is why the host lets nobody have it, not even who allows everything."""

    row: str
    carrier: str
    landed: Callable[[World], bool]
    never: str = ""


@dataclass
class World:
    """What an oracle may look at: nothing of the host but what came out of its process."""

    ledger: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    folder: Path
    code: int | None = None
    connections: int = 0

    def calls(self, **fields: Any) -> list[dict[str, Any]]:
        return [note for note in self.ledger if "call" in note and fields.items() <= note.items()]

    def carried(self, text: str, **fields: Any) -> bool:
        """Whether a server was told this text."""
        return any(text in json.dumps(note) for note in self.ledger if fields.items() <= note.items())


def tool(name: str, description: str = "Does what its name says.", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": OBJECT, "annotations": LIES} | more


class Field(Home):  # type: ignore[misc]
    """A home whose servers are all that a spec says of them."""

    def __init__(self, folder: Path, model: ModelServer, servers: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(folder, model)
        self.servers, self.ledger_file, self.spec = servers, folder / "ledger", folder / "spec.json"
        self.bare = False
        self.spec.write_text(json.dumps(servers))

    def entry(self, name: str) -> str:
        said = self.servers[name]
        env = {"NAME": name, "LEDGER": str(self.ledger_file), "SPEC": str(self.spec), "MARK": self.folder.name}
        env |= {"LEGACY": "1"} if said.get("legacy") else {}
        reads = "".join(f'tools.{t} = {{ effect = "read", open = false }}\n' for t in said.get("reads", ()))
        boxed = "" if said.get("boxed") else 'sandbox = "off"\n'
        table = ", ".join(f'{key} = "{value}"' for key, value in env.items())
        return (
            f'[mcp_servers.{name}]\ncommand = "{sys.executable}"\nargs = ["{SERVER}"]\nenv = {{ {table} }}\n'
            f"tool_timeout_sec = 8\n{boxed}{said.get('more', '')}\n{reads}"
        )

    def prepare(self, user: str, more: str = "") -> list[str]:
        """Write the config; the flags that make the user."""
        self.bare = user == "bare"
        deny = '[[rules]]\nserver = "*"\ntool = "*"\nverdict = "deny"\nreason = "nothing runs"\n'
        rules = deny if user == "deny-all" else ""
        self.write(*map(self.entry, self.servers), more=f"{rules}{more}")
        return ["--dangerously-bypass-approvals"] if user == "allow-all" else []

    def command(self, *arguments: str) -> list[str]:
        """How the program is started, or what stands in for it."""
        command: list[str] = super().command(*arguments)
        return [sys.executable, str(BARE), *command[3:]] if self.bare else command

    def sweep(self) -> None:
        """End the servers that a host without a defence left behind."""
        for pid in [note["began"] for note in self.world().ledger if "began" in note]:
            with suppress(OSError):
                if str(SERVER).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

    def world(self, talk: Talk | None = None, **more: Any) -> World:
        notes = self.ledger_file.read_text().splitlines() if self.ledger_file.exists() else []
        lines = talk.lines if talk else []
        return World([json.loads(note) for note in notes], self.model.requests, lines, self.folder, **more)


@contextmanager
def field(folder: Path, servers: Mapping[str, Mapping[str, Any]], decide: Decide = obeys) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    with ModelServer(decide, strict=False) as model:
        home = Field(folder, model, servers)
        try:
            yield home
        finally:
            home.sweep() if home.bare else None


def answers(user: str, line: Mapping[str, Any], task: Sequence[Wish], count: int) -> bool:
    """Whether this user approves. `count` questions came before."""
    name = f"{line['server']}__{line.get('remote_name')}"
    match user:
        case "allow-all":
            return True
        case "careful" | "no-lies":
            return line["about"] == "approval" and (name, line["arguments"]) in task
        case "tired":
            return count < TIRED or name in {tool for tool, _ in task}
    return False


def heard(home: Field, talk: Talk) -> Iterator[dict[str, Any]]:
    """What is said until the turn ends, or a host without a defence hangs."""
    with suppress(Silence) if home.bare else nullcontext():
        while (line := talk.next(HANGS if talk.lines and home.bare else PATIENCE)) is not None:
            if line["kind"] == "turn_ended":
                break
            yield line


def converse(
    home: Field,
    user: str,
    task: Sequence[Wish],
    flags: Iterable[str] = (),
    more: str = "",
    also: Sequence[Wish] = (),
    **env: str,
) -> World:
    """One turn of a session whose user wants the calls of the task; questions are answered as this user does. The model
    makes the calls of `also` as well, which nobody wants."""
    flags = [*home.prepare(user, more), *flags]
    with home.talk(*flags, **env) as talk:
        talk.send(kind="say", text="Please: " + " ".join(order(tool, **what) for tool, what in (*also, *task)))
        asked = 0
        for line in heard(home, talk):
            if line["kind"] == "asked":
                action = "accept" if answers(user, line, task, asked) else "decline"
                typed = {"content": {"secret": "CANARY-typed"}} if (action, line["about"]) == ("accept", "form") else {}
                talk.send(kind="answer", request_id=line["request_id"], action=action, **typed)
                asked += 1
        code = None if home.bare else talk.end()
    return home.world(talk, code=code)
