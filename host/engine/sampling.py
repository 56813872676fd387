"""A server that wants an answer of the model (`sampling/createMessage`): only where its entry allows it, and only what
a person has read, twice: what is asked, and what would be given back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from host.core import events as ev
from host.core.errors import HostError
from host.core.settings import Sampling
from host.core.state import Call
from host.core.types import Blob, Message, Part, Text
from host.engine.session import Session
from host.providers.base import Request

REPLY = ".reply"
STOPS = {"done": "endTurn", "length": "maxTokens"}


def question(
    session: Session, request_id: str, call: Call, params: Mapping[str, Any], beside: Sequence[ev.Asked]
) -> ev.Asked | None:
    """May the model be asked this? None where the server may not ask, or has asked often enough in this call, with
    what it asks `beside` this."""
    assert call.decision is not None
    entry = session.setup.servers.get(call.decision.server)
    allowed = entry.sampling if entry else None
    asked = [q.asked for q in session.state.questions.values() if q.asked.call_id == call.id]
    before = [a for a in (*asked, *beside) if a.about == "sampling" and not a.request_id.endswith(REPLY)]
    if allowed is None or len(before) >= allowed.calls or params.get("tools"):
        return None
    why = f"it wants an answer of {session.state.model}, of at most {_bound(params, allowed.tokens)} tokens"
    return _asked(request_id, call, "\n\n".join(_shown(params)), dict(params), why)


async def reply(session: Session, call: Call, asked: ev.Asked) -> ev.Asked:
    """Have the model answer, and ask: may the server have this? Its `arguments` are what would be sent, MCP's
    CreateMessageResult. Raises HostError where the model gives no answer."""
    id = asked.request_id + REPLY
    if id in session.state.questions:
        return session.state.questions[id].asked
    params, model = asked.arguments or {}, await session.model()
    allowed = session.setup.servers[asked.server].sampling or Sampling()
    system, messages = params.get("systemPrompt") or "", tuple(_messages(params))
    request = Request(model.name, system, messages, max_output=_bound(params, allowed.tokens))
    said = await model.provider.ask(request, lambda delta: None)
    text = "".join(part.text for part in said.parts if isinstance(part, Text)).strip()
    if not text or said.stop not in STOPS:
        raise HostError(f"{session.state.model} gave no answer (it ended with {said.stop})")
    content = {"type": "text", "text": text}
    result = {"role": "assistant", "content": content, "model": session.state.model, "stopReason": STOPS[said.stop]}
    second = _asked(id, call, text, result, f"{asked.server} gets this answer of {session.state.model} if you accept")
    await session.record(replace(second, usage=said.usage))
    return session.state.questions[id].asked


def result(session: Session, request_id: str) -> dict[str, Any] | None:
    """What the server gets; None where a person kept it back."""
    second = session.state.questions.get(request_id + REPLY)
    accepted = second is not None and second.answer is not None and second.answer.action == "accept"
    return dict(second.asked.arguments or {}) if second is not None and accepted else None


def _bound(params: Mapping[str, Any], allowed: int) -> int:
    """The longest answer: what the server wants, or what its entry allows if that is less."""
    wanted = params.get("maxTokens")
    return min(wanted, allowed) if isinstance(wanted, int) and wanted > 0 else allowed


def _asked(id: str, call: Call, message: str, arguments: dict[str, Any], reason: str) -> ev.Asked:
    assert call.decision is not None
    return ev.Asked(
        id,
        "sampling",
        call.decision.server,
        call.id,
        tool=call.decision.tool,
        remote_name=call.decision.remote_name,
        arguments=arguments,
        reason=reason,
        message=message,
    )


def _contents(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else [content] if isinstance(content, Mapping) else []


def _shown(params: Mapping[str, Any]) -> Iterator[str]:
    """All that the model would be told, for a person to read."""
    if params.get("systemPrompt"):
        yield f"system: {params['systemPrompt']}"
    for message in params.get("messages") or ():
        for item in _contents(message):
            yield f"{message.get('role')}: {item.get('text') or [item.get('mimeType') or item.get('type')]}"


def _messages(params: Mapping[str, Any]) -> Iterator[Message]:
    for message in params.get("messages") or ():
        parts: list[Part] = []
        for item in _contents(message):
            if item.get("type") == "image":
                parts.append(Blob(str(item.get("mimeType")), str(item.get("data"))))
            else:
                parts.append(Text(str(item.get("text") or f"[{item.get('type')}]")))
        yield Message("assistant" if message.get("role") == "assistant" else "user", tuple(parts))
