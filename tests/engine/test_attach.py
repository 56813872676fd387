"""What stands beside a person's words, and what servers say to models, from a real server to the model's request."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from host.core import events as ev
from host.core.errors import HostError
from host.core.settings import Config, ModelProfile, Profile, ProviderConfig, ServerConfig, ToolSettings
from host.core.types import Blob, Message, Text, ToolCall
from host.engine.host import Host, RunOptions
from host.engine.session import Session
from host.providers.base import Request
from host.providers.scripted import Scripted

NOTES = Path(__file__).parents[1] / "servers" / "programs" / "notes.py"
READ = ToolSettings("read", False)
Decide = Callable[[Request], Any]


def fine(request: Request) -> Message:
    return Message("assistant", (Text("fine"),))


@asynccontextmanager
async def talking(
    home: Path, decide: Decide = fine, era: str = "modern", **more: Any
) -> AsyncIterator[tuple[Host, list[Request]]]:
    """A host with the server `notes` and a model that is a function."""
    requests: list[Request] = []

    def heard(request: Request) -> Any:
        requests.append(request)
        return decide(request)

    tools = dict.fromkeys(("everything", "add_note", "change_note", "work"), READ)
    notes = ServerConfig("notes", "python", (str(NOTES), era), tools=tools, trust_hints=True, **more)
    config = Config(
        home,
        "offline/scripted",
        {"offline": ProviderConfig("offline", "offline")},
        {"notes": notes},
        {"default": Profile("default", ("notes",), prompt="Be brief.")},
    )

    async def provider_for(name: str, profile: Profile) -> Any:
        return Scripted(heard), name, ModelProfile(images=True)

    async with Host(config, RunOptions(), provider_for) as host:
        yield host, requests


async def said(session: Session, text: str, *what: dict[str, Any]) -> None:
    """Say it with this beside it, and wait for the end of the turn."""
    read = [await session.ask("attach", what=each) for each in what]
    parts = tuple(part for _, each in read for part in each)
    since = session.state.seq
    assert session.submit(ev.Say(text, parts, tuple(one for one, _ in read))) is None
    async for item in session.feed(since):
        if isinstance(item, ev.Recorded) and isinstance(item.event, ev.TurnEnded):
            return


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(40):
            await main()

    anyio.run(bounded)


def texts(message: Message) -> list[str]:
    return [part.text for part in message.parts if isinstance(part, Text)]


def test_what_is_attached_is_one_message_framed_capped_and_readable_by_its_handle(tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text("the plan")

    def decide(request: Request) -> Message:
        if len(request.messages) > 1:
            return fine(request)
        (handle,) = re.findall(r'handle="(r\d+\.\d+)"', request.messages[0].text)
        call = ToolCall("c1", "host__read_result", {"handle": handle, "offset": 70_000})
        return Message("assistant", (call,))

    async def main() -> None:
        async with talking(tmp_path / "home", decide) as (host, requests):
            session = await host.open()
            prompt = {"server": "notes", "prompt": "sum_up", "arguments": {"topic": "apples"}}
            beside = [{"server": "notes", "uri": uri} for uri in ("note://one", "picture://red", "note://long")]
            await said(session, "Look at these", *beside, prompt, {"file": str(tmp_path / "plan.txt")})
            message = requests[0].messages[0]
            words, one, picture, long, chosen, filled, note, plan = texts(message)
            assert words == "Look at these"
            assert 'server="notes" from="resource note://one"' in one
            assert "Buy milk." in one
            assert "resource picture://red" in picture
            assert [part.media_type for part in message.parts if isinstance(part, Blob)] == ["image/png"]
            assert len(long) < 40_000
            assert "characters not shown" in long
            assert chosen == "[The user chose this prompt of the server notes and wants what it asks for:]"
            assert "Sum up apples." in filled
            assert "Buy milk." in note
            assert "the plan" in plan
            (asked, read) = (requests[1].messages[1], requests[1].messages[2])
            assert asked.calls
            assert "a line of it" in read.parts[0].content[0].text  # type: ignore[union-attr]
            assert (session.state.words, session.state.title) == ("Look at these", "Look at these")
            before = session.state.messages
            await host.close(session.session)
            again = await host.open(resume=session.session)
            assert again.state.messages == before

    run(main)


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_a_resource_that_was_attached_is_watched_also_after_a_resume(tmp_path: Path, era: str) -> None:
    def decide(request: Request) -> Message:
        again = request.messages[-1].role == "user" and "change" in request.messages[-1].text
        return Message("assistant", (ToolCall("c1", "notes__change_note", {}),)) if again else fine(request)

    async def told(session: Session) -> None:
        """Change it until its change is told: a subscription takes its time to be there."""
        async with anyio.create_task_group() as tasks:

            async def changing() -> None:
                while True:
                    await said(session, "change it")

            tasks.start_soon(changing)
            async for item in session.feed():
                if isinstance(item, ev.ServerNews):
                    assert item == ev.ServerNews("notes", "resource", "note://one")
                    break
            tasks.cancel_scope.cancel()

    async def main() -> None:
        async with talking(tmp_path, decide, era) as (host, _):
            session = await host.open()
            await said(session, "Look", {"server": "notes", "uri": "note://one"})
            await told(session)
            await host.close(session.session)
            await told(await host.open(resume=session.session))

    run(main)


def test_what_cannot_be_attached_says_why_and_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\x00\xff\xfe")

    async def main() -> None:
        async with talking(tmp_path / "home") as (host, requests):
            session = await host.open()
            for what, why in (
                ({"server": "notes", "uri": "note://none"}, "no resource note://none"),
                ({"server": "none", "uri": "note://one"}, "no server named 'none'"),
                ({"file": str(tmp_path / "data")}, "neither text nor a picture"),
                ({"file": str(tmp_path)}, "is no file"),
                ({"other": 1}, "named by server and uri"),
            ):
                with pytest.raises(HostError, match=why):
                    await session.ask("attach", what=what)
            rejected = session.submit(ev.Say("hello", (Text("unlabelled"),)))
            assert rejected is not None
            assert not requests

    run(main)


def test_instructions_stand_in_the_system_prompt_in_their_frame_and_can_be_left_out(tmp_path: Path) -> None:
    async def system(home: Path, **more: Any) -> str:
        async with talking(home, **more) as (host, requests):
            await said(await host.open(), "hello")
            return requests[0].system

    async def main() -> None:
        whole = await system(tmp_path / "a")
        assert whole.startswith("Be brief.\n\nWhat these servers say of themselves.")
        assert 'server="notes" from="instructions">\nNotes are short. Read note://one first.\n</' in whole
        assert await system(tmp_path / "b", instructions=False) == "Be brief."

    run(main)


def test_the_model_lists_resources_and_reads_them(tmp_path: Path) -> None:
    asked = [
        ("host__list_resources", {"query": "note"}),
        ("host__read_resource", {"server": "notes", "uri": "note://two"}),
        ("host__read_resource", {"server": "notes", "uri": "topic://cherries"}),
    ]

    def decide(request: Request) -> Message:
        if request.messages[-1].role == "tool":
            return fine(request)
        return Message("assistant", tuple(ToolCall(f"c{n}", *each) for n, each in enumerate(asked)))

    async def main() -> None:
        async with talking(tmp_path, decide) as (host, requests):
            session = await host.open()
            await said(session, "tell me of cherries")
            listed, two, cherries = [part.content[0].text for part in requests[1].messages[2].parts]  # type: ignore[union-attr]
            assert "notes: note://one - Note one (text/plain)" in listed
            assert "Call Ana" in two
            assert "All about cherries" in cherries

    run(main)
