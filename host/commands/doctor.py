"""`agent-host doctor`: what is read, which model answers and why, the machine, and each server started once."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from time import monotonic
from typing import Any

import anyio

from host.arguments import UsageError
from host.commands import doctor_model, doctor_place
from host.commands.local import detected
from host.commands.start import facts, terminal_ask
from host.commands.unconfined import allowed
from host.config import ConfigFile, Environment, choose_model, environment, loosens, merge, read_files, tightening
from host.config.merge import NO_MODEL
from host.config.packages import installed
from host.config.problems import nearest
from host.config.telemetry import told
from host.consent import settle
from host.core.errors import ConfigError, StoreError
from host.core.settings import Config, ServerConfig
from host.core.source import ServerStatus
from host.core.text import Secrets
from host.frontends.plain import draw, put_json, say
from host.servers.pool import Pool, SessionServers
from host.store.host import HostStore

DONE, CONFIG, UNAVAILABLE = 0, 3, 7
MODERN = "2026-07-28"
NOT_TRIED = "not tried; --probe sends one small request to the model, which costs money"


@dataclass
class Found:
    """The doctor's findings. `wrong` are problems of the configuration, `missing` is what is required and not there."""

    config: dict[str, Any] = field(default_factory=lambda: {"files": [], "problems": []})
    model: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    servers: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        return CONFIG if self.config["problems"] else UNAVAILABLE if self.missing else DONE


def main(options: argparse.Namespace) -> int:
    env = environment()
    found = Found(machine=doctor_place.machine() | {"telemetry": told(env)}, state=doctor_place.state(env.state_folder))
    found.remarks += doctor_place.remarks(found.machine, found.state)
    if not found.state["writable"]:
        found.missing.append(f"{found.state['folder']} cannot be written: {found.state['error']}")
    config = _configured(options, env, found)
    if options.name is not None and config is not None and options.name not in config.servers:
        raise UsageError(f"no server {options.name}{nearest(options.name, config.servers)}")
    if config is not None:
        anyio.run(_examined, options, config, found)
    secrets = Secrets(config.secrets if config else {})
    if options.json or options.output_format == "json":
        put_json(_as_json(found), secrets)
    else:
        say(*map(secrets.clean, as_text(found)))
    return found.code


def _configured(options: argparse.Namespace, env: Environment, found: Found) -> Config | None:
    """The configuration as a run would get it, and what is wrong with it; None if it cannot be used at all."""
    try:
        files = [_agreed(options, env, file, found) for file in read_files(env, Path.cwd(), options.config)]
        config = merge(files, env)
        model, why = choose_model(options.model, config, env)
    except ConfigError as error:
        found.config["problems"] += error.lines
        return None
    if why is NO_MODEL:
        chosen, notices = detected(config, asks=False)
        model, why = chosen or (model, why)
        found.remarks += notices
    found.model |= {"name": model, "why": why}
    found.remarks += idle(config)
    servers = {name: installed(server, config.home) for name, server in config.servers.items()}
    trust = options.trust or env.agent_host_trust
    config = replace(config, model=model, servers=servers)
    if trust or (config.home / "host.db").exists():  # the doctor asks for nothing new, and makes no file
        config, told = allowed(config, trust, lambda text: False, tuple(servers))
        found.remarks += told
    return config


def idle(config: Config) -> list[str]:
    """Rules for servers that no file has: a name is misspelt, and a deny that nobody meets denies nothing."""
    rules = [rule for profile in config.profiles.values() for rule in profile.rules]
    lost = [rule for rule in rules if not any(fnmatchcase(name, rule.server) for name in (*config.servers, "host"))]
    told = (
        f"{r.origin}: rule {r.id} is for {r.server}: no such server{nearest(r.server, config.servers)}" for r in lost
    )
    return list(dict.fromkeys(told))


def _agreed(options: argparse.Namespace, env: Environment, file: ConfigFile, found: Found) -> ConfigFile:
    """The file, or what of a project's file holds without consent."""
    told = {"path": str(file.path), "origin": file.origin, "used": True}
    found.config["files"].append(told)
    if file.origin != "project" or not loosens(file):
        return file
    try:
        if settle(file, env.state_folder, options.trust or env.agent_host_trust, terminal_ask(options)):
            return file
        problem = f"{file.path}: you did not consent to it; only its ask and deny rules hold"
    except ConfigError as error:
        problem = " ".join(error.lines)
    told["used"] = False
    found.config["problems"].append(problem)
    return tightening(file)


async def _examined(options: argparse.Namespace, config: Config, found: Found) -> None:
    """The model's endpoint and all servers, at the same time."""
    if options.profile and options.profile not in config.profiles:
        known = nearest(options.profile, config.profiles)
        found.config["problems"].append(f"-p {options.profile}: no such profile{known}")
        return
    servers = _wanted(options, config)
    async with anyio.create_task_group() as tasks:
        if options.name is None:
            tasks.start_soon(_model, options, config, found)
        with ExitStack() as stack:
            found.servers += await _started(servers, facts(options), _memory(config, found, stack))
    for server in found.servers:
        if server["state"] != "ready" and (server["required"] or server["name"] == options.name):
            found.missing.append(f"server {server['name']} is {server['state']}: {server['detail']}")


def _memory(config: Config, found: Found, stack: ExitStack) -> HostStore | None:
    """What is remembered of the servers, if anything is: the doctor makes no file."""
    if not (config.home / "host.db").exists():
        return None
    try:
        return stack.enter_context(closing(HostStore(config.home)))
    except StoreError as error:
        found.missing.append(str(error))
        return None


def _wanted(options: argparse.Namespace, config: Config) -> list[ServerConfig]:
    if options.name is not None:
        return [replace(config.servers[options.name], enabled=True)]
    names = config.profiles[options.profile].servers if options.profile else tuple(config.servers)
    return [config.servers[name] for name in names if config.servers[name].enabled]


async def _model(options: argparse.Namespace, config: Config, found: Found) -> None:
    found.model |= await doctor_model.checked(config, config.model or "", options.probe)
    tools = found.model["tools"]
    if found.model["reachable"] is False:
        found.missing.append(f"the model {config.model}: {found.model['detail']}")
    elif tools is not None and not tools["works"]:
        found.missing.append(f"the model {config.model}: no tool call came back: {tools['detail']}")


async def _started(
    servers: Sequence[ServerConfig], known: Mapping[str, Any], eras: HostStore | None
) -> list[dict[str, Any]]:
    """Start all of them as a session would, and tell what came of each."""
    began = monotonic()
    took: dict[str, int] = {}
    settled: set[str] = set()

    def on_status(status: ServerStatus) -> None:
        if status.state == "ready":
            took.setdefault(status.server, round((monotonic() - began) * 1000))
        if status.state not in ("starting", "closed") and status.server not in settled:
            settled.add(status.server)
            draw(f"servers: {len(settled)} of {len(servers)} have answered")

    if servers:
        draw(f"servers: 0 of {len(servers)} have answered")
    async with Pool(eras=eras) as pool:
        running = pool.servers("doctor", servers, on_status, lambda *_: None, known)
        await running.settled()
        draw("")
        return [_server(one, running, took) for one in servers]


def _server(config: ServerConfig, running: SessionServers, took: Mapping[str, int]) -> dict[str, Any]:
    status = running.statuses[config.name]
    said = next((line.strip() for line in reversed(running.logs(config.name)) if line.strip()), "")
    era = None if status.protocol is None else "modern" if status.protocol >= MODERN else "handshake"
    return {
        "name": config.name,
        "state": status.state,
        "detail": status.detail,
        "required": config.required,
        "protocol": status.protocol,
        "era": era,
        "milliseconds": took.get(config.name),
        "tools": status.tools,
        "quarantined": dict(status.quarantined),
        "quirks": running.quirks(config.name),
        "stderr": said,
        "sandbox": status.sandbox or None,
        "origin": config.origin,
    }


def _as_json(found: Found) -> dict[str, Any]:
    parts = {name: getattr(found, name) for name in ("config", "model", "machine", "state", "servers", "remarks")}
    return {"ok": found.code == DONE, "code": found.code, **parts, "missing": found.missing}


# --- for a person


def as_text(found: Found) -> Iterator[str]:
    yield "configuration"
    for file in found.config["files"]:
        yield _line(file["used"], file["path"], file["origin"])
    if not found.config["files"] and not found.config["problems"]:
        yield _line(None, "no servers.toml", "agent-host mcp add makes one")
    for problem in found.config["problems"]:
        yield _line(False, problem)
    if found.model:
        yield "model"
        yield from _model_lines(found.model)
    yield "machine"
    yield from _machine_lines(found.machine, found.state)
    if found.servers:
        yield "servers"
        for server in found.servers:
            yield from _server_lines(server)
    for title, lines in (("remarks", found.remarks), ("required, and not there", found.missing)):
        if lines:
            yield title
            yield from (_line(None if title == "remarks" else False, line) for line in lines)
    if found.code == DONE:
        failed = any(server["state"] not in ("ready", "waiting") for server in found.servers)
        yield "what is marked !! is not used; nothing that is required is missing" if failed else "all is well"


def _model_lines(model: Mapping[str, Any]) -> Iterator[str]:
    yield _line(True, model["name"], model["why"])
    if model.get("wire") in (None, "offline"):
        return
    what = f"{model['base_url']}, {'with' if model['key'] else 'without'} a key"
    if model["milliseconds"] is not None:
        what += f", answered in {model['milliseconds']} ms"
    yield _line(model["reachable"], what, model["detail"])
    tools = model["tools"]
    if tools is None:
        yield _line(None, "tool calls", NOT_TRIED)
    elif tools["works"]:
        yield _line(True, f"tool calls come back, {tools['milliseconds']} ms", f"{tools['tokens']} tokens")
    else:
        yield _line(False, "no tool call came back", tools["detail"])


def _machine_lines(machine: Mapping[str, Any], state: Mapping[str, Any]) -> Iterator[str]:
    terminal = machine["terminal"]
    size = f"{terminal['size'][0]}×{terminal['size'][1]}" if terminal["size"] else "not a terminal"
    about = [terminal["term"] or "TERM unset", size, terminal["encoding"], terminal["multiplexer"]]
    free = f"{state['free_bytes'] // 1_000_000} MB free" if state["free_bytes"] is not None else state["error"]
    yield _line(True, f"agent-host {machine['host']}, {machine['python']}", machine["platform"])
    yield _line(machine["bytecode"] or None, "bytecode", "compiled" if machine["bytecode"] else "not whole")
    yield _line(machine["sandbox"]["works"], "sandbox", machine["sandbox"]["about"])
    yield _line(None, "terminal", ", ".join(part for part in about if part))
    yield _line(None, "telemetry", machine["telemetry"])
    yield _line(state["writable"], state["folder"], free)


def _server_lines(server: Mapping[str, Any]) -> Iterator[str]:
    name = server["name"] + (" (required)" if server["required"] else "")
    if server["state"] == "ready":
        told = f"{server['protocol']} ({server['era']}), {server['tools']} tools, ready in {server['milliseconds']} ms"
        held = server["sandbox"] and f"sandbox {server['sandbox']}"
        yield _line(True, name, ", ".join(part for part in (told, held, server["detail"]) if part))
    else:
        waits = server["state"] == "waiting" and not server["required"]
        yield _line(None if waits else False, name, f"{server['state']}: {server['detail']}")
        if server["stderr"] and server["stderr"] not in server["detail"]:
            yield f"      it said: {server['stderr']}"
    for quirk in server["quirks"]:
        yield f"      quirk: {quirk}"


def _line(good: bool | None, what: str, about: str = "") -> str:
    mark = {True: "ok", False: "!!", None: "--"}[good]
    return f"  {mark}  {what}" + (f": {about}" if about else "")
