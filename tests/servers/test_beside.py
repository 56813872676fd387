"""What a server has besides tools: lists, completion, changes, instructions and its log."""

from functools import partial
from typing import Any

import anyio
import pytest
from noting import (
    Told,
    a_person_is_asked_before_it_is_given,
    changes_are_told,
    everything_besides_tools,
    noting,
    stdio,
    until_told,
)
from serving import call, ledger, run

ERAS = pytest.mark.parametrize("era", ["modern", "legacy"])


@ERAS
def test_lists_completion_and_instructions(era: str) -> None:
    run(partial(everything_besides_tools, stdio(era)))


def test_a_person_is_asked_before_a_resource_or_a_prompt_is_given() -> None:
    run(partial(a_person_is_asked_before_it_is_given, stdio("modern")))


@ERAS
def test_what_changes_is_told_and_listed_anew(era: str) -> None:
    run(partial(changes_are_told, stdio(era)))


@ERAS
def test_a_restarted_server_is_subscribed_again(era: str) -> None:
    async def main() -> None:
        told = Told()
        async with noting(stdio(era), told) as servers:
            servers.watch("notes", "note://one")
            await until_told(servers, told, "change_note", "resource", "note://one")
            lost = await call(servers, "notes__crash")
            assert lost.cause == "server_lost"
            told.news.clear()
            await until_told(servers, told, "change_note", "resource", "note://one")

    run(main)


@ERAS
def test_a_log_is_asked_for_from_a_level_on_and_kept(era: str, tmp_path: Any) -> None:
    async def main() -> None:
        path = tmp_path / "ledger"
        async with noting(stdio(era, env={"LEDGER": str(path)})) as servers:
            await call(servers, "notes__work")
            assert not [line for line in servers.journal("notes") if "shelf" in line]
            servers.listen("notes", "info")
            if era == "legacy":
                with anyio.fail_after(10):
                    while not ledger(path, "logging/setLevel"):
                        await anyio.lowlevel.checkpoint()
            await call(servers, "notes__work")
            said = [line.split(maxsplit=1)[1] for line in servers.journal("notes") if "shelf" in line]
            assert said == ['info     shelf: {"step":2}', 'warning  shelf: {"step":3}']

    run(main)


@ERAS
def test_instructions_can_be_left_out(era: str) -> None:
    async def main() -> None:
        async with noting(stdio(era, instructions=False)) as servers:
            assert servers.statuses["notes"].instructions == ""

    run(main)
