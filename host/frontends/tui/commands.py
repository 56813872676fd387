"""The one table of what a person can do: name, help, keys, and whether it may be done while a turn runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`keys` are Textual's names. `typing` keys act only in the prompt, the others everywhere in the chat."""

    name: str
    help: str
    keys: tuple[str, ...] = ()
    during_turn: bool = True
    argument: str = ""
    typing: bool = False


COMMANDS: tuple[Command, ...] = (
    Command("new", "start a new session", ("ctrl+n",), during_turn=False),
    Command("resume", "open an earlier session", ("ctrl+s",), during_turn=False, argument="[ID]"),
    Command("servers", "servers: state, tools, what went wrong", ("f2",)),
    Command("server", "one server: what it says, has and logs; restart it", argument="NAME"),
    Command("changes", "tools that changed: read how, accept or leave them", ("f4",)),
    Command("tools", "tools the model is offered", argument="[query]"),
    Command(
        "mode", "read-only, ask or auto; without a word: the next one", ("shift+tab",), argument="[MODE]", typing=True
    ),
    Command("grants", "answers given ahead; take one back"),
    Command("review", "answer what waits for you", ("f5",)),
    Command("stop", "stop the running turn", ("escape",)),
    Command("cards", "move among the tool cards", ("f6", "alt+up", "alt+down")),
    Command("expand", "open or close all cards", ("ctrl+o",)),
    Command("redraw", "draw the screen anew", ("ctrl+l",)),
    Command("help", "keys and commands", ("f1",)),
    Command("quit", "leave", ("ctrl+d", "ctrl+c"), typing=True),
)

TYPING: tuple[tuple[str, str], ...] = (
    ("Enter", "send; while a turn runs: queue"),
    ("Shift+Enter, Ctrl+J", "new line"),
    ("Up, Down", "earlier and later prompts, at the first and last line"),
    ("Up or Alt+Up", "with an empty prompt: edit the last queued message"),
    ("/", "commands, and prompts of servers as /server:prompt name=value"),
    ("@", "put a resource (@server:uri) or a file beside your words"),
    ("Tab", "complete what is offered; Enter does too, where it is not complete"),
    ("PgUp, PgDn", "scroll the transcript"),
    ("Ctrl+C", "clear the prompt; twice: leave"),
    ("Ctrl+D", "leave, if the prompt is empty"),
    ("Space, Enter", "on a card: open, show all, close; j k or arrows move, Esc goes back"),
)


def find(name: str) -> Command | None:
    return next((command for command in COMMANDS if command.name == name), None)


def matching(text: str) -> list[Command]:
    """Commands that could be meant by what stands after the slash."""
    starts = sorted((c for c in COMMANDS if c.name.startswith(text)), key=lambda c: c.name != text)
    return starts + [command for command in COMMANDS if text and text in command.name and command not in starts]


def label(key: str) -> str:
    """A key as people write it."""
    return "+".join(part.capitalize() for part in key.replace("escape", "esc").split("+"))
