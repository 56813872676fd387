#!/usr/bin/env python3
"""What the official conformance suite runs as the client: the host's own connection layer, and nobody at the keyboard.

client.py URL        the suite says the rest in MCP_CONFORMANCE_SCENARIO and MCP_CONFORMANCE_CONTEXT
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx2

from host.config import environment, merge, read_files
from host.core.settings import ServerConfig
from host.core.source import Round, SignIn
from host.core.types import CallResult, InputRequired, ToolSpec
from host.servers.auth import SignedIn
from host.servers.connection import Connection
from host.servers.logs import ServerLog

DOCUMENT = "https://conformance-test.local/client-metadata.json"
ROUNDS = 10
SECONDS = 50
SAMPLES = {"number": 5, "integer": 3, "string": "test", "boolean": True, "array": [], "object": {}}


class Visitor:
    """A person who agrees to everything: goes where they are led and says where they were sent."""

    def knows(self, server: str, token: str) -> None:
        pass

    def here(self, server: str, scopes: str) -> bool:
        return True

    async def lead(self, where: SignIn) -> str:
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(where.url, follow_redirects=False)
        return str(httpx2.URL(where.url).join(answer.headers.get("location", "")))


def defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a form holds when it is sent as it was shown."""
    fields = schema.get("properties", {})
    required = schema.get("required", [])
    return {
        name: field.get("default", SAMPLES.get(field.get("type", ""), "test"))
        for name, field in fields.items()
        if "default" in field or name in required
    }


async def ask(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"action": "accept", "content": defaults(request.get("params", {}).get("requestedSchema", {}))}


async def call(connection: Connection, spec: ToolSpec, arguments: Mapping[str, Any]) -> CallResult:
    """One call to its end, answering what the server asks in between."""
    round = Round(1, f"key-{spec.remote_name}")
    for number in range(2, ROUNDS + 2):
        result = await connection.call(spec, arguments, round, lambda *_: None, ask)
        if not isinstance(result, InputRequired):
            return result
        answers = {key: await ask(request) for key, request in result.requests.items()}
        round = Round(number, round.key, answers or None, result.state)
    raise RuntimeError(f"{spec.remote_name} never ends")


async def calls(connection: Connection, wanted: list[dict[str, Any]]) -> None:
    """Call what the suite asks for, or each tool that is offered."""
    named = {spec.remote_name: spec for spec in connection.tools}
    asked = wanted or [{"name": name, "arguments": defaults(spec.input_schema)} for name, spec in named.items()]
    if "json_schema_echo" in named:
        shown = dict(named["json_schema_2020_12_tool"].input_schema)
        asked = [{"name": "json_schema_echo", "arguments": {"schema": shown}}]
    for each in asked:
        if each["name"] in named:
            result = await call(connection, named[each["name"]], each.get("arguments", {}))
            print(each["name"], result.outcome, result.cause or "", result.reason or "")


def configured(url: str, context: Mapping[str, Any], folder: Path) -> ServerConfig:
    """The server as somebody writes it in servers.toml who was told what the suite tells."""
    scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
    oauth = {key: context[key] for key in ("client_id", "client_secret") if key in context}
    oauth["client_metadata_url"] = DOCUMENT
    if "client-credentials" in scenario:
        oauth |= {"grant": "client_credentials", "issuer": issuer(url)}
    if "private_key_pem" in context:
        (folder / "key.pem").write_text(context["private_key_pem"])
        oauth |= {"private_key": "${file:key.pem}", "signing_algorithm": context["signing_algorithm"]}
    text = f'[mcp_servers.conformance]\nurl = "{url}"\n'
    if "idp_id_token" in context:
        oauth |= {"grant": "jwt_bearer", "issuer": issuer(url)}
        (folder / "id.jwt").write_text(context["idp_id_token"])
        idp = {"token_url": context["idp_token_endpoint"], "client_id": context["idp_client_id"]}
        text += table("oauth.idp", idp | {"id_token": "${file:id.jwt}"})
    (folder / "servers.toml").write_text(text + table("oauth", oauth))
    files = read_files(environment(), folder, [folder / "servers.toml"], admin=folder / "none")
    return replace(merge(files, environment()).servers["conformance"], tokens=folder)


def table(name: str, keys: Mapping[str, str]) -> str:
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in keys.items()]
    return "".join([f"[mcp_servers.conformance.{name}]\n", *lines])


def issuer(url: str) -> str:
    """Who issues tokens for this server, which a real user is told by its operator."""
    about = httpx2.URL(url).join("/.well-known/oauth-protected-resource/mcp")
    found: str = httpx2.get(about, trust_env=False).json()["authorization_servers"][0]
    return found


async def main(url: str) -> int:
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    with tempfile.TemporaryDirectory() as folder:
        config = configured(url, context, Path(folder))
        signed = SignedIn(config, Visitor())
        connection = Connection(config, {}, ServerLog(), auth=signed)
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                ready = anyio.Event()
                reasons: list[str] = []

                async def live() -> None:
                    reasons.append(await connection.run(ready.set))
                    ready.set()

                tasks.start_soon(live)
                await ready.wait()
                if connection.ready:
                    await calls(connection, context.get("toolCalls", []))
                tasks.cancel_scope.cancel()
    print(connection.protocol, connection.trouble, signed.trouble, *reasons)
    return 0 if connection.ready and not connection.trouble and not signed.trouble else 1


if __name__ == "__main__":
    sys.exit(anyio.run(main, sys.argv[1]))
