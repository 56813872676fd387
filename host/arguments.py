"""The command line as values. Imports nothing heavy: `--help` and `--version` must be quick."""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from host import __version__

COMMANDS = {
    "run": "one prompt without a terminal; prints the answer",
    "batch": "many prompts from a JSONL file, each a session of its own",
    "demo": "run a demonstration in a scratch folder",
    "mcp": "add, list, inspect and call MCP servers",
    "lock": "review what the servers' tools do, and pin them in servers.lock",
    "session": "list, show, export or delete sessions",
    "audit": "show, verify or export the record of sessions",
    "policy": "explain what would happen to a call; test the rules; list and take back grants",
    "doctor": "check configuration, model, machine and servers",
    "schema": "JSON Schema of events, commands and servers.toml",
}
EPILOG = (
    "commands:\n"
    + "\n".join(f"  {name:9} {what}" for name, what in COMMANDS.items())
    + """

exit codes: 0 done · 1 internal error · 2 usage · 3 config or consent · 4 authentication · 5 denied (--fail-on-denied)
            6 limit reached · 7 a required server or the model is unavailable · 8 a log is damaged · 130 interrupted
"""
)


class UsageError(Exception):
    """The command line asks for what cannot be; exit 2."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line: options stand before or after the command. Exits 2 on a mistake, 0 after --help."""
    words, plain = list(arguments), []
    if "--" in words:
        cut = words.index("--")
        words, plain = words[:cut], words[cut + 1 :]
    command, words = _command(words)
    parser = _parser(command)
    options, unknown = parser.parse_known_intermixed_args(words)
    if unknown:
        near = difflib.get_close_matches(unknown[0], parser.flags(), n=1)
        parser.error(f"no option {unknown[0]}" + (f"; did you mean {near[0]}?" if near else ""))
    options.command = command
    if plain:
        options.words = [*getattr(options, "words", []), *plain]
    problem = _problem(options)
    if problem:
        parser.error(problem)
    return options


def _command(words: list[str]) -> tuple[str | None, list[str]]:
    """The command among the words, and the words without it. A value of an option is no command."""
    takes_value = {flag for action in _shared()._actions if action.nargs is None for flag in action.option_strings}
    rest = list(words)
    at = 0
    while at < len(rest):
        if rest[at] in COMMANDS:
            return rest.pop(at), rest
        if not rest[at].startswith("-") or rest[at] == "-":
            return None, rest
        if rest[at] in ("-r", "--resume"):
            if at + 1 < len(rest) and rest[at + 1] not in COMMANDS and not rest[at + 1].startswith("-"):
                at += 1
            else:
                rest[at] = "--resume="  # else it would take the word behind the command for an ID
        elif rest[at] in takes_value:
            at += 1
        at += 1
    return None, rest


class _Parser(argparse.ArgumentParser):
    """Its mistakes are one line, in place of a list of all options."""

    def error(self, message: str) -> NoReturn:
        actions = next((action.choices for action in self._positionals._group_actions if action.choices), None)
        if actions and "required" in message:
            message = f"say what to do: {', '.join(actions)}"
        from host.frontends.plain import show

        show(f"{self.prog}: {message} ({self.prog} --help lists all)")
        raise SystemExit(2)

    def flags(self) -> list[str]:
        return [flag for action in self._actions for flag in action.option_strings]


def _parser(command: str | None) -> _Parser:
    parser = _Parser(
        prog=f"agent-host {command}" if command else "agent-host",
        description=COMMANDS[command] if command else "Chat with a model that uses the tools of MCP servers.",
        epilog=None if command else EPILOG,
        usage=None if command else "%(prog)s [options] [PROMPT]\n       %(prog)s COMMAND [options] …",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_shared()],
        allow_abbrev=False,
    )
    if add := _ADD.get(command or "chat"):
        add(parser)
    return parser


def _shared() -> argparse.ArgumentParser:
    """The options that every command takes."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("-p", "--profile", metavar="NAME", help="profile of servers.toml (not the prompt: that is an argument)")
    add("--config", metavar="FILE", type=Path, action="append", default=[], help="read FILE, not user and project file")
    add("-m", "--model", metavar="PROVIDER/MODEL")
    add("-c", "--continue", dest="latest", action="store_true", help="carry on the latest session")
    add("-r", "--resume", metavar="ID", nargs="?", const="", help="carry on a session")
    add("-C", "--cd", metavar="DIR", type=Path, help="work in DIR")
    add("--output-format", choices=("text", "json", "stream-json"), default="text")
    add("--input-format", choices=("text", "stream-json"), default="text")
    add("--mode", choices=("read-only", "ask", "auto"))
    add("--dangerously-bypass-approvals", dest="bypass", action="store_true", help="run what would be asked for")
    add("--allow", metavar="SERVER.TOOL", action="append", default=[], help="approve calls of it in this run")
    add("--fact", metavar="NAME=VALUE", action="append", default=[], help="set a session fact (NAME:=JSON: not a text)")
    add("--trust", action="store_true", help="consent to the project's file and its servers, for this run")
    add("--max-turns", metavar="N", type=_count, help="model requests for a prompt")
    add("--max-budget-usd", metavar="X", type=_amount)
    add("--max-tokens", metavar="N", type=_count)
    add("--timeout", metavar="S", type=_amount, help="seconds for a prompt, without waiting for people")
    add("--fail-on-denied", action="store_true", help="exit 5 if a call was denied or declined")
    add("--attach", metavar="SERVER:URI|FILE", action="append", default=[], help="put this beside the prompt (run)")
    add("--json-schema", metavar="FILE", type=Path, help="the answer is JSON of this schema")
    add("-v", "--verbose", action="store_true", help="say more on stderr")
    add("--version", action="version", version=f"agent-host {__version__}")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _prompt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="PROMPT", nargs="*", help="quote it; - reads stdin")


def _batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE.jsonl", type=Path, help='lines of {"id", "prompt", "profile"?}; - is stdin'
    )
    parser.add_argument("--concurrency", metavar="N", type=_count, default=4)
    _output(parser)


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="write to OUT, not to stdout")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?")
    parser.add_argument("words", metavar="PROMPT", nargs="*")
    parser.add_argument("--list", action="store_true", help="tell what there is")
    parser.add_argument("--headless", action="store_true", help="without a terminal: one prompt, or stdin")


def _session(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "show", "export", "delete"))
    parser.add_argument("ids", metavar="ID", nargs="*")
    parser.add_argument("--format", choices=("md", "json", "jsonl"), default="md", help="of an export")
    _output(parser)


OUTCOMES = ("ok", "error", "denied", "declined", "interrupted", "unknown", "open")


def _audit(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("action", choices=("show", "verify", "export"))
    add("ids", metavar="ID", nargs="*", help="sessions; none: the latest, for verify all")
    add("--all", action="store_true", help="show or export all sessions")
    add("--server", metavar="GLOB", help="show the calls of these servers only")
    add("--tool", metavar="GLOB", help="show the calls of these tools only")
    add("--outcome", choices=OUTCOMES, help="show the calls that ended so")
    add("--format", choices=("jsonl", "json", "md", "otlp"), default="jsonl", help="of an export")
    add("--mask", action="store_true", help="export without what was said and sent: lengths in place of texts")
    add("--json", action="store_true", help="show: one call a line; verify: the findings")
    _output(parser)


def _policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("explain", "test", "grants"))
    parser.add_argument("operands", metavar="SERVER.TOOL", nargs="*", help="of explain; of test: FILE…")
    parser.add_argument("--args", metavar="JSON", default="{}", help="the call's arguments")
    parser.add_argument("--revoke", metavar="ID", action="append", default=[], help="of grants: take this one back")
    parser.add_argument("--json", action="store_true")


MCP = {
    "add": "NAME [--env K=V] -- CMD ARGS…  or  NAME --url URL: write a server into servers.toml",
    "list": "the servers that the files name; starts none of them",
    "get": "NAME: all that the files say of one",
    "remove": "NAME: take it out of its file",
    "enable": "NAME",
    "disable": "NAME",
    "inspect": "NAME [--wire]: connect, and tell all that it offers, what is odd about it, and the messages",
    "login": "NAME: sign in at a server with a url, in your browser",
    "logout": "NAME: forget what was signed in for",
    "import": "[FILE]: out of .mcp.json, or a file of VS Code, Claude Desktop or Codex; each one is asked for",
    "call": "NAME TOOL [--args JSON]: through a session of its own, under the same rules",
    "read": "NAME URI: a resource",
    "prompt": "NAME PROMPT [--args JSON]: a prompt, filled in",
}


def _mcp(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "actions:\n" + "\n".join(f"  {name:8} {what}" for name, what in MCP.items())
    add = parser.add_argument
    add("action", choices=MCP, metavar="ACTION")
    add("operands", metavar="NAME", nargs="*")
    add("-e", "--env", metavar="K=V", action="append", default=[], help="a variable that the server gets")
    add("--url", metavar="URL", help="a server at an address, in place of a command")
    add("-H", "--header", metavar="K=V", action="append", default=[], help="a header that it gets")
    add("--bearer-token-env-var", metavar="VAR", help="the variable that holds its token")
    add("-s", "--scope", choices=("user", "project"), help="your own servers.toml, or that of this folder")
    add("--cwd", metavar="DIR", type=Path, help="the folder that the server is started in")
    add("--args", metavar="JSON", help="the arguments of a call or a prompt")
    add("--wire", action="store_true", help="inspect: the messages whole, however long")
    add("--json", action="store_true")
    parser.set_defaults(words=[])


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="check this server only")
    parser.add_argument("--probe", action="store_true", help="send the model one small request; costs money")
    parser.add_argument("--json", action="store_true")


def _lock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="change nothing; exit 3 where a tool is not as locked")
    parser.add_argument("--update", metavar="NAME", help="review this server only")
    parser.set_defaults(words=[])


_ADD: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "chat": _prompt,
    "run": _prompt,
    "batch": _batch,
    "demo": _demo,
    "session": _session,
    "audit": _audit,
    "policy": _policy,
    "mcp": _mcp,
    "lock": _lock,
    "doctor": _doctor,
}


def is_text(words: str) -> bool:
    """Whether it was UTF-8 where it came from. Other bytes stand for themselves in it, and no log takes them."""
    return not any("\ud800" <= letter <= "\udfff" for letter in words)


def _problem(options: argparse.Namespace) -> str | None:
    """What argparse cannot see."""
    words: list[str] = getattr(options, "words", [])
    if not all(map(is_text, words)):
        return "the prompt is not UTF-8 text"
    if options.profile and " " in options.profile:
        return f"-p names a profile; to send a prompt: agent-host run {options.profile!r}"
    if options.command is None and len(words) > 1:
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        return f"unknown command {words[0]!r}; " + (
            f"did you mean {near[0]}?" if near else "quote a prompt of many words"
        )
    if options.command == "run" and len([word for word in words if word != "-"]) > 1:
        return "a prompt is one argument: quote it"
    if options.command is None and (options.output_format != "text" or options.input_format != "text"):
        return "--output-format and --input-format are for agent-host run"
    if options.input_format == "stream-json" and options.output_format != "stream-json":
        return "--input-format stream-json needs --output-format stream-json"
    if options.latest and options.resume is not None:
        return "--continue is the latest session, --resume one of your choice: give one of them"
    for allowed in options.allow:
        if not all(allowed.partition(".")):
            return f"--allow {allowed}: write SERVER.TOOL"
    for fact in options.fact:
        if not all(fact.partition("=")[:2]):
            return f"--fact {fact}: write NAME=VALUE"
    return None
