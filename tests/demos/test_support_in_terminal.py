"""The support tasks in the chat itself, by keys only: the real engine, real servers, a played model over HTTP."""

import json
from contextlib import asynccontextmanager

import anyio
import pytest
from model_server import ModelServer
from support_case import demo_module
from test_support_through_host import TASKS, copied, played
from tui_stage import Stage

from host.arguments import parse
from host.commands.providers import Providers
from host.commands.serve import run_options
from host.commands.start import begin
from host.core.events import envelope
from host.engine.host import Host
from host.frontends.tui.app import ChatApp
from host.frontends.tui.choice import Choice
from host.store.audit import load

checker = demo_module("checker")
OPTIONS = ["-p", "customer-support", "-m", "openai/played", "--config", "servers.toml", "--trust"]


@asynccontextmanager
async def closing(providers):
    try:
        yield
    finally:
        await providers.close()


async def answered(stage, answer):
    """Answer the question on the screen as the task's person does."""
    await stage.until(lambda: stage.app.chat.panel is not None)
    while not (stage.panel.has_focus_within and stage.panel.size.height):
        await stage.press("f5")  # to the panel and, from it, back
    asked = stage.panel.asked
    assert (asked.remote_name, asked.about) == (answer["tool"], answer.get("about", "approval"))
    stage.wait(1)
    match answer:
        case {"about": "form", "content": content}:
            (row,) = stage.panel.rows
            assert isinstance(row.control, Choice)
            while row.control.choices[row.control.place][0] != content[row.field.name]:
                await stage.press("right")
            await stage.press("space", "f10")
        case {"edit": edit}:
            await stage.press("e", "f7")
            await stage.type(json.dumps(dict(asked.arguments) | edit))
            await stage.press("f10")
        case {"action": "decline", "reason": reason}:
            await stage.press("d")
            await stage.type(reason)
            await stage.press("enter")
        case {"action": "decline"}:
            await stage.press("n")
        case _:
            await stage.press("end", "y")
    await stage.until(lambda: stage.app.chat.panel is None or stage.panel.asked.request_id != asked.request_id)


async def at_the_terminal(task, size):
    """The task from its prompt to its end; the session's events as stored."""
    begun = begin(parse(OPTIONS), None)
    providers = Providers(begun.config)
    now = [1000.0]
    async with closing(providers), Host(begun.config, run_options(parse(OPTIONS), begun, True), providers.of) as host:
        app = ChatApp(host, profile="customer-support", clock=lambda: now[0])
        async with app.run_test(size=size) as pilot:
            stage = Stage(app, pilot, None, now)
            await stage.until(lambda: app.link.handle is not None)
            handle = app.link.handle
            await stage.type(task["prompt"])
            await stage.press("enter")
            for answer in task["answers"]:
                with anyio.fail_after(60):
                    while app.chat.panel is None:
                        await pilot.pause(0.02)
                await answered(stage, answer)
            state = await handle.ask("state")
            with anyio.fail_after(60):
                while state.turns == 0:
                    await pilot.pause(0.02)
            words = [turn["text"] for turn in task["turns"] if "text" in turn][-1].partition(".")[0]
            await stage.until(lambda: words[:40] in " ".join(stage.text().split()))
    return begun.config.home, handle.session


@pytest.mark.parametrize("name", TASKS)
def test_a_task_ends_right_by_keys(tmp_path, monkeypatch, name):
    async def main():
        with anyio.fail_after(120), ModelServer(played(TASKS[name])) as model:
            monkeypatch.chdir(copied(tmp_path))
            monkeypatch.setenv("AGENT_HOST_HOME", str(tmp_path / "home"))
            monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
            monkeypatch.setenv("OPENAI_API_KEY", "none")
            home, session = await at_the_terminal(TASKS[name], (100, 40))
        events = [json.loads(envelope(recorded)) for recorded in load(home, session)]
        assert checker.check(name, tmp_path / "support.sqlite", events) == []
        assert checker.followed(name, events) == []

    anyio.run(main)
