"""The support tasks through the whole program: a played model over HTTP, real servers, a person's answers."""

import json
import os
import shutil
import sys

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from model_server import Call, ModelServer, Say
from support_case import DEMO, ROOT, demo_module

checker = demo_module("checker")
TASKS = checker.tasks()
LIMIT = 90


def played(task):
    """The model of a task: its turns one after the other, whatever the results say."""
    turns = iter(task["turns"])

    def decide(body):
        turn = next(turns)
        said = [Say(turn["text"])] if "text" in turn else []
        return [*said, *(Call(call["tool"], call["arguments"]) for call in turn.get("calls", []))]

    return decide


def copied(folder):
    """The demo's files as a user has them, in a place of their own."""
    shutil.copy(ROOT / "servers.toml", folder)
    shutil.copytree(ROOT / "prompts", folder / "prompts")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(DEMO, folder / DEMO.relative_to(ROOT), ignore=ignored)
    return folder


async def lines(process):
    rest = ""
    async for text in TextReceiveStream(process.stdout):
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            yield json.loads(line)


async def at_the_desk(task, folder, base_url):
    """Say the prompt, answer what is asked in the task's order, and hand over the session's events."""
    command = [sys.executable, "-m", "host", "run", "-p", "customer-support", "-m", "openai/played", "--trust"]
    command += ["--config", "servers.toml", "--input-format", "stream-json", "--output-format", "stream-json"]
    env = os.environ | {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "none", "PYTHONPATH": str(ROOT)}
    env["AGENT_HOST_HOME"] = str(folder / "home")
    answers, events = list(task["answers"]), []
    async with await anyio.open_process(command, cwd=folder, env=env, stderr=sys.stderr) as process:

        async def send(**message):
            await process.stdin.send(json.dumps(message).encode() + b"\n")

        await send(kind="say", text=task["prompt"])
        async for event in lines(process):
            if "seq" in event:
                events.append(event)
            if event["kind"] == "asked":
                await send(kind="answer", request_id=event["request_id"], **answer_to(event, answers.pop(0)))
            elif event["kind"] == "turn_ended":
                await send(kind="close")
    assert answers == [], "not everything was asked that the task expects"
    return events, process.returncode


def answer_to(asked, answer):
    assert asked["about"] == answer.get("about", "approval")
    assert asked["remote_name"] == answer["tool"]
    said = {"action": answer["action"]}
    if "edit" in answer:
        said["content"] = asked["arguments"] | answer["edit"]
    return said | {key: answer[key] for key in ("content", "reason") if key in answer}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_ends_right(tmp_path, name):
    async def main():
        with anyio.fail_after(LIMIT), ModelServer(played(TASKS[name])) as model:
            events, code = await at_the_desk(TASKS[name], copied(tmp_path), model.base_url)
        assert checker.check(name, tmp_path / "support.sqlite", events) == []
        assert checker.followed(name, events) == []
        assert code == 0

    anyio.run(main)
