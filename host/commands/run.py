"""`agent-host run`: one prompt, or commands from stdin, without a terminal."""

from __future__ import annotations

import argparse
import os
import select
import stat
import sys
from pathlib import Path
from typing import Any

import anyio

from host.arguments import UsageError
from host.commands.start import Begun, begin, piped, terminal_ask
from host.frontends.plain import tell

PATIENCE = 0.25


def main(options: argparse.Namespace) -> int:
    prompt = prompt_of(options)
    begun = begin(options, terminal_ask(options))
    if prompt is None and begun.resume is None and options.input_format == "text":
        raise UsageError("no prompt: give one, or - to read it from stdin")
    if options.verbose or options.output_format == "text":
        tell(*begun.notices)
    return anyio.run(_run, options, begun, prompt)


async def _run(options: argparse.Namespace, begun: Begun, prompt: str | None) -> int:
    from host.commands.serve import OnOpen, run_options, serve
    from host.frontends import headless
    from host.frontends.handle import Door

    async def front_end(door: Door, on_open: OnOpen) -> int:
        return await headless.run(
            door,
            prompt,
            resume=begun.resume,
            profile=options.profile,
            output=options.output_format,
            input=options.input_format,
            fail_on_denied=options.fail_on_denied,
            attach=[named(given, begun) for given in options.attach],
            on_open=on_open,
        )

    return await serve(begun, run_options(options, begun, options.input_format == "stream-json"), front_end)


def named(given: str, begun: Begun) -> dict[str, Any]:
    """`--attach SERVER:URI` or `--attach FILE`. Raises UsageError where it is neither."""
    server, _, uri = given.partition(":")
    if uri and server in begun.config.servers:
        return {"server": server, "uri": uri}
    if not Path(given).expanduser().is_file():
        raise UsageError(f"--attach {given}: no file, and no SERVER:URI of a server that the files name")
    return {"file": given}


def prompt_of(options: argparse.Namespace) -> str | None:
    """The prompt: the argument, stdin, or both (`run "Sum this up" < notes.txt`)."""
    words = [word for word in options.words if word != "-"]
    given = " ".join(words) if words else None
    if options.input_format == "stream-json":
        return given
    if len(words) < len(options.words):
        more = piped()
    elif given is not None or options.resume is not None or options.latest:
        more = _waiting_input()
    else:
        more = "" if sys.stdin.isatty() else piped()
    return "\n\n".join(part for part in (given, more.strip()) if part) or None


def _waiting_input() -> str:
    """What is piped in where it need not be. A pipe that stays silent is left alone: it may never end."""
    if sys.stdin is None or sys.stdin.closed:
        return ""
    kind = os.fstat(sys.stdin.fileno()).st_mode
    if stat.S_ISREG(kind):
        return piped()
    if not stat.S_ISFIFO(kind):
        return ""
    if select.select([sys.stdin], [], [], PATIENCE)[0]:
        return piped()
    tell("nothing came on stdin, so it is not read; add - to wait for it")
    return ""
