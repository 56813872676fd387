"""`agent-host schema`: JSON Schema of events, commands and servers.toml, for those who write other ends."""

from __future__ import annotations

import argparse
import json
from typing import Any, Literal

from pydantic import TypeAdapter

from host.config.sections import FileSection
from host.core import events as ev
from host.frontends.plain import put_words

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def main(options: argparse.Namespace) -> int:
    put_words(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
    return 0


def document() -> dict[str, Any]:
    """Three schemas, each whole in itself."""
    recorded = {"session": {"type": "string"}, "v": {"const": ev.VERSION}}
    numbered = recorded | {"seq": {"type": "integer", "minimum": 1}, "at": {"type": "string", "format": "date-time"}}
    live = {cls.kind: cls for cls in (ev.Delta, ev.Rejected)}
    events = _one_of("events", [(ev.EVENTS, numbered), (live, recorded)], closed=False)
    commands = _one_of("commands", [(ev.COMMANDS, {"v": {"const": ev.VERSION}})], closed=True, required=())
    config = {"$schema": DIALECT, "$id": _id("config")} | FileSection.model_json_schema(by_alias=True)
    return {"version": ev.VERSION, "events": events, "commands": commands, "config": config}


def _id(name: str) -> str:
    return f"urn:agent-host:{ev.VERSION}:{name}"


def _one_of(
    name: str,
    groups: list[tuple[dict[str, type[Any]], dict[str, Any]]],
    closed: bool,
    required: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """A schema of messages told apart by `kind`, each with its class's fields and those of its envelope."""
    mode: Literal["validation"] = "validation"  # what a reader must accept: fields with defaults may be absent
    adapters = [(kind, mode, TypeAdapter(cls)) for group, _ in groups for kind, cls in group.items()]
    schemas, definitions = TypeAdapter.json_schemas(adapters)
    defined = dict(definitions.get("$defs", {}))
    messages = []
    for group, envelope in groups:
        for kind in group:
            body = dict(schemas[kind, mode])
            if "$ref" in body:
                body = dict(defined[body["$ref"].rpartition("/")[2]])
            own = sorted(body.get("required", []))
            body["properties"] = envelope | {"kind": {"const": kind}} | body.get("properties", {})
            body["required"] = ["kind", *(envelope if required is None else required), *own]
            if closed:
                body["additionalProperties"] = False
            messages.append(body)
    return {"$schema": DIALECT, "$id": _id(name), "oneOf": messages, "$defs": defined}
