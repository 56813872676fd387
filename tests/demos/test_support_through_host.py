"""The support tasks through the whole program: a played model over HTTP, real servers, a person's answers.

Every task is played on one wire, three telling ones on the others and in one piece; SUPPORT_MATRIX=all plays every
task on every wire, streaming and not.
"""

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
WIRES = ("responses", "chat", "messages")
TELLING = ("status-question", "return-two-of-three", "refund-120-edited")
PROVIDER = """
[providers.played]
wire = "{wire}"
base_url = "{base_url}"
[providers.played.models.m]
stream = {stream}
"""


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


async def at_the_desk(task, folder, base_url, wire="responses", stream=True):
    """Say the prompt, answer what is asked in the task's order, and hand over the session's events."""
    command = [sys.executable, "-m", "host", "run", "-p", "customer-support", "-m", "played/m", "--trust"]
    command += ["--config", "servers.toml", "--config", "provider.toml"]
    command += ["--input-format", "stream-json", "--output-format", "stream-json"]
    provider = PROVIDER.format(wire=wire, base_url=base_url, stream=str(stream).lower())
    (folder / "provider.toml").write_text(provider)
    env = os.environ | {"PYTHONPATH": str(ROOT), "AGENT_HOST_HOME": str(folder / "home")}
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


def ways(name):
    """The wires, streaming and not, on which a task is played; the first is what the others are compared with."""
    if os.environ.get("SUPPORT_MATRIX") == "all":
        return [(wire, stream) for wire in WIRES for stream in (True, False)]
    if name not in TELLING:
        return [("responses", True)]
    whole = [(wire, False) for wire in WIRES] if name == TELLING[0] else []
    return [(wire, True) for wire in WIRES] + whole


def story(events):
    """What happened, each call's own events together: calls of one step may end in any order."""
    steps, of_question = [], {}
    for event in events:
        if event["kind"] == "model_said" or not steps:
            steps.append({})
        if event["kind"] == "asked":
            of_question[event["request_id"]] = event.get("call_id")
        call = event.get("call_id") or of_question.get(event.get("request_id"))
        told = {key: event[key] for key in ("verdict", "outcome", "action", "reason", "stop", "about") if key in event}
        steps[-1].setdefault(call, []).append((event["kind"], told))
    return [{call: step[call] for call in sorted(step, key=str)} for step in steps]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_ends_right_on_every_wire_and_in_the_same_way(tmp_path, name):
    async def main():
        stories = {}
        for wire, stream in ways(name):
            folder = tmp_path / f"{wire}-{stream}"
            folder.mkdir()
            with anyio.fail_after(LIMIT), ModelServer(played(TASKS[name])) as model:
                events, code = await at_the_desk(TASKS[name], copied(folder), model.base_url, wire, stream)
            assert checker.check(name, folder / "support.sqlite", events) == [], (wire, stream)
            assert checker.followed(name, events) == [], (wire, stream)
            assert code == 0
            stories[wire, stream] = story(events)
        first = stories["responses", True]
        assert len(first) > 1
        assert {way for way, told in stories.items() if told != first} == set()

    anyio.run(main)
