"""What a person sees of a session: a fold of the feed into blocks, the same for a live and a resumed session.

`View.advance` takes one item of the feed and names the blocks that changed; a front end draws only those.
Texts are kept as they came: whoever shows them makes them safe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from host.core import events as ev
from host.core.fold import apply
from host.core.outline import Outline, Rest, Shown
from host.core.source import ServerStatus
from host.core.state import Call, Question, State, seconds
from host.core.told import ending, parts_of
from host.core.types import Attached, Blob, Effect, Grant, Part, Stop, Text, Usage, canonical

Stage = Literal[
    "proposed", "allowed", "waiting", "running", "paused",
    "ok", "error", "denied", "declined", "interrupted", "unknown",
]  # fmt: skip

Tone = Literal["info", "warning", "error"]

# State is told by glyph and word; colour is only a third channel.
STAGES: Mapping[Stage, tuple[str, str]] = {
    "proposed": ("○", "proposed"),
    "allowed": ("○", "allowed"),
    "waiting": ("⚑", "waiting"),
    "running": ("◐", "running"),
    "paused": ("⚑", "asks you"),
    "ok": ("✓", "done"),
    "error": ("✗", "failed"),
    "denied": ("⊘", "denied"),
    "declined": ("⊘", "declined"),
    "interrupted": ("■", "stopped"),
    "unknown": ("?", "unknown"),
}
REMEMBERED = {"session": "this session", "project": "this project", "me": "from now on"}
LIVE: frozenset[Stage] = frozenset({"proposed", "allowed", "waiting", "running", "paused"})


@dataclass(frozen=True, slots=True)
class Beside:
    """What the user put beside their words: what it is, and its size in a few words."""

    what: Attached
    size: str


@dataclass(frozen=True, slots=True)
class UserBlock:
    """Words of the user."""

    text: str
    attached: tuple[Beside, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelBlock:
    """Words of the model. `drafting` counts the characters of calls it is still writing."""

    text: str
    streaming: bool = False
    drafting: int = 0
    stop: Stop = "done"


@dataclass(frozen=True, slots=True)
class CallCard:
    """One call, from the model's wish to its end. `note` says who let it through or stopped it, and why;
    `wished` are the model's own arguments where a person edited them."""

    call_id: str
    server: str
    name: str
    stage: Stage
    arguments: Mapping[str, Any]
    raw: str | None = None
    edited: bool = False
    wished: Mapping[str, Any] | None = None
    effect: Effect | None = None
    open: bool | None = None
    note: str = ""
    reason: str = ""
    fraction: float | None = None
    message: str = ""
    result: str = ""
    milliseconds: int = 0
    size: int = 0
    checked: bool = False

    @property
    def live(self) -> bool:
        return self.stage in LIVE


@dataclass(frozen=True, slots=True)
class NoticeBlock:
    """A line of the host itself."""

    text: str
    tone: Tone = "info"


@dataclass(frozen=True, slots=True)
class TurnBlock:
    """How a turn ended."""

    reason: Literal["done", "interrupted", "failed", "limit"]
    usage: Usage
    error: str | None = None
    seconds: float = 0.0
    calls: int = 0


Block = UserBlock | ModelBlock | CallCard | NoticeBlock | TurnBlock


@dataclass(slots=True)
class View:
    """The blocks in their order, each under a key that stays, beside the session's own state."""

    state: State = field(default_factory=State)
    blocks: dict[str, Block] = field(default_factory=dict)
    servers: dict[str, ServerStatus] = field(default_factory=dict)
    context: int = 0
    answers: int = 0
    _texts: dict[int, str] = field(default_factory=dict)
    _drafts: dict[str, int] = field(default_factory=dict)
    _progress: dict[str, tuple[float | None, str]] = field(default_factory=dict)
    _finished: dict[str, ev.CallFinished] = field(default_factory=dict)
    links: dict[tuple[str, str], str] = field(default_factory=dict)
    _outdated: set[tuple[str, str]] = field(default_factory=set)

    @property
    def busy(self) -> bool:
        return self.state.turn is not None

    @property
    def questions(self) -> list[ev.Asked]:
        return self.state.open_questions()

    @property
    def ready(self) -> int:
        return sum(status.state == "ready" for status in self.servers.values())

    @property
    def tools(self) -> int:
        return sum(status.tools for status in self.servers.values() if status.state == "ready")

    def advance(self, item: ev.Recorded | ev.Delta | ev.Rejected | ev.ServerNews | ServerStatus) -> list[str]:
        """Take one item in; the keys of the blocks that are new, changed or gone."""
        match item:
            case ServerStatus():
                self.servers[item.server] = item
                return []
            case ev.Delta(of="progress"):
                return self._progressed(item)
            case ev.Delta():
                return self._streamed(item)
            case ev.ServerNews(server, "resource", uri) if uri is not None:
                return self._changed(server, uri)
            case ev.ServerNews():
                return []
            case ev.Rejected(command, reason):
                return self.note(f"/{command}: {reason}", "warning")
            case ev.Recorded():
                return self._recorded(item)

    def note(self, text: str, tone: Tone = "info") -> list[str]:
        """Add a line that is in no log: the front end's own word."""
        return self._put(f"n{len(self.blocks)}", NoticeBlock(text, tone))

    def _recorded(self, item: ev.Recorded) -> list[str]:
        turn = self.state.turn
        apply(self.state, item)
        key = f"e{item.seq}"
        match item.event:
            case ev.UserSaid():
                return self._put(key, self._user_said(item.event))
            case ev.ModelSaid():
                return self._model_said(item.event)
            case ev.CallFinished(call_id=id):
                self._finished[id] = item.event
                self._linked(item.event)
                return self._card(id)
            case ev.CallDecided(call_id=id) | ev.CallStarted(call_id=id) | ev.CallPaused(call_id=id):
                return self._card(id)
            case ev.Asked(call_id=asking):
                return self._card(asking)
            case ev.Answered(request_id=request):
                return self._card(self.state.questions[request].asked.call_id)
            case ev.TurnEnded(reason, usage, error):
                spent = seconds(turn.began, item.at) - turn.waited if turn else 0.0
                calls = turn.calls if turn else 0
                return [*self._settle_stream(), *self._put(key, TurnBlock(reason, usage, error, spent, calls))]
            case ev.SettingsChanged(changes) if "resumed" in changes:
                return [
                    *self._put(key, NoticeBlock("carried on")),
                    *(k for id in self.state.calls for k in self._card(id)),
                ]
            case event:
                notice = _notice(event)
                return self._put(key, notice) if notice else []

    def _user_said(self, said: ev.UserSaid) -> UserBlock:
        words = said.parts[:1] if said.attached else said.parts
        beside, place = [], 1
        for one in said.attached or ():
            beside.append(Beside(one, ", ".join(map(_sized, said.parts[place : place + one.parts]))))
            place += one.parts
            self._outdated.discard((one.server, one.name))
        return UserBlock("\n".join(p.text for p in words if isinstance(p, Text)), tuple(beside))

    def _linked(self, finished: ev.CallFinished) -> None:
        """Resources that a result names can be put beside the next words."""
        decision = self.state.calls[finished.call_id].decision
        for block in finished.content if decision else ():
            if block.get("type") == "resource_link" and decision is not None:
                self.links[decision.server, str(block.get("uri"))] = str(block.get("title") or block.get("name") or "")

    def _changed(self, server: str, uri: str) -> list[str]:
        """A resource that was put beside the words changed: said once, until it is put there anew."""
        if (server, uri) not in self.state.attached or (server, uri) in self._outdated:
            return []
        self._outdated.add((server, uri))
        return self.note(f"{server}: {uri} changed; @ it again to give the model what it is now")

    def _put(self, key: str, block: Block) -> list[str]:
        self.blocks[key] = block
        return [key]

    def _model_said(self, said: ev.ModelSaid) -> list[str]:
        key = f"m{self.answers}"
        self.answers += 1
        self.context = said.usage.input or self.context
        self._texts, self._drafts, self._progress, self._finished = {}, {}, {}, {}
        text = "\n\n".join(part.text for part in said.parts if isinstance(part, Text) and part.text.strip())
        if text:
            self.blocks[key] = ModelBlock(text, stop=said.stop)
        else:
            self.blocks.pop(key, None)
        return [key, *(k for id in self.state.calls for k in self._card(id))]

    def _streamed(self, delta: ev.Delta) -> list[str]:
        if delta.of == "args":
            id = delta.call_id or str(delta.part)
            self._drafts[id] = max(self._drafts.get(id, 0), delta.offset + len(delta.value))
        else:
            before = self._texts.get(delta.part, "")
            if delta.offset > len(before):  # a delta was lost: the event that follows repairs it
                return []
            self._texts[delta.part] = before[: delta.offset] + delta.value
        text = "\n\n".join(text for _, text in sorted(self._texts.items()) if text.strip())
        return self._put(f"m{self.answers}", ModelBlock(text, True, sum(self._drafts.values())))

    def _settle_stream(self) -> list[str]:
        """A stream without its event, as after a crash of the model's side, does not go on for ever."""
        key = f"m{self.answers}"
        self._texts, self._drafts = {}, {}
        block = self.blocks.get(key)
        if not isinstance(block, ModelBlock):
            return []
        self.answers += 1
        return self._put(key, ModelBlock(block.text, stop="interrupted"))

    def _progressed(self, delta: ev.Delta) -> list[str]:
        if delta.call_id is None or delta.call_id not in self.state.calls:
            return []
        self._progress[delta.call_id] = _progress(delta.value)
        return self._card(delta.call_id)

    def _card(self, id: str | None) -> list[str]:
        """Draw a call anew from where it stands in the call table."""
        call = self.state.calls.get(id or "")
        if call is None:
            return []
        questions = [q for q in self.state.questions.values() if q.asked.call_id == call.id]
        fraction, message = self._progress.get(call.id, (None, ""))
        finished = self._finished.get(call.id)
        server, _, name = call.proposal.name.partition("__")
        decision = call.decision
        edited = call.edited or any(q.answer is not None and _edits(q, q.answer) for q in questions)
        card = CallCard(
            call.id,
            decision.server if decision else server if name else "",
            decision.remote_name if decision else name or server,
            finished.outcome if finished else _stage(call, questions),
            call.arguments,
            raw=call.proposal.raw if call.proposal.malformed else None,
            edited=edited,
            wished=call.proposal.arguments if edited else None,
            effect=decision.effect if decision else None,
            open=decision.open if decision else None,
            note=_note(decision, questions),
            reason=decision.reason if decision else "",
            fraction=fraction,
            message=message,
            result=_result(finished, call) if finished else "",
            milliseconds=finished.milliseconds if finished else 0,
            size=_size(finished) if finished else 0,
            checked=bool(finished and finished.checked),
        )
        return self._put(f"c{self.answers}:{call.id}", card)


def _stage(call: Call, questions: list[Question]) -> Stage:
    if any(q.answer is None for q in questions):
        return "waiting" if call.status in ("proposed", "decided") else "paused"
    match call.status:
        case "decided":
            return "allowed"
        case "started" | "paused":
            return "running"
        case _:
            return "proposed"


def _edits(question: Question, answer: ev.Answered) -> bool:
    asked = question.asked
    return asked.about == "approval" and answer.content is not None and answer.content != asked.arguments


def _scope(answer: ev.Answered) -> str:
    """How long an answer is to hold; empty for this once."""
    return str(answer.remember["for"]) if answer.remember else ""


def _note(decision: ev.CallDecided | None, questions: list[Question]) -> str:
    """Who decided, in a few words: a person's answer counts before the rule that asked for it."""
    for question in questions:
        answer = question.answer
        if question.asked.about == "approval" and answer is not None:
            who = "you" if answer.by == "user" else "host"
            said = {"accept": "once", "decline": "no", "cancel": "stopped"}[answer.action]
            said = "edited" if _edits(question, answer) else REMEMBERED.get(_scope(answer), said)
            return f"{who}: {said}"
    if decision is None or decision.verdict == "ask":
        return ""
    if decision.rules:
        return f"rule {', '.join(decision.rules)}"
    return f"auto: {decision.reason}" if decision.verdict == "allow" and decision.reason else decision.reason


def granted_words(grant: Grant) -> str:
    """Which calls a grant covers: exactly these arguments, or conditions."""
    if not isinstance(grant.arguments, Mapping):
        return grant.arguments or "any arguments"
    tests = ((path, test, value) for path, all_of in grant.arguments.items() for test, value in all_of.items())
    return "when " + " and ".join(f"{path} {test} {canonical(value)}" for path, test, value in tests)


def _result(finished: ev.CallFinished, call: Call) -> str:
    """The host's sentence, if it has one, and the server's own content as text."""
    sentence = ending(finished, call.proposal)
    texts = [_words(part) for part in parts_of(finished)]
    return "\n".join(text for text in [sentence, *texts] if text)


def _words(part: Shown) -> str:
    match part:
        case Text():
            return part.text
        case Blob():
            return f"[{part.media_type}, {len(part.data) * 3 // 4} bytes]"
        case Outline():
            hidden = part.characters - len(part.head) - len(part.tail)
            return f"{part.head}\n[… {hidden} characters: {part.shape} …]\n{part.tail}"
        case Rest():
            return f"[… {part.texts} more texts of {part.characters} characters …]"


def _sized(part: Part) -> str:
    if isinstance(part, Blob):
        return _words(part).strip("[]")
    return f"{len(part.text)} characters" if isinstance(part, Text) else part.kind


def _size(finished: ev.CallFinished) -> int:
    if finished.outline is not None:
        return sum(
            part.characters if isinstance(part, (Outline, Rest)) else len(_words(part)) for part in parts_of(finished)
        )
    size = sum(len(ev.dumps(dict(block))) for block in finished.content)
    return size + (len(ev.dumps(finished.structured)) if finished.structured is not None else 0)


def _progress(value: str) -> tuple[float | None, str]:
    """Done part (0 to 1) where a total is known, and the server's message."""
    body = json.loads(value)
    total, done, message = body.get("total"), body.get("progress"), body.get("message") or ""
    if total and done is not None:
        return min(1.0, max(0.0, done / total)), message
    return None, message or (f"{done:g}" if done is not None else "")


def _notice(event: ev.Event) -> NoticeBlock | None:
    """What else happened, where a person should know."""
    match event:
        case ev.CatalogChanged(server=server, quarantined=aside, drifts=drifts) if aside:
            tools = "; ".join(f"{name}: {why}" for name, why in aside.items())
            until = " until you have read how they changed (/changes)" if drifts else ""
            return NoticeBlock(f"{server}: tools set aside{until}. {tools}", "warning")
        case ev.SettingsChanged(changes):
            words = [f"{k} is now {v}" for k, v in changes.items() if k in ("mode", "model")]
            words += [
                f"{k} = {json.dumps(v, ensure_ascii=False)}, fixed for this session"
                for k, v in changes.get("facts", {}).items()
            ]
            words += [f"sandbox of {name}: {level}" for name, level in changes.get("sandbox", {}).items()]
            return NoticeBlock("; ".join(words)) if words else None
        case ev.Compacted():
            return NoticeBlock("earlier messages were summarised for the model")
        case ev.Erased(target=target, by=by, why=why):
            return NoticeBlock(f"event {target} was erased by {by}: {why}", "warning")
    return None
