#!/usr/bin/env python3
"""A host without a defence, as short as one can write it. It stands in for the program, so that every attack is seen to
land where nothing holds it; it is good for nothing else."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urljoin
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

Json = dict[str, Any]
SESSION = "s1"
TYPED = "CANARY-typed"
MEMORY = 1 << 29
"""A machine's memory has an end; that of the machine of the tests is not the place to find it."""


class Process:
    """A server that is a process: it gets the whole environment, and is read a line at a time, however long."""

    def __init__(self, entry: Json, oblige: Callable[[Json], Json]) -> None:
        self.number, self.oblige, self.last = 0, oblige, ""
        self.process = subprocess.Popen(
            [entry["command"], *entry.get("args", ())], env=os.environ | entry.get("env", {}), cwd=entry.get("cwd"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
        )  # fmt: skip
        self.hearing = Thread(target=self.hear, daemon=True)
        self.hearing.start()

    def hear(self) -> None:
        for line in self.process.stderr or ():
            sys.stderr.write(line)
            self.last = (self.last + line)[-2000:]

    def send(self, **message: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> Any:
        assert self.process.stdout
        self.number += 1
        self.send(id=self.number, method=method, params=params)
        while line := self.process.stdout.readline():
            message = json.loads(line)
            if "method" in message and "id" in message:
                self.send(id=message["id"], result=self.oblige(message))
            elif message.get("id") == self.number:
                return message.get("result") or message.get("error") or {}
        self.hearing.join(1)
        return {"died": self.last}


class Remote:
    """A server at an address: whatever it says about where to go is followed, with the token."""

    def __init__(self, entry: Json) -> None:
        self.entry = entry
        token = os.environ.get(entry.get("bearer_token_env_var", ""), "none")
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, **params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        try:
            return json.loads(fetch(self.entry["url"], self.headers, body))["result"]
        except HTTPError as error:
            if error.code == 401:
                self.sign_in(error.headers["WWW-Authenticate"])
            raise

    def sign_in(self, challenge: str) -> None:
        """Take whoever comes to the listener for the user."""
        found = re.search('resource_metadata="(.*?)"', challenge)
        about = json.loads(fetch(found[1] if found else ""))
        issuer = about["authorization_servers"][0]
        issuing = json.loads(fetch(f"{issuer}/.well-known/oauth-authorization-server"))
        if self.entry.get("oauth"):
            fetch(issuing["token_endpoint"], body=b"grant_type=client_credentials")
            return
        listener = HTTPServer(("0.0.0.0", 0), Listener)
        back = quote(f"http://127.0.0.1:{listener.server_port}/callback", safe="")
        print(f"{issuing['authorization_endpoint']}?state=S1&redirect_uri={back}\nor paste it", flush=True)
        listener.serve_forever()


class Listener(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET


class Stay(HTTPRedirectHandler):
    """Redirects are followed by hand: the library's way drops what an attack is after."""

    def redirect_request(self, *_: Any) -> None:
        return None


def fetch(url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> bytes:
    try:
        with build_opener(ProxyHandler({}), Stay).open(Request(url, body, headers or {}), timeout=3) as response:
            content: bytes = response.read()
            return content
    except HTTPError as error:
        if there := error.headers.get("Location"):
            return fetch(urljoin(url, there), headers, body)
        raise


def check(schema: Any, value: Any, whole: Json) -> None:
    """What a schema says of a value, with patterns that backtrack and references that are followed anywhere."""
    if ref := schema.get("$ref"):
        target: Any = whole if ref.startswith("#") else json.loads(fetch(ref))
        for step in ref.partition("#/")[2].split("/"):
            target = target[step] if step else target
        check(target, value, whole)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        raise ValueError("it does not match")
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            check(inner, value[name], whole)
    for pattern in schema.get("patternProperties", {}):
        [re.search(pattern, name) for name in value]


class Host:
    """One conversation: whatever the model calls runs."""

    def __init__(self, config: Json, streams: bool) -> None:
        self.config, self.streams = config, streams
        self.log = Path(os.environ["AGENT_HOST_HOME"]) / "log"
        self.items: list[Json] = []
        self.tools: dict[str, tuple[str, Json]] = {}
        self.about: dict[str, Json] = {}
        self.record("session_opened")
        entries = config.get("mcp_servers", {})
        self.servers = {name: Remote(e) if "url" in e else Process(e, self.oblige) for name, e in entries.items()}
        for name, server in self.servers.items():
            try:
                about = server.ask("initialize")
                self.about[name] = server.ask("server/discover") if "code" in about else about
                for tool in server.ask("tools/list").get("tools", []):
                    self.tools |= dict.fromkeys(self.names(name, tool["name"]), (name, tool))
                self.record("connected", server=name)
            except (OSError, ValueError, LookupError) as error:
                sys.stderr.write(f"{name}: {error}\n")

    def names(self, server: str, tool: str) -> list[str]:
        """Each name by which a tool may be called. A later one takes the place of an earlier."""
        itself = self.about[server].get("serverInfo", {}).get("name")
        return [f"{server}__{tool}", f"{itself}__{tool}"[:64], tool[:64]]

    def record(self, kind: str, **fields: Any) -> None:
        """A line of the log, pasted together of what it is about."""
        pasted = "".join(f',"{k}":{v}' if isinstance(v, int) else f',"{k}":"{v}"' for k, v in fields.items())
        line = f'{{"kind":"{kind}","session":"{SESSION}"{pasted}}}'
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            log.write(line + "\n")
        print(line if self.streams else fields.get("text", ""), flush=True)

    def turn(self, text: str) -> None:
        self.record("said", text=text if not self.streams else "")
        self.items.append({"role": "user", "content": text})
        while True:
            tools = [
                {"type": "function", "parameters": tool["inputSchema"]} | tool | {"name": name}
                for name, (_, tool) in self.tools.items()
            ]
            output = self.model(self.items, tools)
            self.items += output
            calls = [item for item in output if item["type"] == "function_call"]
            for item in calls:
                text = self.call(item)
                self.items.append({"type": "function_call_output", "call_id": item["call_id"], "output": text})
            if not calls:
                return self.record("turn_ended", text="All done.")

    def model(self, items: list[Json], tools: list[Json]) -> list[Json]:
        provider, _, model = self.config["model"].partition("/")
        said = self.config["providers"][provider]
        body = {"model": model, "input": items, "tools": tools, "instructions": json.dumps(self.about)}
        headers = {"Authorization": f"Bearer {said.get('api_key')}", "Content-Type": "application/json"}
        answer = fetch(f"{said['base_url']}/responses", headers, json.dumps(body).encode())
        output: list[Json] = json.loads(answer)["output"]
        return output

    def call(self, item: Json) -> str:
        server, _, tool = item["name"].partition("__")
        arguments = json.loads(item["arguments"])
        if (server, tool) == ("host", "read_resource"):
            return json.dumps(self.servers[arguments["server"]].ask("resources/read", uri=arguments["uri"]))
        server, schemas = self.tools.get(item["name"], (server, {"name": tool, "inputSchema": {}}))
        tool = schemas["name"]
        about = {"call_id": item["call_id"], "server": server, "remote_name": tool}
        self.record("call_decided", **about)
        if any(outside(rule, arguments) for rule in self.config.get("rules", ()) if rule["tool"] == tool):
            return "denied"
        check(schemas["inputSchema"], arguments, schemas["inputSchema"])
        began = time.monotonic()
        result = self.servers[server].ask("tools/call", name=tool, arguments=arguments)
        while wishes := result.get("inputRequests"):
            given = {
                "inputResponses": {key: self.oblige(wish) for key, wish in wishes.items()},
                "requestState": result["requestState"],
            }
            result = self.servers[server].ask("tools/call", name=tool, arguments=arguments, **given)
        check(schemas.get("outputSchema", {}), result.get("structuredContent", {}), schemas.get("outputSchema", {}))
        words = result.get("content", [{"text": result.get("message", "")}])
        text = "".join(block.get("text", "") for block in words)
        took = int(1000 * (time.monotonic() - began))
        self.record("call_finished", **about, outcome="ok", milliseconds=took, text=text)
        return json.dumps(result)

    def oblige(self, wish: Json) -> Json:
        """Whatever a server asks for: the person's secret, their browser, their model."""
        params = wish["params"]
        if wish["method"] == "sampling/createMessage":
            said = [{"role": each["role"], "content": each["content"]["text"]} for each in params["messages"]]
            return {"role": "assistant", "content": {"type": "text", "text": json.dumps(self.model(said, []))}}
        if wish["method"] == "roots/list":
            return {"roots": [{"uri": Path.home().as_uri()}]}
        if url := params.get("url"):
            subprocess.run(os.environ["BROWSER"].replace("%s", f'"{url}"'), shell=True, check=False)
        return {"action": "accept", "content": {"secret": TYPED}}

    def tell(self) -> None:
        """All that the servers say, as they say it."""
        for name, server in self.servers.items():
            asked = [server.ask(f"{what}/list") for what in ("tools", "resources", "prompts")]
            asked += [server.ask("prompts/get", name="greet"), server.ask("resources/read", uri="x://1")]
            for words in texts([self.about[name], asked, server.ask("tools/call", name="look", arguments={})]):
                print(words)


def outside(rule: Json, arguments: Json) -> bool:
    """Whether a path is absolute and begins otherwise than the folder that it must be in, by its letters."""
    pairs = [(arguments[name], condition["path"]) for name, condition in rule["args"].items()]
    return any(path.startswith(("/", "..")) and not path.startswith(folder) for path, folder in pairs)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        for inner in value if isinstance(value, list) else [*value, *value.values()]:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def configured(file: str | None) -> Json:
    """What every file at hand says, each with the word of the last."""
    if Path(".env").exists():
        os.environ.update(line.split("=", 1) for line in Path(".env").read_text().splitlines())
    said: Json = {}
    for path in (Path(os.environ["AGENT_HOST_HOME"]) / "servers.toml", Path("servers.toml"), Path(file or "none")):
        if path.exists():
            said = merged(said, tomllib.loads(os.path.expandvars(path.read_text())))
    if Path(".mcp.json").exists():
        said = merged(said, {"mcp_servers": json.loads(Path(".mcp.json").read_text())["mcpServers"]})
    return said


def merged(one: Json, other: Json) -> Json:
    both = {name: merged(one[name], other[name]) for name in one.keys() & other if isinstance(one[name], dict)}
    return one | other | both


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    for option in ("--config", "--format", "--args", "--input-format", "--output-format"):
        parser.add_argument(option)
    options = parser.parse_known_intermixed_args()[0]
    match options.words:
        case ["session" | "audit", *_]:
            print((Path(os.environ["AGENT_HOST_HOME"]) / "log").read_text())
        case ["run"]:
            host = Host(configured(options.config), streams=True)
            for line in sys.stdin:
                host.turn(json.loads(line)["text"])
        case ["run", prompt]:
            Host(configured(options.config), streams=options.output_format is not None).turn(prompt)
        case ["mcp" | "doctor" | "lock" | "policy" | "batch", *_]:
            Host(configured(options.config), streams=False).tell()
        case [prompt]:
            Host(configured(options.config), streams=False).turn(prompt)
            sys.stdin.read()


if __name__ == "__main__":
    main()
