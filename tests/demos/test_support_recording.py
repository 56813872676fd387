"""What the offline model plays at the support desk: a person's own words lead to the right first call."""

import tomllib

import anyio
import pytest
from support_case import DEMO, ROOT

from host.core.types import Message, Text, ToolSpec
from host.providers.base import Request
from host.providers.offline import Offline

SERVERS = tomllib.loads((ROOT / "servers.toml").read_text())["mcp_servers"]
TOOLS = [ToolSpec(f"{name}__{tool}", name, tool) for name, server in SERVERS.items() for tool in server["tools"]]
IDENTIFY = ("crm__identify_customer", {"email": "mara.lindqvist@example.com"})


def answer(*said):
    messages = [Message("user", (Text(words),), seq) for seq, words in enumerate(said, 1)]
    model = Offline(DEMO / "recording.toml")
    reply = anyio.run(model.ask, Request("demo", "", messages, TOOLS), lambda delta: None)
    return Message("assistant", reply.parts)


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("show me ticket t-11", ("ticketing__get_ticket", {"ticket_id": "T-11"})),
        ("Please handle ticket T-03.", ("ticketing__get_ticket", {"ticket_id": "T-03"})),
        ("could you list all open tickets?", ("ticketing__list_tickets", {"status": "open"})),
        ("please issue a refund of 30 euros to order O-1001", IDENTIFY),
        ("Refund $120 for order O-1001", IDENTIFY),
        ("give Mara 800 back", IDENTIFY),
        ("Where is my order O-1002? Jonas.Weber@example.com",
         ("crm__identify_customer", {"email": "jonas.weber@example.com"})),
        ("resolve ticket T-02 with a reply", ("ticketing__get_ticket", {"ticket_id": "T-02"})),
        ("close the ticket T-04", ("ticketing__get_ticket", {"ticket_id": "T-04"})),
        ("how long is the warranty on lamps", ("kb__search", {"query": "how long is the warranty on lamps"})),
    ],
)  # fmt: skip
def test_free_words_find_their_scene_and_fill_its_slots(words, call):
    (first,) = answer(words).calls
    assert (first.name, first.arguments) == call


@pytest.mark.parametrize("words", ["Hello", "what can you do?", "help", "who are you"])
def test_a_greeting_is_answered_with_the_story_and_no_call(words):
    said = answer(words)
    assert said.calls == ()
    assert "Mara Lindqvist" in said.text
    assert "recorded" in said.text


def test_words_of_another_world_get_examples_and_no_call():
    said = answer("compose a sonnet about glaciers")
    assert said.calls == ()
    assert "Refund 30 for O-1001" in said.text


def test_a_refund_without_an_amount_pays_nothing():
    said = answer("I want a refund for O-1001")
    assert said.calls == ()
    assert "amount" in said.text
