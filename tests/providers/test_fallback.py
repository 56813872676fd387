"""Models to fall back on: who is asked, when nobody else is, and what the log says of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from model_server import Fault, ModelServer
from spoken import Say

from host.core.errors import ProviderError
from host.core.events import Delta
from host.core.settings import ModelProfile
from host.core.types import Message, Text
from host.providers.base import OnDelta, Reply, Request
from host.providers.fallback import Fallback, Found

ROOT = Path(__file__).parent.parent.parent
BUSY = ProviderError("busy", retryable=True)


class One:
    """A model that fails, perhaps after some words, or answers with what it was asked for."""

    def __init__(self, error: ProviderError | None = None, first: str = "") -> None:
        self.error, self.first = error, first
        self.requests: list[Request] = []

    async def ask(self, request: Request, on_delta: OnDelta) -> Reply:
        self.requests.append(request)
        if self.first:
            on_delta(Delta(0, 0, "text", self.first))
        if self.error:
            raise self.error
        return Reply((Text(request.model),), "done", notes={"set_aside": {"x": "y"}})

    async def aclose(self) -> None: ...


def ask(**models: One) -> Reply:
    async def find(model: str) -> Found:
        return models[model.partition("/")[0]], model.partition("/")[2], ModelProfile(max_output=7)

    async def main() -> Reply:
        fallback = Fallback([f"{name}/big" for name in models], find)
        return await fallback.ask(Request("big", "", [Message("user", (Text("x"),))]), lambda _: None)

    return anyio.run(main)


def test_the_first_model_that_can_answer_does() -> None:
    reply = ask(a=One(), b=One())
    assert (reply.model, reply.parts, dict(reply.notes)) == ("a/big", (Text("big"),), {"set_aside": {"x": "y"}})


@pytest.mark.parametrize("error", [BUSY, ProviderError("gone", unavailable=True)])
def test_a_model_that_cannot_answer_is_followed_by_the_next_and_the_log_learns_why(error: ProviderError) -> None:
    first, second = One(error), One()
    reply = ask(a=first, b=second, c=One())
    assert reply.model == "b/big"
    assert reply.notes["failed"] == {"a/big": str(error)}
    assert second.requests[0].max_output == 7


@pytest.mark.parametrize(
    "first", [One(ProviderError("no key", auth=True)), One(ProviderError("bad request")), One(BUSY, first="Well, ")]
)
def test_nobody_else_is_asked_where_it_would_not_help_or_words_were_shown(first: One) -> None:
    second = One()
    with pytest.raises(ProviderError) as caught:
        ask(a=first, b=second)
    assert caught.value is first.error
    assert second.requests == []


def test_when_nobody_answers_every_reason_is_told() -> None:
    with pytest.raises(ProviderError, match=r"no model answered: busy; gone; no key"):
        ask(a=One(BUSY), b=One(ProviderError("gone", unavailable=True)), c=One(ProviderError("no key", auth=True)))


def test_a_run_goes_on_with_another_wires_model_and_says_which(tmp_path: Path) -> None:
    config = """
model = "one/big"
fallback = ["two/small"]
[providers.one]
wire = "messages"
base_url = "{0}"
[providers.two]
wire = "chat"
base_url = "{0}"
"""

    def decide(body: dict[str, Any]) -> list[Any]:
        return [Say(f"I am {body['model']}.")]

    with ModelServer(decide) as server:
        server.faults = [Fault(404, body=b'{"type":"error","error":{"type":"not_found_error","message":"no big"}}')]
        (tmp_path / "servers.toml").write_text(config.format(server.base_url))
        command = [sys.executable, "-m", "host", "run", "hello", "--config", "servers.toml"]
        env = os.environ | {"AGENT_HOST_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*command, "--output-format", "stream-json"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    said = next(event for event in events if event["kind"] == "model_said")
    assert (said["model"], said["parts"][0]["text"]) == ("two/small", "I am small.")
    assert "no big" in said["request"]["failed"]["one/big"]
    assert events[0]["model"] == "one/big"
