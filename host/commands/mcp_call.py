"""`agent-host mcp call | read | prompt`: one thing done at one server by hand, through a session of its own.

It is decided, asked for and logged as a model's call would be: in the model's place stands the command line.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
from anyio import to_thread

from host.arguments import UsageError
from host.commands.mcp import as_json
from host.commands.mcp_answer import answer
from host.commands.mcp_inspect import chosen
from host.commands.serve import OnOpen, run_options, serve
from host.commands.start import BY_HAND, Begun, begin, terminal_ask
from host.config.problems import nearest
from host.core import events as ev
from host.core.catalog import exposed_name
from host.core.errors import ConfigError, HostError
from host.core.settings import ModelProfile
from host.core.types import ToolCall
from host.engine.host import RunOptions
from host.frontends.handle import Door, Handle
from host.frontends.headless import Outcome
from host.frontends.plain import attended, put_bytes, put_json, put_words, tell
from host.providers.base import OnDelta, Reply, Request

FAILED, UNAVAILABLE = 1, 7
WRITE = {"call": "NAME TOOL [--args JSON]", "read": "NAME URI", "prompt": "NAME PROMPT [--args JSON]"}


def main(options: argparse.Namespace) -> int:
    if len(options.operands) != 2:
        raise UsageError(f"write: agent-host mcp {options.action} {WRITE[options.action]}")
    name, what = options.operands
    arguments = arguments_of(options)
    begun = begin(options, terminal_ask(options), talks=False)
    chosen(begun, name)
    begun = only(begun, name, options.profile or "default")
    given = replace(run_options(options, begun, attended()), model=BY_HAND)
    if options.action == "prompt":
        return anyio.run(_run, begun, given, partial(_prompt, options, name, what, arguments))
    if options.action == "read":
        tool, arguments = ("host", "read_resource"), {"server": name, "uri": what}
    else:
        tool = (name, what)
    return anyio.run(_run, begun, given, partial(_call, options, tool, arguments))


def arguments_of(options: argparse.Namespace) -> dict[str, Any]:
    try:
        arguments = json.loads(options.args or "{}")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--args: not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise UsageError("--args: not a JSON object")
    return arguments


def only(begun: Begun, name: str, profile: str) -> Begun:
    """The profile with this server alone: its rules, facts and limits hold as ever. Raises ConfigError."""
    config = begun.config
    base = config.profiles[profile]
    if name not in base.servers:
        raise ConfigError(f"profile {profile} does not have the server {name}; -p names another profile")
    server = replace(config.servers[name], required=True)
    alone = replace(base, servers=(name,), prompt="", recording=None, fallback=())
    return replace(begun, config=replace(config, servers={name: server}, profiles={profile: alone}, model=BY_HAND))


@dataclass(slots=True)
class ByHand:
    """A provider that makes the one call that was typed, if any, and has nothing to say to its result."""

    call: Callable[[], Awaitable[ToolCall]] | None = None

    async def ask(self, request: Request, on_delta: OnDelta) -> Reply:
        if self.call is None or request.messages[-1].role == "tool":
            return Reply((), "done")
        return Reply((await self.call(),), "calls")

    async def aclose(self) -> None:
        """Nothing is held."""


Work = Callable[[ByHand, Door, OnOpen], Awaitable[int]]


async def _run(begun: Begun, options: RunOptions, work: Work) -> int:
    hand = ByHand()

    async def of(model: str, profile: Any) -> tuple[ByHand, str, ModelProfile]:
        return hand, model, ModelProfile()

    return await serve(begun, options, partial(work, hand), provider_for=of)


async def _call(
    options: argparse.Namespace,
    tool: tuple[str, str],
    arguments: dict[str, Any],
    hand: ByHand,
    door: Door,
    on_open: OnOpen,
) -> int:
    handle = await door.open(profile=options.profile)
    on_open(handle)
    server, name = tool

    async def call() -> ToolCall:
        spec = await handle.ask("tool", server=server, name=name)
        return ToolCall("call_1", spec.name if spec else exposed_name(server, name), arguments)

    hand.call = call
    outcome, finished = await turn(handle, " ".join(["mcp", options.action, *options.operands]))
    if finished is not None:
        show(options, handle.session, *finished)
        if finished[0].cause == "unknown_tool":
            known = [spec.remote_name for spec in await handle.ask("tools") if spec.server == server]
            tell(f"{server} has no tool {name}{nearest(name, known)}")
    return exit_code(options, outcome, finished[0] if finished else None)


async def _prompt(
    options: argparse.Namespace,
    server: str,
    name: str,
    arguments: Mapping[str, Any],
    hand: ByHand,
    door: Door,
    on_open: OnOpen,
) -> int:
    """What comes back is what a person would send: it is logged as that, and nobody answers."""
    handle = await door.open(profile=options.profile)
    on_open(handle)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in arguments.items()}
    try:
        filled = await handle.ask("prompt", server=server, name=name, arguments=texts)
    except HostError as error:
        tell(str(error))
        ready = any(status.state == "ready" for status in await handle.ask("servers"))
        return FAILED if ready else UNAVAILABLE
    lines = [f"{message.get('role')}: {text}" for message in filled["messages"] for text in words([message["content"]])]
    outcome, _ = await turn(handle, "\n".join([f"mcp prompt {server} {name}", *lines]))
    if as_json(options):
        put_json(filled)
    else:
        put_words("\n".join(lines) + "\n")
    return exit_code(options, outcome, None)


Finished = tuple[ev.CallFinished, dict[str, Any]]


async def turn(handle: Handle, said: str) -> tuple[Outcome, Finished | None]:
    """One turn to its end: what it came to, and the call's end with its whole content."""
    outcome, finished = Outcome(handle.session), None
    if rejected := handle.submit(ev.Say(said)):
        raise HostError(rejected.reason)
    async for item in handle.feed():
        if not isinstance(item, ev.Recorded):
            continue
        event = item.event
        outcome.take(event)
        if isinstance(event, ev.Asked) and attended():
            given = await to_thread.run_sync(answer, event, abandon_on_cancel=True)
            handle.submit(given)
        elif isinstance(event, ev.CallFinished):
            body = {"content": list(event.content), "structured": event.structured}
            if event.outline is not None:
                body = json.loads(await handle.ask("result", seq=item.seq))
            finished = (event, body)
        elif isinstance(event, ev.TurnEnded):
            break
    return outcome, finished


def exit_code(options: argparse.Namespace, outcome: Outcome, finished: ev.CallFinished | None) -> int:
    if outcome.error:
        tell(outcome.error)
    for denial in outcome.denials:
        tell(f"{denial['tool']} did not run: {denial['reason']}. What would let it run: {denial['would_allow']}")
    code = outcome.exit_code(options.fail_on_denied)
    return code or (FAILED if finished is not None and finished.is_error else 0)


# --- what is shown


def show(options: argparse.Namespace, session: str, event: ev.CallFinished, body: Mapping[str, Any]) -> None:
    """The result on stdout, why there is none on stderr."""
    if as_json(options):
        whole = {
            "session": session,
            "outcome": event.outcome,
            "is_error": event.is_error,
            "content": body.get("content") or [],
            "structured": body.get("structured"),
            "reason": event.reason,
        }
        put_json(whole)
        return
    content = body.get("content") or []
    if (data := only_bytes(content)) is not None and put_bytes(data):
        return
    texts = list(words(content))
    if not texts and body.get("structured") is not None:
        texts = [json.dumps(body["structured"], indent=2, ensure_ascii=False)]
    if texts:
        put_words("\n".join(texts) + "\n")
    if event.is_error and event.outcome in ("error", "unknown") and event.cause != "unknown_tool":
        tell(f"{event.outcome}: {event.reason or event.cause or 'the server says that it failed'}")


def only_bytes(content: list[Any]) -> bytes | None:
    """A result that is one piece of binary data, for a file or a pipe."""
    if len(content) != 1:
        return None
    data = content[0].get("data") or (content[0].get("resource") or {}).get("blob")
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except ValueError:
        return None


def words(content: list[Any]) -> Iterator[str]:
    """The blocks of a result as text; of what is no text, what it is."""
    for block in content:
        inner = block.get("resource") or block
        if isinstance(text := inner.get("text"), str):
            yield text
        elif block.get("type") == "resource_link":
            yield f"{block.get('uri')}  {block.get('title') or block.get('name') or ''}".rstrip()
        else:
            size = len(inner.get("data") or inner.get("blob") or "") * 3 // 4
            yield f"[{block.get('type')} {inner.get('mimeType') or ''}, {size} bytes]"
