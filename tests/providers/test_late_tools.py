"""Tools found on the way: where the model knows them they stand where they were found, and what went before stays."""

import json

import pytest
from wires import CHAT, MESSAGES, RESPONSES

from host.core.settings import ModelProfile
from host.core.types import Message, Text, ToolCall, ToolResult, ToolSpec
from host.providers.base import Request
from host.providers.memo import Memo

OWN = ToolSpec("host__search_tools", "host", "search_tools", "Find tools.")
TOOLS = {name: ToolSpec(name, "crm", name[5:], f"Does {name}.") for name in ("crm__a", "crm__b", "crm__c")}
KNOWS = ModelProfile(late_tools=True)


def conversation(*finds):
    """A prompt, then a search a step, each with the names it found."""
    yield Message("user", (Text("go"),), 1)
    for number, found in enumerate(finds):
        yield Message("assistant", (ToolCall(f"c{number}", OWN.name, {"query": "x"}),), 2 * number + 2)
        result = ToolResult(f"c{number}", (Text("\n".join(found)),), found=found)
        yield Message("tool", (result,), 2 * number + 3)


def request(finds, offered):
    return Request("m", "s", list(conversation(*finds)), [OWN, *(TOOLS[name] for name in offered)])


FINDS = [("crm__a", "crm__b"), ("crm__b", "crm__c")]
FIRST, SECOND = request(FINDS[:1], ["crm__a", "crm__b"]), request(FINDS, ["crm__a", "crm__b", "crm__c"])


def plainly(blocks):
    """Blocks without the marks of the prompt cache, which move along."""
    return json.dumps(blocks).replace(', "cache_control": {"type": "ephemeral"}', "")


def test_responses_gets_them_as_an_item_behind_the_results():
    first, second = RESPONSES.body(FIRST, KNOWS), RESPONSES.body(SECOND, KNOWS)
    assert [tool["name"] for tool in first["tools"]] == [OWN.name]
    assert first["tools"] == second["tools"]
    assert second["input"][: len(first["input"])] == first["input"]
    added = [item for item in second["input"] if item["type"] == "additional_tools"]
    assert [[tool["name"] for tool in item["tools"]] for item in added] == [["crm__a", "crm__b"], ["crm__c"]]
    assert {item["role"] for item in added} == {"developer"}
    assert added[0]["tools"][0]["parameters"] == {"type": "object", "properties": {}}
    assert second["input"][-2]["type"] == "function_call_output"


def test_messages_gets_them_deferred_and_referred_to_in_the_result():
    first, second = MESSAGES.body(FIRST, KNOWS), MESSAGES.body(SECOND, KNOWS)
    here = [tool for tool in second["tools"] if not tool.get("defer_loading")]
    assert [tool["name"] for tool in here] == [OWN.name]
    assert "cache_control" in here[-1]
    later = [tool for tool in second["tools"] if tool.get("defer_loading")]
    assert [tool["name"] for tool in later] == ["crm__a", "crm__b", "crm__c"]
    assert not any("cache_control" in tool for tool in later)
    results = [m["content"][0]["content"] for m in second["messages"] if m["content"][0]["type"] == "tool_result"]
    referred = [[block["tool_name"] for block in blocks if block["type"] == "tool_reference"] for blocks in results]
    assert referred == [["crm__a", "crm__b"], ["crm__c"]]
    assert plainly(second["messages"][: len(first["messages"])]) == plainly(first["messages"])


@pytest.mark.parametrize("wire", [RESPONSES, MESSAGES], ids=lambda wire: wire.name)
def test_what_was_written_before_is_used_again_without_change(wire):
    memo = Memo()
    before = json.dumps(wire.body(FIRST, KNOWS, memo))
    memo.sent()
    assert json.dumps(wire.body(FIRST, KNOWS, memo)) == before == json.dumps(wire.body(FIRST, KNOWS))


@pytest.mark.parametrize("wire", [RESPONSES, MESSAGES], ids=lambda wire: wire.name)
def test_a_tool_that_is_gone_is_not_referred_to_and_one_whose_result_is_gone_is_sent_in_the_list(wire):
    body = json.dumps(wire.body(request(FINDS, ["crm__c"]), KNOWS))
    assert "Does crm__c." in body
    assert '"crm__a"' not in body
    kept = wire.body(request([], ["crm__a"]), KNOWS)
    assert [tool["name"] for tool in kept["tools"]] == [OWN.name, "crm__a"]
    assert "defer_loading" not in json.dumps(kept)


@pytest.mark.parametrize("wire", [RESPONSES, CHAT, MESSAGES], ids=lambda wire: wire.name)
def test_other_models_get_them_in_the_list(wire):
    body = wire.body(SECOND, ModelProfile())
    text = json.dumps(body["tools"])
    assert [text.index(name) for name in (OWN.name, *TOOLS)] == sorted(text.index(name) for name in (OWN.name, *TOOLS))
    assert "tool_reference" not in json.dumps(body)
    assert "additional_tools" not in json.dumps(body)
