"""A whole session whose model loses its connection at one byte after the other: what was half said is never done, what
was said is never lost, and the conversation goes on. LOST_STRIDE=1 loses it at every byte."""

import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from model_server import Fault, ModelServer, results_since_prompt
from spoken import Call, Part, Say
from wires import WIRES, Wire

from host.core import events as ev
from host.core.fold import fold
from host.core.policy import Rule, Verdict
from host.core.settings import Config, ModelProfile, Profile, ProviderConfig, ServerConfig
from host.core.types import Limits
from host.engine.host import Host, RunOptions
from host.engine.session import Session
from host.providers.retry import Patience
from host.store.log import read_log

STRIDE = int(os.environ.get("LOST_STRIDE", "83"))
ECHO = Path(__file__).parent.parent.parent / "scripts" / "benchmark" / "tool_server.py"
SAID: list[Part] = [
    Say("Let me see. "),
    Call("bench__echo", {"text": "one"}, "call_A"),
    Call("bench__echo", {"text": "two"}, "call_B"),
]


def decide(body: dict[str, Any]) -> list[Part]:
    return [Say("Done.")] if results_since_prompt(body) else SAID


async def turn(session: Session, words: str) -> list[Any]:
    """Say something; the events until the turn has ended."""
    after = session.state.seq
    assert session.submit(ev.Say(words)) is None
    found: list[Any] = []
    async for item in session.feed(after):
        if isinstance(item, ev.Recorded):
            found.append(item.event)
            if isinstance(item.event, ev.TurnEnded):
                return found
    raise AssertionError("the feed ended before the turn")


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
def test_a_session_survives_every_loss_of_its_model(wire: Wire, tmp_path: Path) -> None:
    whole = b"".join(wire.speaks.sse(SAID, 1, "m"))
    rule = Rule("all", "*", "*", Verdict.ALLOW)
    echo = ServerConfig("bench", sys.executable, ("-I", "-S", str(ECHO)), cwd=tmp_path)
    profile = Profile("default", ("bench",), rules=(rule,), limits=Limits(turns=10))
    config = Config(tmp_path, "w/m", servers={"bench": echo}, profiles={"default": profile})
    ends: list[str] = []

    async def main() -> None:
        with ModelServer(decide) as server, anyio.fail_after(20 + 2 * len(whole) / STRIDE):
            client = wire.client(
                ProviderConfig("w", "chat", server.base_url), lambda _: ModelProfile(), Patience(4, 0.001, 0.01)
            )

            async def provider_for(name: str, profile: Profile) -> Any:
                return client, "m", ModelProfile()

            async with Host(config, RunOptions(), provider_for) as host:
                session = await host.open()
                prompts = [f"prompt {cut}" for cut in range(0, len(whole) + 1, STRIDE)]
                for number, words in enumerate(prompts):
                    server.faults = [Fault(cut=number * STRIDE)]
                    ends.append(told(await turn(session, words)))
                server.faults = []
                assert told(await turn(session, "and now whole")) == "done"
                spoken = [message.text for message in session.state.messages if message.role == "user"]
                assert spoken == [*prompts, "and now whole"]
                rows = read_log(session.log.folder, session.session, 0)
                stored = [ev.Recorded(session.session, r.seq, r.at, ev.decode(r.kind, r.body)) for r in rows if r.body]
                assert fold(session.session, stored) == session.state
            await client.aclose()

    anyio.run(main)
    assert {"done", "failed"} == set(ends)


def told(happened: list[Any]) -> str:
    """How a turn ended, after looking that nothing half said was done."""
    said = next(event for event in happened if isinstance(event, ev.ModelSaid))
    started = [event for event in happened if isinstance(event, ev.CallStarted)]
    ended = happened[-1].reason
    if said.stop == "failed":
        assert (started, ended) == ([], "failed")
        assert "Let me see. ".startswith("".join(part.text for part in said.parts))
    else:
        assert [dict(event.arguments)["text"] for event in started] == ["one", "two"]
        assert ended == "done"
    return str(ended)
