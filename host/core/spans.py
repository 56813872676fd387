"""A session as OpenTelemetry spans: one for each turn, model request and call, by the conventions for generative AI
and MCP. Pure: what is exported live and what is exported later from the log are the same spans under the same ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from host.core import events as ev
from host.core.events import Recorded
from host.core.types import Text, ToolCall, Usage, canonical

LONGEST = 16_000
OWN = "host"
_KINDS = {"internal": 1, "client": 3}
_ERROR = 2
_FINISH = {
    "done": "stop", "calls": "tool_call", "length": "length", "refusal": "content_filter",
    "failed": "error", "interrupted": "error",
}  # fmt: skip
Kind = Literal["internal", "client"]


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time. `began` and `ended` are nanoseconds, `error` is a class of errors, not a message."""

    trace: str
    id: str
    parent: str
    name: str
    kind: Kind
    began: int
    ended: int
    attributes: Mapping[str, Any]
    error: str = ""


def traceparent(session: str, began: str, call_id: str, key: str) -> str:
    """What a server is told of the span of a call (W3C Trace Context), in the turn that began then."""
    return f"00-{_trace(session, began)}-{_call(session, began, call_id, key)}-01"


@dataclass(slots=True)
class Spans:
    """The spans of one session, given out as they end. With `content` they carry what was said and sent."""

    content: bool = False
    profile: str = ""
    model: str = ""
    turn: Recorded | None = None
    decided: dict[str, ev.CallDecided] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    started: dict[str, tuple[str, str]] = field(default_factory=dict)

    def take(self, item: Recorded) -> Span | None:
        """The span that ended with this event."""
        match item.event:
            case ev.SessionOpened() as opened:
                self.profile, self.model = opened.profile, opened.model
            case ev.SettingsChanged(changes=changes):
                self.model = str(changes.get("model", self.model))
            case ev.UserSaid() if self.turn is None:
                self.turn = item
            case ev.ModelSaid() as said:
                return self._request(item, said)
            case ev.CallDecided() as decided:
                self.decided[decided.call_id] = decided
            case ev.Asked(about="approval", call_id=str(call_id)) as asked:
                self.asked[asked.request_id] = call_id
            case ev.Answered() as answered if answered.request_id in self.asked:
                self.answered[self.asked.pop(answered.request_id)] = f"{answered.action} by {answered.by}"
            case ev.CallStarted() as started:
                self.started.setdefault(started.call_id, (item.at, started.key))
            case ev.CallFinished() as finished:
                return self._called(item, finished)
            case ev.TurnEnded() as ended:
                return self._turned(item, ended)
        return None

    def _request(self, item: Recorded, said: ev.ModelSaid) -> Span:
        attributes = self._about("chat", item.session) | _usage(said.usage)
        attributes |= {"gen_ai.response.model": said.model, "gen_ai.response.finish_reasons": [_FINISH[said.stop]]}
        if self.content:
            attributes["gen_ai.output.messages"] = _messages("assistant", said)
        error = (said.code or said.stop) if said.stop in ("failed", "interrupted") else ""
        began = _nanoseconds(item.at) - (said.request.get("milliseconds") or 0) * 1_000_000
        id = _hash(8, item.session, str(item.seq))
        return self._span(item, id, f"chat {self.model.partition('/')[2]}", "client", began, attributes, error)

    def _called(self, item: Recorded, end: ev.CallFinished) -> Span | None:
        decided, started = self.decided.pop(end.call_id, None), self.started.pop(end.call_id, None)
        answer = self.answered.pop(end.call_id, "")
        if decided is None:
            return None
        attributes = _judged(decided, end) | {"gen_ai.conversation.id": item.session}
        if answer:
            attributes["agent_host.answer"] = answer
        if self.content:
            attributes["gen_ai.tool.call.arguments"] = _cut(canonical(dict(decided.arguments)))
            attributes["gen_ai.tool.call.result"] = _cut(canonical(ev.plain(end.outline or end.content)))
        error = "" if end.outcome == "ok" else end.cause or ("tool_error" if end.outcome == "error" else end.outcome)
        sent = started is not None and decided.server != OWN
        if sent:
            attributes["mcp.method.name"] = "tools/call"
        at, key = started or (item.at, str(item.seq))
        id = _call(item.session, self._began(item), end.call_id, key)
        name = f"{'tools/call' if sent else 'execute_tool'} {decided.remote_name}"
        return self._span(item, id, name, "client" if sent else "internal", _nanoseconds(at), attributes, error)

    def _turned(self, item: Recorded, ended: ev.TurnEnded) -> Span:
        attributes = self._about("invoke_agent", item.session) | _usage(ended.usage)
        attributes["gen_ai.agent.name"] = self.profile
        if self.content and self.turn is not None and isinstance(self.turn.event, ev.UserSaid):
            attributes["gen_ai.input.messages"] = _messages("user", self.turn.event)
        error = "" if ended.reason == "done" else ended.code or ended.reason
        began = self._began(item)
        name, id = f"invoke_agent {self.profile}", _turn(item.session, began)
        span = self._span(item, id, name, "internal", _nanoseconds(began), attributes, error)
        self.turn, self.decided, self.answered, self.asked, self.started = None, {}, {}, {}, {}
        return span

    def _about(self, operation: str, session: str) -> dict[str, Any]:
        provider, _, model = self.model.partition("/")
        return {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.conversation.id": session,
        }

    def _began(self, item: Recorded) -> str:
        return self.turn.at if self.turn is not None else item.at

    def _span(
        self, item: Recorded, id: str, name: str, kind: Kind, began: int, attributes: Mapping[str, Any], error: str
    ) -> Span:
        turn = self._began(item)
        above = _turn(item.session, turn)
        parent = "" if id == above else above
        return Span(_trace(item.session, turn), id, parent, name, kind, began, _nanoseconds(item.at), attributes, error)


def _judged(decided: ev.CallDecided, end: ev.CallFinished) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": decided.remote_name,
        "gen_ai.tool.call.id": end.call_id,
        "agent_host.server": decided.server,
        "agent_host.verdict": decided.verdict,
        "agent_host.rules": list(decided.rules),
        "agent_host.outcome": end.outcome,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "gen_ai.usage.input_tokens": usage.input,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
    }


def _messages(role: str, said: ev.ModelSaid | ev.UserSaid) -> str:
    """A message in the conventions' own form; what only its maker understands is left out."""
    parts: list[dict[str, Any]] = []
    for part in said.parts:
        if isinstance(part, ToolCall):
            parts.append({"type": "tool_call", "id": part.id, "name": part.name, "arguments": dict(part.arguments)})
        elif isinstance(part, Text):
            parts.append({"type": "text", "content": part.text})
    return _cut(canonical([{"role": role, "parts": parts}]))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _nanoseconds(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000) * 1_000_000


def _trace(session: str, began: str) -> str:
    return _hash(16, session, began)


def _turn(session: str, began: str) -> str:
    return _hash(8, session, began, "turn")


def _call(session: str, began: str, call_id: str, key: str) -> str:
    return _hash(8, session, began, call_id, key)


def _hash(size: int, *names: str) -> str:
    return sha256("\0".join(names).encode(errors="surrogatepass")).digest()[:size].hex()


# --- OTLP, its JSON form


def otlp(spans: Iterable[Span], resource: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The body of one export request."""
    scope = {"name": "agent-host", "version": version}
    scoped = {"scope": scope, "spans": [_encoded(span) for span in spans]}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scoped]}]}


def _encoded(span: Span) -> dict[str, Any]:
    attributes = {**span.attributes, **({"error.type": span.error} if span.error else {})}
    return {
        "traceId": span.trace,
        "spanId": span.id,
        **({"parentSpanId": span.parent} if span.parent else {}),
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.began),
        "endTimeUnixNano": str(span.ended),
        "attributes": _attributes(attributes),
        "status": {"code": _ERROR} if span.error else {},
    }


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {"stringValue": str(value)}
