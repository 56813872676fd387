"""Tool schemas as each provider takes them: on a copy, and one bad tool never costs the request."""

import json
from collections.abc import Mapping
from typing import Any

import anyio
import jsonschema_rs
import pytest
from model_server import Fault, ModelServer
from spoken import Say
from wires import MESSAGES, WIRES, Wire

from host.core.errors import ProviderError
from host.core.settings import ModelProfile, ProviderConfig, SchemaDialect
from host.core.types import Message, Text, ToolSpec
from host.providers.base import Reply, Request
from host.providers.dialect import DIALECTS, Unfit, fitted

ODD: list[Mapping[str, Any]] = [
    {},
    {"type": ["object", "null"], "$schema": "http://json-schema.org/draft-07/schema#"},
    {"oneOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}], "additionalProperties": False},
    {"$ref": "#/$defs/In", "$defs": {"In": {"type": "object", "properties": {"a": {"$ref": "#/$defs/S"}}}, "S": {}}},
    {"allOf": [{"$ref": "#/definitions/In"}], "definitions": {"In": {"properties": {"a": {"const": 1}}}}},
    {"properties": {"a": {"type": "array"}, "b": {"type": ["array", "null"], "items": [{"type": "number"}]}}},
    {"properties": {"a": {"minimum": 1, "exclusiveMinimum": True, "required": True, "type": "number"}}},
    {"properties": {"a": {"enum": [1, 2]}, "b": {"oneOf": [{"type": "string"}, {"type": "null"}]}, "c": True}},
    {"properties": {"node": {"$ref": "#/$defs/N"}}, "$defs": {"N": {"properties": {"next": {"$ref": "#/$defs/N"}}}}},
    {"properties": {"properties": {"type": "object", "properties": {"items": {"type": "array"}}}}},
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("schema", ODD, ids=range(len(ODD)))
def test_an_odd_schema_becomes_one_that_the_provider_takes_and_stays_as_it_was(
    schema: Mapping[str, Any], dialect: SchemaDialect
) -> None:
    before = json.dumps(schema)
    shown = fitted(schema, DIALECTS[dialect])
    assert json.dumps(schema) == before
    assert shown["type"] == "object"
    assert isinstance(shown["properties"], dict)
    assert not {"oneOf", "anyOf", "allOf", "not", "enum", "const", "$schema", "$ref"} & shown.keys()
    jsonschema_rs.validator_for(shown)
    for node in nodes(shown):
        kinds = node.get("type")
        if kinds == "array" or (isinstance(kinds, list) and "array" in kinds):
            assert "items" in node or "prefixItems" in node
            assert dialect == "anthropic" or "prefixItems" not in node
    if dialect == "plain":
        assert "$ref" not in json.dumps(shown)
        assert "$defs" not in json.dumps(shown)


def nodes(value: Any) -> list[dict[str, Any]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [n for one in inner for n in nodes(one)] + ([value] if isinstance(value, dict) else [])


def test_what_the_dialects_say_of_the_same_thing() -> None:
    schema = {
        "properties": {
            "pair": {"type": "array", "items": [{"type": "number"}, {"type": "string"}]},
            "kind": {"const": "x", "pattern": "x"},
            "maybe": {"type": ["string", "null"], "format": "email"},
        }
    }

    def property(dialect: SchemaDialect, name: str) -> Any:
        return fitted(schema, DIALECTS[dialect])["properties"][name]

    items = [{"type": "number"}, {"type": "string"}]
    assert property("anthropic", "pair") == {"type": "array", "prefixItems": items}
    assert property("openai", "pair") == {"type": "array", "items": {"anyOf": items}}
    assert property("plain", "kind") == {"enum": ["x"], "pattern": "x"}
    assert property("plain", "maybe") == {"type": "string", "nullable": True}
    assert property("openai", "maybe") == schema["properties"]["maybe"]


@pytest.mark.parametrize(
    ("schema", "dialect", "why"),
    [
        ({"type": "array"}, "openai", "not an object but array"),
        ({"$ref": "#/$defs/L", "$defs": {"L": {"type": "string"}}}, "plain", "not an object but string"),
        ({"properties": {"$filter": {}}}, "anthropic", r"an argument named '\$filter'"),
        ({"anyOf": [{"properties": {"a b": {}}}]}, "anthropic", "an argument named 'a b'"),
    ],
)
def test_a_schema_that_cannot_be_said_is_told_with_its_reason(
    schema: Mapping[str, Any], dialect: SchemaDialect, why: str
) -> None:
    with pytest.raises(Unfit, match=why):
        fitted(schema, DIALECTS[dialect])


GOOD = ToolSpec("a__good", "a", "good", digest="1")
BAD = ToolSpec("a__bad", "a", "bad", digest="2")
every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


def asked(wire: Wire, server: ModelServer, tools: tuple[ToolSpec, ...], times: int = 1) -> list[Reply]:
    async def main() -> list[Reply]:
        with anyio.fail_after(30):
            client = wire.client(ProviderConfig("t", "chat", server.base_url), lambda _: ModelProfile())
            try:
                request = Request("m", "", [Message("user", (Text("x"),))], tools)
                return [await client.ask(request, lambda _: None) for _ in range(times)]
            finally:
                await client.aclose()

    return anyio.run(main)


def names(body: dict[str, Any]) -> list[str]:
    return [tool.get("name") or tool["function"]["name"] for tool in body.get("tools", ())]


@every_wire
@pytest.mark.parametrize(
    "words",
    [
        "Invalid schema for function 'a__bad': 'dict' is not valid under any of the given schemas",
        "tools.1.custom.input_schema: JSON schema is invalid",
        "Invalid 'tools[1].parameters'",
    ],
)
def test_a_tool_that_the_server_refuses_is_set_aside_for_good_and_the_request_goes_on(wire: Wire, words: str) -> None:
    error = json.dumps({"error": {"message": words, "type": "invalid_request_error"}}).encode()
    with ModelServer(lambda body: [Say("ok")]) as server:
        server.faults = [Fault(400, body=error)]
        first, second = asked(wire, server, (GOOD, BAD, ToolSpec("a__bad_too", "a", "x", digest="3")), times=2)
    assert [names(body) for body in server.requests] == [
        ["a__good", "a__bad", "a__bad_too"],
        ["a__good", "a__bad_too"],
        ["a__good", "a__bad_too"],
    ]
    for reply in (first, second):
        assert reply.parts == (Text("ok"),)
        assert list(reply.notes["set_aside"]) == ["a__bad"]
        assert words in reply.notes["set_aside"]["a__bad"]


@every_wire
def test_a_refusal_that_blames_no_tool_is_an_error(wire: Wire) -> None:
    with ModelServer(lambda body: []) as server:
        server.faults = [Fault(400, body=b'{"error":{"message":"temperature is too high"}}')]
        with pytest.raises(ProviderError, match="temperature"):
            asked(wire, server, (GOOD, BAD))
    assert len(server.requests) == 1


def test_a_tool_that_cannot_be_said_to_a_provider_is_not_sent_there_and_the_reply_says_why() -> None:
    odd = ToolSpec("a__odd", "a", "odd", input_schema={"properties": {"$filter": {"type": "string"}}})
    with ModelServer(lambda body: [Say("ok")]) as server:
        (reply,) = asked(MESSAGES, server, (odd, GOOD))
    assert names(server.requests[0]) == ["a__good"]
    assert "$filter" in reply.notes["set_aside"]["a__odd"]
