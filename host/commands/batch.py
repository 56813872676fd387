"""`agent-host batch`: many prompts, each in a session and with servers of its own."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from typing import Any

import anyio

from host.arguments import UsageError
from host.commands.start import Begun, begin, piped, terminal_ask
from host.config.problems import nearest
from host.frontends.plain import draw

WIDTH = 30
KEYS = frozenset({"id", "prompt", "profile"})


def main(options: argparse.Namespace) -> int:
    lines = read_lines(options)
    begun = begin(options, terminal_ask(options))
    for number, line in lines:
        if (profile := line.get("profile")) and profile not in begun.config.profiles:
            near = nearest(profile, begun.config.profiles)
            raise UsageError(f"{options.file}:{number}: profile: no profile {profile}{near}")
    return anyio.run(_run, options, begun, [line for _, line in lines])


async def _run(options: argparse.Namespace, begun: Begun, lines: list[dict[str, Any]]) -> int:
    from host.commands.serve import OnOpen, run_options, serve
    from host.frontends import headless
    from host.frontends.handle import Door

    async def front_end(door: Door, on_open: OnOpen) -> int:
        # Buffered by line and written from the loop: a line of results is small.
        with open(options.output, "wb") if options.output else nullcontext() as out:  # noqa: ASYNC230, PTH123
            return await headless.batch(
                door,
                lines,
                concurrency=options.concurrency,
                out=out,
                profile=options.profile,
                on_done=lambda done: _progress(done, len(lines)),
            )

    return await serve(begun, run_options(options, begun, attended=False), front_end, warm_first=True)


def read_lines(options: argparse.Namespace) -> list[tuple[int, dict[str, Any]]]:
    """The lines of the file with their numbers. Raises UsageError naming the first that is not a prompt."""
    try:
        text = piped() if str(options.file) == "-" else options.file.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{options.file}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{options.file}: not UTF-8 text") from None
    lines = [(number, _line(options, number, line)) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise UsageError(f"{options.file}: no prompts in it")
    return lines


def _line(options: argparse.Namespace, number: int, text: str) -> dict[str, Any]:
    where = f"{options.file}:{number}"
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON: {error}") from None
    if not isinstance(line, dict) or not isinstance(line.get("prompt"), str):
        raise UsageError(f'{where}: write {{"id": …, "prompt": "…"}}')
    for key in line:
        if key not in KEYS:
            raise UsageError(f"{where}: {key}: unknown key{nearest(key, KEYS)}")
    return line


def _progress(done: int, total: int) -> None:
    """A bar."""
    draw(f"{'█' * (WIDTH * done // total):░<{WIDTH}} {done}/{total}", "\n" if done == total else "")
