"""Resources, prompts and files by name: what is offered while one types, and what is said."""

from __future__ import annotations

from typing import Any

import pytest
from tui_fake import FakeDoor, calls, decided, finished, opened, said, started, user
from tui_stage import Stage, play

from host.core import events as ev
from host.core.errors import HostError
from host.core.source import ServerStatus
from host.core.types import Attached, Blob, Text
from host.frontends.tui.mentions import Hole, Typed, arguments, hole, mentions, prompt, typed

READY = ServerStatus("notes", "ready", offers=("completions", "prompts", "resources"))
LISTS: dict[str, list[dict[str, Any]]] = {
    "resources": [
        {"uri": "note://one", "name": "one", "title": "Note one", "mimeType": "text/plain"},
        {"uri": "note://two", "name": "two"},
    ],
    "resource_templates": [{"uriTemplate": "topic://{topic}", "name": "topic", "description": "All about it"}],
    "prompts": [
        {
            "name": "sum_up",
            "description": "Sums up",
            "arguments": [{"name": "topic", "required": True}, {"name": "style", "description": "How"}],
        },
        {"name": "greet"},
    ],
}
PICTURE = Blob("image/png", "iVBORw0KGgo=")


def attach(what: dict[str, Any]) -> Any:
    match what:
        case {"prompt": name}:
            return Attached("prompt", name, what["server"], 1, what["arguments"] or None), (Text("Sum it up."),)
        case {"uri": "note://two"}:
            return Attached("resource", "note://two", "notes", 2), (Text("a note"), PICTURE)
        case {"uri": uri}:
            return HostError(f"notes has no {uri}")
        case _:
            return Attached("file", what["file"]), (Text("the plan"),)


def door(*more: Any) -> FakeDoor:
    door = FakeDoor([opened(), *more])
    door.statuses = [READY]
    door.answers = {
        "listed": lambda server, name: LISTS[name],
        "complete": lambda server, ref, name, value, given: (
            [f"{value}ples", f"{given.get('topic', value)}ricots"],
            False,
        ),
        "attach": attach,
        "files": lambda prefix: [each for each in ("plan.txt", "plans/") if each.startswith(prefix)],
    }
    return door


def spoken(stage: Stage) -> list[ev.Say]:
    return stage.sent(ev.Say)


def test_a_resource_is_picked_by_its_name_and_said_with_the_words() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("compare @")
        await stage.sees("@notes:note://one", "Note one · text/plain", "topic://{topic}", "@plan.txt")
        await stage.type("two")
        await stage.misses("note://one")
        await stage.press("tab")
        assert stage.prompt == "compare @notes:note://two "
        await stage.type("and @pl")
        await stage.sees("@plans/")
        await stage.press("enter")
        assert stage.prompt == "compare @notes:note://two and @plan.txt "
        await stage.press("enter")
        await stage.until(lambda: spoken(stage))
        (say,) = spoken(stage)
        assert say.text == "compare @notes:note://two and @plan.txt"
        assert [one.name for one in say.attached] == ["note://two", "plan.txt"]
        assert say.parts == (Text("a note"), PICTURE, Text("the plan"))
        await stage.sees("┆ resource note://two · notes · 6 characters, image/png", "┆ file plan.txt · 8 characters")

    play(door(), scene)


def test_what_cannot_be_read_is_told_and_comes_back_unsent() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("read @notes:gone, me@example.org")
        await stage.press("enter")
        await stage.sees("not sent: notes has no gone")
        assert stage.prompt == "read @notes:gone, me@example.org"
        assert not spoken(stage)

    play(door(), scene)


def test_a_prompt_of_a_server_takes_arguments_with_the_values_that_it_proposes() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/sum")
        await stage.sees("▸ /notes:sum_up topic [style]", "Sums up")
        await stage.press("enter")
        await stage.sees("▸ topic=", "required", "style=", "How")
        await stage.press("enter")
        await stage.type("ap")
        await stage.sees("▸ topic=apples", "topic=apricots")
        await stage.press("down", "tab")
        assert stage.prompt == "/notes:sum_up topic=apricots "
        await stage.type("style=x")
        await stage.sees("style=apricotsricots")
        await stage.press("escape", "enter")
        await stage.until(lambda: spoken(stage))
        (say,) = spoken(stage)
        assert say.attached == (Attached("prompt", "sum_up", "notes", 1, {"topic": "apricots", "style": "x"}),)
        asked = [p for query, p in stage.handle.asked if query == "complete"]
        assert [(p["name"], p["value"]) for p in asked][-1] == ("style", "x")
        assert {p["given"].get("topic") for p in asked if p["name"] == "style"} == {"apricots"}

    play(door(), scene)


def test_a_prompt_without_what_it_needs_is_not_sent() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/notes:sum_up ")
        await stage.press("escape", "enter")
        await stage.sees("/notes:sum_up needs topic")
        assert not spoken(stage)

    play(door(), scene)


def test_lists_are_asked_for_once_and_again_when_the_server_says_they_changed() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("@")
        await stage.sees("note://one")
        await stage.type("x")
        await stage.press("backspace")
        await stage.sees("note://one")
        before = [p["name"] for query, p in stage.handle.asked if query == "listed"]
        assert sorted(before) == ["resource_templates", "resources"]
        stage.handle.answers["listed"] = lambda server, name: []
        stage.handle.emit(ev.ServerNews("notes", "resources"))
        await stage.press("backspace")
        await stage.type("@")
        await stage.sees("plan.txt")
        await stage.misses("note://one")

    play(door(), scene)


def test_a_link_in_a_result_can_be_picked() -> None:
    link = {"type": "resource_link", "uri": "topic://figs", "name": "figs"}
    happened = [user("go"), calls("", ("c1", "notes__find", {})), decided("c1", "notes__find", {})]
    happened += [started("c1", "notes__find", {}), ev.CallFinished("c1", "ok", False, (link,)), said("done")]

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("@figs")
        await stage.sees("▸ @notes:topic://figs", "named in a result")

    play(door(*happened, ev.TurnEnded("done")), scene)


def test_a_changed_resource_is_told_once_until_it_is_attached_anew() -> None:
    told = "notes: note://two changed; @ it again"

    async def scene(stage: Stage) -> None:
        await stage.ready()
        stage.handle.emit(ev.ServerNews("notes", "resource", "note://other"))
        stage.handle.emit(*[ev.ServerNews("notes", "resource", "note://two")] * 2)
        await stage.sees(told)
        assert stage.text().count(told) == 1
        await stage.type("again @notes:note://two ")
        await stage.press("enter")
        await stage.until(lambda: spoken(stage))
        stage.handle.emit(ev.ServerNews("notes", "resource", "note://two"))
        await stage.until(lambda: stage.text().count(told) == 2)

    attached = (Attached("resource", "note://two", "notes"),)
    play(door(ev.UserSaid((Text("look"), Text("a note")), attached), said("fine"), ev.TurnEnded("done")), scene)


def test_words_are_told_from_what_means_more() -> None:
    assert typed("see @no", 7) == Typed("mention", "no", 4, 7)
    assert typed("see @no more", 7) == Typed("mention", "no", 4, 7)
    assert typed("me@no", 5) is None
    assert typed("/he", 3) == Typed("command", "he", 0, 3)
    assert typed("/notes:sum_up to", 16) == Typed("argument", "to", 14, 16)
    assert typed("/usr/bin is", 11) is None
    assert mentions("@a:b, (@c) @d. me@e @a:b!") == ["a:b", "d"]
    chosen = prompt('/n:p "green apples" style=x')
    assert chosen is not None
    assert arguments(chosen, ["topic", "style"]) == {"topic": "green apples", "style": "x"}
    assert prompt("/help me") is None


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("repo://", Hole("owner", "", "repo://", {})),
        ("repo://an", Hole("owner", "an", "repo://", {})),
        ("repo://ana/x", Hole("name", "x", "repo://ana/", {"owner": "ana"})),
        ("repo://ana/x/end", None),
        ("file://", None),
    ],
)
def test_the_place_of_a_template_at_which_one_types(uri: str, place: Hole | None) -> None:
    assert hole("repo://{owner}/{name}/end", uri) == place


def test_a_result_that_fits_its_schema_says_so() -> None:
    happened = [user("go"), calls("", ("c1", "notes__find", {})), decided("c1", "notes__find", {})]
    happened += [started("c1", "notes__find", {}), finished("c1", {"n": 1}, checked=True), said("done")]

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("f6", "space")
        await stage.sees("✓ its structured content fits the tool's own schema")

    play(door(*happened, ev.TurnEnded("done")), scene)
