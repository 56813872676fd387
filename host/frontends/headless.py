"""The front end for scripts: one prompt, a stream of commands, or a batch; text, json or stream-json out."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from host.core import events as ev
from host.core.errors import HostError
from host.core.source import ServerStatus
from host.core.types import Text, ToolCall, Usage
from host.frontends.handle import Door, FeedItem, Handle
from host.frontends.plain import put_line, put_words, show

Output = Literal["text", "json", "stream-json"]
FAILED = {"auth": 4, "model": 7, "server": 7}


@dataclass(slots=True)
class Outcome:
    """What one run came to, gathered from its feed: the object that `json` prints."""

    session: str | None
    answer: str = ""
    reason: str = ""
    error: str | None = None
    code: str | None = None
    usage: Usage = Usage()
    calls: list[dict[str, Any]] = field(default_factory=list)
    denials: list[dict[str, Any]] = field(default_factory=list)
    _step: dict[str, dict[str, Any]] = field(default_factory=dict)
    _decided: dict[str, ev.CallDecided] = field(default_factory=dict)

    def take(self, event: ev.Event) -> None:
        match event:
            case ev.ModelSaid(parts=parts, stop=stop):
                self.answer = "".join(p.text for p in parts if isinstance(p, Text)) or self.answer
                self.proposed(p for p in parts if isinstance(p, ToolCall) and stop == "calls")
            case ev.CallDecided():
                self._decided[event.call_id] = event
                self._step[event.call_id]["arguments"] = event.arguments
            case ev.CallFinished():
                self._step[event.call_id]["outcome"] = event.outcome
                if event.outcome in ("denied", "declined") and event.call_id in self._decided:
                    self.denials.append(denial(self._decided[event.call_id], event))
            case ev.TurnEnded():
                self.reason, self.error, self.code = event.reason, event.error, event.code
                self.usage += event.usage

    def proposed(self, calls: Iterable[ToolCall]) -> None:
        """The calls of a step, in their order. An id is the provider's own and may come again in a later step."""
        self._decided = {}
        self._step = {
            call.id: {"tool": call.name, "arguments": call.raw if call.malformed else call.arguments, "outcome": None}
            for call in calls
        }
        self.calls += self._step.values()

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
            "calls": self.calls,
            "denials": self.denials,
            "error": self.error,
        }


def denial(decided: ev.CallDecided, finished: ev.CallFinished) -> dict[str, Any]:
    """A call that did not run, and what would have let it through."""
    rules, allow = ", ".join(decided.rules), f"--allow '{decided.server}.{decided.remote_name}'"
    if decided.verdict == "deny":
        would = f"nothing on the command line: {rules} denies it" if rules else f"--mode ask {allow}"
    elif decided.grantable:
        would = allow
    else:
        would = f"a person's approval: {rules or decided.reason} always asks"
    reason = decided.reason if finished.cause == "nobody" else finished.reason or decided.reason
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
    attach: Sequence[dict[str, Any]] = (),
    on_open: Callable[[Handle], None] = lambda handle: None,
) -> int:
    """One session: a prompt and what stands beside it, or commands from stdin. Returns the exit code. Raises
    HostError."""
    handle = await door.open(resume=resume, profile=profile)
    on_open(handle)
    said = None if prompt is None else ev.Say(prompt, attach=tuple(attach))
    try:
        if input == "stream-json":
            return await _converse(handle, said, output, fail_on_denied)
        return await _once(handle, said, output, fail_on_denied)
    finally:
        await door.close(handle.session)


async def _once(handle: Handle, said: ev.Say | None, output: Output, fail_on_denied: bool) -> int:
    handle.leave()
    state = await handle.ask("state")
    outcome = Outcome(handle.session)
    outcome.proposed(call.proposal for call in state.calls.values() if call.status != "finished")
    if said is None and state.turn is None:
        raise HostError(f"session {handle.session} has no unfinished turn to continue: give a prompt")
    feed = handle.feed(await handle.ask("since"))
    if said is None:
        handle.go()
    elif rejected := await submitted(handle, said):
        raise HostError(rejected.reason)
    async for item in feed:
        await _print_item(handle, item, output)
        if isinstance(item, ev.Recorded):
            outcome.take(item.event)
            if isinstance(item.event, ev.TurnEnded):
                break
    _report(outcome, output)
    return outcome.exit_code(fail_on_denied)


def _report(outcome: Outcome, output: Output) -> None:
    if output == "json":
        put_line(ev.dumps(outcome.as_json()))
    elif output == "text":
        if outcome.answer:
            put_words(f"{outcome.answer}\n")
        for denied in outcome.denials:
            show(f"not run: {denied['tool']}: {denied['reason']} (would need {denied['would_allow']})")
    if outcome.error:
        show(f"{outcome.reason}: {outcome.error}")


async def _converse(handle: Handle, said: ev.Say | None, output: Output, fail_on_denied: bool) -> int:
    """Commands in, events out. A `say` during a turn waits for its end; EOF means that no more commands come."""
    state = await handle.ask("state")
    tasks = anyio.create_task_group()
    talk = _Talk(handle, tasks, deque([said] if said else []), Outcome(handle.session), state.turn is not None)
    talk.outcome.proposed(call.proposal for call in state.calls.values() if call.status != "finished")
    if state.turn is not None:
        handle.go()
        for question in state.questions.values():
            if question.answer is None:
                asked = ev.Recorded(handle.session, question.seq, question.at, question.asked)
                await _print_item(handle, asked, output)
    async with tasks:
        tasks.start_soon(talk.read_commands)
        talk.next_prompt()
        async for item in handle.feed(await handle.ask("since")):
            await _print_item(handle, item, output)
            talk.take(item)
            if talk.idle:
                break
        tasks.cancel_scope.cancel()
    _report(talk.outcome, output)
    return 0 if talk.closed else talk.outcome.exit_code(fail_on_denied)


@dataclass(slots=True)
class _Talk:
    """A conversation over stdin: the commands that wait for the end of a turn, and whether more may come."""

    handle: Handle
    tasks: TaskGroup
    waiting: deque[ev.Say | ev.Compact]
    outcome: Outcome
    busy: bool
    ended: bool = False
    closed: bool = False
    compacting: bool = False

    @property
    def idle(self) -> bool:
        return self.ended and not self.busy and not self.waiting

    def take(self, item: FeedItem) -> None:
        match item:
            case ev.Recorded(event=event):
                self.outcome.take(event)
                over = isinstance(event, ev.Compacted if self.compacting else ev.TurnEnded)
            case _:
                over = isinstance(item, ev.Rejected) and self.compacting
        if over:
            self.busy = self.compacting = False
            self.next_prompt()

    def next_prompt(self) -> None:
        """Say or do what waits, until a turn runs. It counts as running while what it names is read; commands and
        events go on meanwhile, for its server may have a question."""
        while self.waiting and not self.busy:
            command = self.waiting.popleft()
            self.busy, self.compacting = True, isinstance(command, ev.Compact)
            if isinstance(command, ev.Say) and command.attach:
                self.tasks.start_soon(self._read_and_say, command)
            elif rejected := self.handle.submit(command):
                self._not_taken(rejected)

    async def _read_and_say(self, command: ev.Say) -> None:
        if rejected := await submitted(self.handle, command):
            self._not_taken(rejected)
            self.next_prompt()
            if self.idle:
                self.handle.submit(ev.Close())

    def _not_taken(self, rejected: ev.Rejected) -> None:
        self.busy = self.compacting = False
        self.reject(rejected)

    def reject(self, rejected: ev.Rejected) -> None:
        put_line(ev.live(self.handle.session, rejected))

    async def read_commands(self) -> None:
        async for line in _lines():
            try:
                command = ev.command(line)
            except ev.BadMessage as error:
                self.reject(ev.Rejected("line", str(error)))
                continue
            if isinstance(command, (ev.Say, ev.Compact)):
                self.waiting.append(command)
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


async def submitted(handle: Handle, command: ev.Say) -> ev.Rejected | None:
    """Say it; what it only names is read first."""
    try:
        read = [await handle.ask("attach", what=what) for what in command.attach]
    except HostError as error:
        return ev.Rejected(command.kind, str(error))
    parts = (*command.parts, *(part for _, each in read for part in each))
    return handle.submit(ev.Say(command.text, parts, (*command.attached, *(one for one, _ in read))))


async def _lines() -> AsyncIterator[bytes]:
    """The non-empty lines of stdin. A thread waits for them; it dies with the process."""
    while line := await to_thread.run_sync(sys.stdin.buffer.readline, abandon_on_cancel=True):
        if line.strip():
            yield line


async def _print_item(handle: Handle, item: FeedItem, output: Output) -> None:
    if isinstance(item, ServerStatus):
        if item.state == "failed":
            show(f"server {item.server} failed: {item.detail}")
        return
    if isinstance(item, ev.Recorded) and isinstance(item.event, ev.CatalogChanged):
        for tool, why in item.event.quarantined.items():
            show(f"{item.event.server}: {tool} is set aside: {why}; agent-host lock reviews it")
    if output != "stream-json":
        return
    elif not isinstance(item, ev.Recorded):
        put_line(ev.live(handle.session, item))
    elif isinstance(item.event, ev.CallFinished) and item.event.outline is not None:
        stored = await handle.ask("result", seq=item.seq)
        await to_thread.run_sync(lambda: put_line(ev.envelope(item, stored)))
    else:
        put_line(ev.envelope(item))


async def batch(
    door: Door,
    lines: Iterable[Mapping[str, Any]],
    *,
    concurrency: int,
    out: BinaryIO | None,
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
            except Exception as error:  # whatever it is, the other lines go on
                outcome = Outcome(None, reason="failed", error=str(error) or type(error).__name__)
        put_line(ev.dumps({"id": line.get("id")} | outcome.as_json()), out)
        ended.append(outcome.reason != "failed")
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
        await door.close(handle.session)
