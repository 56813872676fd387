"""The page of one server, reached from the list or by its name."""

from __future__ import annotations

from typing import Any

from tui_fake import FakeDoor
from tui_stage import Stage, play

from host.core import events as ev
from host.core.source import ServerStatus


def door() -> FakeDoor:
    door = FakeDoor()
    said = {"instructions": "Read \x1b[31mnote://one first.", "offers": ("prompts", "resources")}
    other = ServerStatus("crm", "failed", "it is broken")
    door.statuses = [other, ServerStatus("notes", "ready", tools=2, protocol="2026-07-28", **said)]
    lists: dict[str, list[dict[str, Any]]] = {"resources": [{"uri": "note://one", "title": "Note one"}]}
    door.answers = {
        "listed": lambda server, name: lists.get(name, []),
        "journal": lambda server: ["12:00:01 warning  shelf: low on ink\x07"],
    }
    return door


def test_a_server_says_what_it_is_has_and_logs_and_is_restarted_by_a_key() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("f2")
        await stage.sees("▸ ✗ failed", "it is broken")
        await stage.press("down", "enter")
        await stage.sees(
            "● ready  2 tools · protocol 2026-07-28 · prompts · resources", "Read ␣U+001B[31mnote://one first."
        )
        await stage.sees("Resources (1)", "note://one  Note one", "shelf: low on ink␣U+0007")
        await stage.press("l", "l")
        await stage.sees("Log from info on")
        await stage.press("r", "escape")
        await stage.sees("▸ ● ready")
        expected = [ev.Listen("notes", "debug"), ev.Listen("notes", "info"), ev.Restart("notes")]
        assert [*stage.sent(ev.Listen), *stage.sent(ev.Restart)] == expected

    play(door(), scene)


def test_a_server_is_reached_by_its_name() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/server none")
        await stage.press("enter")
        await stage.sees("name a server: crm, notes")
        await stage.type("/server crm")
        await stage.press("enter")
        await stage.sees("Server crm", "✗ failed", "it is broken")

    play(door(), scene)
