"""A session played from a script: emits what it is given, records the commands, answers as the engine would."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio

from host.core import events as ev
from host.core.fold import apply
from host.core.pins import Drift
from host.core.source import ServerStatus
from host.core.state import State
from host.core.types import Grant, SessionRow, Text, ToolCall, ToolSpec, Usage

AT = "2026-11-22T12:00:{:02d}.000Z"


class FakeHandle:
    """Keeps a real State, so that it rejects what the engine would reject."""

    def __init__(self, session: str, items: list[Any], react: Callable[[FakeHandle, ev.Command], None] | None) -> None:
        self.session = session
        self.state = State(session=session)
        self.stored: list[ev.Recorded] = []
        self.commands: list[ev.Command] = []
        self.tools: list[ToolSpec] = []
        self.statuses: list[ServerStatus] = []
        self.drifts: list[Drift] = []
        self.answers: dict[str, Callable[..., Any]] = {"files": lambda prefix: []}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.went = 0
        self._react = react
        self._queues: list[list[Any]] = []
        self._news = anyio.Event()
        self._ended = False
        for item in items:
            self.emit(item)

    def emit(self, *items: Any) -> None:
        """Events are numbered and stored; deltas and server states only pass by."""
        for item in items:
            if not isinstance(item, (ev.Delta, ev.ServerNews, ServerStatus)):
                item = ev.Recorded(self.session, self.state.seq + 1, AT.format(min(self.state.seq, 59)), item)
                apply(self.state, item)
                self.stored.append(item)
            for queue in self._queues:
                queue.append(item)
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    def submit(self, command: ev.Command) -> ev.Rejected | None:
        self.commands.append(command)
        if isinstance(command, ev.Answer):
            for id in command.ids:
                question = self.state.questions.get(id)
                if question is None or question.answer is not None:
                    return ev.Rejected("answer", f"the question {id!r} was already answered")
                content, remember = command.content, command.remember
                self.emit(ev.Answered(id, command.action, content, "user", remember, command.reason))
        elif isinstance(command, ev.Change) and command.revoke:
            self.emit(ev.SettingsChanged({"revoked": command.revoke}))
        elif isinstance(command, ev.Change) and command.mode:
            self.emit(ev.SettingsChanged({"mode": command.mode}))
        elif isinstance(command, ev.Say):
            self.emit(ev.UserSaid((Text(command.text), *command.parts), command.attached or None))
        if self._react is not None:
            self._react(self, command)
        return None

    async def feed(self, after: int = 0) -> AsyncIterator[Any]:
        queue: list[Any] = [item for item in self.stored if item.seq > after]
        self._queues.append(queue)
        while True:
            while queue:
                yield queue.pop(0)
            if self._ended:
                return
            await self._news.wait()

    async def ask(self, query: str, **parameters: Any) -> Any:
        if query in self.answers:
            self.asked.append((query, parameters))
            answer = self.answers[query](**parameters)
            if isinstance(answer, Exception):
                raise answer
            return answer
        known = {"servers": self.statuses, "tools": self.tools, "drifts": list(self.drifts), "state": self.state}
        return known[query]

    def go(self) -> None:
        self.went += 1
        self.emit(ev.SettingsChanged({"resumed": "0.1.0"}, by="host"))

    def leave(self) -> None: ...


class FakeDoor:
    """Opens scripted sessions; `gate` holds the opening back."""

    def __init__(
        self,
        items: list[Any] | None = None,
        react: Callable[[FakeHandle, ev.Command], None] | None = None,
        rows: list[SessionRow] | None = None,
        older: dict[str, list[Any]] | None = None,
    ) -> None:
        self.items = [opened()] if items is None else items
        self.react = react
        self.rows = rows or []
        self.older = older or {}
        self.gate: anyio.Event | None = None
        self.opened: list[str | None] = []
        self.closed: list[str] = []
        self.handle: FakeHandle | None = None
        self.statuses: list[ServerStatus] = []
        self.tools: list[ToolSpec] = []
        self.answers: dict[str, Callable[..., Any]] = {}
        self.error: Exception | None = None
        self.granted: list[Grant] = []

    async def open(self, resume: str | None = None, profile: str | None = None) -> FakeHandle:
        self.opened.append(resume)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        items = self.older.get(resume or "", self.items)
        self.handle = FakeHandle(resume or f"session-{len(self.opened)}", items, self.react)
        self.handle.statuses, self.handle.tools = self.statuses, self.tools
        self.handle.answers |= self.answers
        return self.handle

    async def close(self, session: str) -> None:
        self.closed.append(session)

    async def sessions(self) -> list[SessionRow]:
        return self.rows

    async def grants(self) -> tuple[Grant, ...]:
        return tuple(self.granted)

    async def take_back(self, id: str) -> bool:
        before = len(self.granted)
        self.granted = [grant for grant in self.granted if grant.id != id]
        return len(self.granted) < before


# --- short ways to write a script


def opened(profile: str = "support-desk", model: str = "gpt-5.6") -> ev.SessionOpened:
    return ev.SessionOpened(profile, model, ("crm", "orders", "tickets"))


def user(text: str) -> ev.UserSaid:
    return ev.UserSaid((Text(text),))


USED = Usage(31_204, 212, usd=0.043)


def said(text: str, usage: Usage = USED) -> ev.ModelSaid:
    return ev.ModelSaid((Text(text),) if text else (), "gpt-5.6", "done", usage)


def calls(text: str, *wanted: tuple[str, str, dict[str, Any]]) -> ev.ModelSaid:
    parts = [Text(text)] if text else []
    tool_calls = [ToolCall(id, name, arguments) for id, name, arguments in wanted]
    return ev.ModelSaid((*parts, *tool_calls), "gpt-5.6", "calls", USED)


def decided(id: str, tool: str, arguments: dict[str, Any], verdict: str = "allow", **more: Any) -> ev.CallDecided:
    server, _, name = tool.partition("__")
    return ev.CallDecided(id, tool, server, name, arguments, verdict, **more)  # type: ignore[arg-type]


def started(id: str, tool: str, arguments: dict[str, Any]) -> ev.CallStarted:
    server, _, name = tool.partition("__")
    return ev.CallStarted(id, 1, server, name, arguments, f"key-{id}")


def finished(id: str, result: Any = "ok", milliseconds: int = 120, **more: Any) -> ev.CallFinished:
    text = result if isinstance(result, str) else json.dumps(result)
    content = ({"type": "text", "text": text},)
    return ev.CallFinished(
        id, more.pop("outcome", "ok"), more.pop("is_error", False), content, None, milliseconds, **more
    )


def approval(request: str, id: str, tool: str, arguments: dict[str, Any], **more: Any) -> ev.Asked:
    server, _, name = tool.partition("__")
    defaults: dict[str, Any] = {
        "effect": "write",
        "open": True,
        "rules": (),
        "reason": "no rule matches; write, open",
        "grantable": True,
    }
    return ev.Asked(
        request, "approval", server, id, tool=tool, remote_name=name, arguments=arguments, **(defaults | more)
    )


def asking(*tools: tuple[str, dict[str, Any]], **more: Any) -> list[ev.Event]:
    """A turn in which the model calls these tools, and each waits for approval: requests q1, q2 …"""
    wanted = [(f"c{n}", tool, arguments) for n, (tool, arguments) in enumerate(tools, 1)]
    happened: list[ev.Event] = [opened(), user("answer the customer"), calls("", *wanted)]
    for n, (id, tool, arguments) in enumerate(wanted, 1):
        effect = {k: v for k, v in more.items() if k in ("effect", "open")}
        happened += [decided(id, tool, arguments, "ask", **effect), approval(f"q{n}", id, tool, arguments, **more)]
    return happened
