"""The front end for scripts: one prompt, a stream of commands, or a batch; text, json or stream-json out."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

import anyio
from anyio import to_thread

from host.core import events as ev
from host.core.errors import HostError
from host.core.source import ServerStatus
from host.core.types import Text, Usage
from host.frontends.handle import Door, FeedItem, Handle

Output = Literal["text", "json", "stream-json"]
FAILED = {"auth": 4, "model": 7, "server": 7}


@dataclass(slots=True)
class Outcome:
    """What one run came to, gathered from its feed: the object that `json` prints."""

    session: str
    answer: str = ""
    reason: str = ""
    error: str | None = None
    code: str | None = None
    usage: Usage = Usage()
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    denials: list[dict[str, Any]] = field(default_factory=list)
    _decided: dict[str, ev.CallDecided] = field(default_factory=dict)

    def take(self, event: ev.Event) -> None:
        match event:
            case ev.ModelSaid(parts=parts) if text := "".join(p.text for p in parts if isinstance(p, Text)):
                self.answer = text
            case ev.CallDecided():
                self._decided[event.call_id] = event
                self.calls[event.call_id] = {"tool": event.tool, "arguments": event.arguments, "outcome": None}
            case ev.CallFinished():
                self.calls.setdefault(event.call_id, {"tool": None, "arguments": None})["outcome"] = event.outcome
                if event.outcome in ("denied", "declined") and event.call_id in self._decided:
                    self.denials.append(denial(self._decided[event.call_id], event))
            case ev.TurnEnded():
                self.reason, self.error, self.code = event.reason, event.error, event.code
                self.usage += event.usage

    def exit_code(self, fail_on_denied: bool) -> int:
        match self.reason:
            case "failed":
                return FAILED.get(self.code or "model", 7)
            case "limit":
                return 6
            case "interrupted":
                return 130
        return 5 if fail_on_denied and self.denials else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "session": self.session,
            "answer": self.answer,
            "reason": self.reason,
            "usage": ev.plain(self.usage),
            "calls": list(self.calls.values()),
            "denials": self.denials,
            "error": self.error,
        }


def denial(decided: ev.CallDecided, finished: ev.CallFinished) -> dict[str, Any]:
    """A call that did not run, and what would have let it through."""
    if decided.verdict == "deny":
        would = f"nothing on the command line: {', '.join(decided.rules) or 'the mode'} denies it"
    elif decided.grantable:
        would = f"--allow '{decided.server}.{decided.remote_name}'"
    else:
        would = f"a person's approval: {', '.join(decided.rules) or decided.reason} always asks"
    reason = finished.reason or decided.reason
    return {"tool": decided.tool, "arguments": decided.arguments, "reason": reason, "would_allow": would}


async def run(
    door: Door,
    prompt: str | None,
    *,
    resume: str | None = None,
    profile: str | None = None,
    output: Output = "text",
    input: Literal["text", "stream-json"] = "text",
    fail_on_denied: bool = False,
    on_open: Callable[[Handle], None] = lambda handle: None,
) -> int:
    """One session: a prompt, or commands from stdin. Returns the exit code. Raises HostError."""
    handle = await door.open(resume=resume, profile=profile)
    on_open(handle)
    try:
        if input == "stream-json":
            return await _converse(handle, prompt, resume is not None, output, fail_on_denied)
        return await _once(handle, prompt, resume is not None, output, fail_on_denied)
    finally:
        await door.close(handle)


async def _once(handle: Handle, prompt: str | None, resumed: bool, output: Output, fail_on_denied: bool) -> int:
    handle.leave()
    state = await handle.ask("state")
    after = state.seq if resumed else 0
    outcome = Outcome(handle.session)
    if prompt is None and state.turn is None:
        raise HostError(f"session {handle.session} has no unfinished turn to continue: give a prompt")
    feed = handle.feed(after)
    if prompt is None:
        handle.go()
    elif rejected := handle.submit(ev.Say(prompt)):
        raise HostError(rejected.reason)
    async for item in feed:
        if output == "stream-json":
            _print_item(handle.session, item)
        if isinstance(item, ev.Recorded):
            outcome.take(item.event)
            if isinstance(item.event, ev.TurnEnded):
                break
    _report(outcome, output)
    return outcome.exit_code(fail_on_denied)


def _report(outcome: Outcome, output: Output) -> None:
    if output == "json":
        _write(ev.dumps(outcome.as_json()))
    elif output == "text":
        if outcome.answer:
            _write(outcome.answer.encode("utf-8", "replace"))
        for denied in outcome.denials:
            sys.stderr.write(f"not run: {denied['tool']}: {denied['reason']} (would need {denied['would_allow']})\n")
    if outcome.error:
        sys.stderr.write(f"{outcome.reason}: {outcome.error}\n")


async def _converse(handle: Handle, prompt: str | None, resumed: bool, output: Output, fail_on_denied: bool) -> int:
    """Commands in, events out. A `say` during a turn waits for its end; EOF means that no more commands come."""
    state = await handle.ask("state")
    talk = _Talk(handle, deque([prompt] if prompt else []), Outcome(handle.session), state.turn is not None)
    after = state.seq if resumed else 0
    if state.turn is not None:
        handle.go()
        for question in state.questions.values():
            if question.answer is None:
                _write(ev.envelope(ev.Recorded(handle.session, question.seq, question.at, question.asked)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk.read_commands)
        talk.next_prompt()
        async for item in handle.feed(after):
            if output == "stream-json":
                _print_item(handle.session, item)
            if isinstance(item, ev.Recorded):
                talk.take(item.event)
            if talk.idle:
                break
        tasks.cancel_scope.cancel()
    if output != "stream-json":
        _report(talk.outcome, output)
    return 0 if talk.closed else talk.outcome.exit_code(fail_on_denied)


@dataclass(slots=True)
class _Talk:
    """A conversation over stdin: the prompts that wait, and whether more may come."""

    handle: Handle
    waiting: deque[str]
    outcome: Outcome
    busy: bool
    ended: bool = False
    closed: bool = False

    @property
    def idle(self) -> bool:
        return self.ended and not self.busy and not self.waiting

    def take(self, event: ev.Event) -> None:
        self.outcome.take(event)
        if isinstance(event, ev.TurnEnded):
            self.busy = False
            self.next_prompt()

    def next_prompt(self) -> None:
        if self.busy or not self.waiting:
            return
        text = self.waiting.popleft()
        if rejected := self.handle.submit(ev.Say(text)):
            self.reject(rejected)
            self.next_prompt()
        else:
            self.busy = True

    def reject(self, rejected: ev.Rejected) -> None:
        _write(ev.live(self.handle.session, rejected))

    async def read_commands(self) -> None:
        async for line in _lines():
            try:
                command = ev.command(line)
            except ev.BadMessage as error:
                self.reject(ev.Rejected("line", str(error)))
                continue
            if isinstance(command, ev.Say):
                self.waiting.append(command.text)
                self.next_prompt()
            elif isinstance(command, ev.Close):
                self.closed = True
                self.handle.submit(command)
                return
            elif rejected := self.handle.submit(command):
                self.reject(rejected)
        self.ended = True
        self.handle.leave()
        if self.idle:
            self.handle.submit(ev.Close())


async def _lines() -> AsyncIterator[bytes]:
    """The non-empty lines of stdin. A thread waits for them; it dies with the process."""
    while line := await to_thread.run_sync(sys.stdin.buffer.readline, abandon_on_cancel=True):
        if line.strip():
            yield line


def _print_item(session: str, item: FeedItem) -> None:
    if isinstance(item, ev.Recorded):
        _write(ev.envelope(item))
    elif not isinstance(item, ServerStatus):
        _write(ev.live(session, item))


def _write(line: bytes) -> None:
    """One line on stdout, whole and at once. A reader that went away ends the process quietly."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def batch(
    door: Door,
    lines: Iterable[Mapping[str, Any]],
    *,
    concurrency: int,
    out: TextIO,
    profile: str | None = None,
    on_done: Callable[[int], None] = lambda count: None,
) -> int:
    """Many prompts, each in a session and with servers of its own; one JSON object a line, in order of completion.
    Returns 0 if all ended, else 1."""
    limiter = anyio.CapacityLimiter(concurrency)
    ended: list[bool] = []

    async def one(line: Mapping[str, Any]) -> None:
        async with limiter:
            try:
                outcome = await _line(door, line, profile)
                result, ok = outcome.as_json(), outcome.reason != "failed"
            except HostError as error:
                result, ok = {"session": None, "answer": "", "reason": "failed", "error": str(error)}, False
        out.write(json.dumps({"id": line.get("id")} | result, ensure_ascii=False) + "\n")
        out.flush()
        ended.append(ok)
        on_done(len(ended))

    async with anyio.create_task_group() as tasks:
        for line in lines:
            tasks.start_soon(one, line)
    return 0 if all(ended) else 1


async def _line(door: Door, line: Mapping[str, Any], profile: str | None) -> Outcome:
    handle = await door.open(profile=line.get("profile") or profile)
    try:
        handle.leave()
        outcome = Outcome(handle.session)
        if rejected := handle.submit(ev.Say(str(line["prompt"]))):
            raise HostError(rejected.reason)
        async for item in handle.feed():
            if isinstance(item, ev.Recorded):
                outcome.take(item.event)
                if isinstance(item.event, ev.TurnEnded):
                    break
        return outcome
    finally:
        await door.close(handle)
