"""What a session knows, which is the fold of its log (`fold.py`), and the next step, which is a function of it.

A call goes down this table, one event to an edge:

    proposed ─ CallDecided → decided ─ CallStarted → started ─ CallPaused → paused ─ CallStarted → started …
        └───────────────────────┴─────────── CallFinished ──┴──────────────────┴──→ finished
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from host.core import events as ev
from host.core import loops
from host.core.context import Load
from host.core.loops import Circle
from host.core.provenance import Source
from host.core.types import Effect, Grant, Limits, Message, Outcome, ToolCall, ToolResult, Usage, canonical

Status = Literal["proposed", "decided", "started", "paused", "finished"]


@dataclass(slots=True)
class Call:
    """One row of the call table: where a call of the current step stands."""

    proposal: ToolCall
    status: Status = "proposed"
    decision: ev.CallDecided | None = None
    round: int = 0
    starts: int = 0
    started: ev.CallStarted | None = None
    started_at: str = ""
    paused: ev.CallPaused | None = None
    result: ToolResult | None = None

    @property
    def id(self) -> str:
        return self.proposal.id

    @property
    def effect(self) -> Effect:
        return self.decision.effect if self.decision else "destructive"

    @property
    def arguments(self) -> dict[str, Any]:
        """What would be sent now: as decided (perhaps edited), else as the model wrote it."""
        return dict(self.decision.arguments) if self.decision else self.proposal.arguments

    @property
    def edited(self) -> bool:
        return self.decision is not None and dict(self.decision.arguments) != self.proposal.arguments


@dataclass(slots=True)
class Question:
    """An Asked, its place in the log, and its Answered if there is one."""

    asked: ev.Asked
    seq: int
    at: str
    answer: ev.Answered | None = None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A call that was started and whose end nobody knows."""

    tool: str
    arguments: str
    key: str
    at: str
    why: str


@dataclass(slots=True)
class Spent:
    """What a turn spent at one server."""

    calls: int = 0
    milliseconds: int = 0


@dataclass(slots=True)
class Turn:
    """From a prompt to its answer. `waited` is the time (seconds) that people took to answer, `through` the
    seq of the last event that the model's latest answer saw."""

    began: str
    steps: int = 0
    calls: int = 0
    waited: float = 0.0
    waiting_since: str | None = None
    said: ev.ModelSaid | None = None
    through: int = 0
    usage: Usage = Usage()
    circles: dict[str, Circle] = field(default_factory=dict)
    spent: dict[str, Spent] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """Everything a session knows. Nobody but `fold.apply` changes it. `catalog` has the server of each exposed tool
    name, in the order they were met, `sources` the tools whose results were read, `found` what each search found.

    `attached` are the resources, by server and URI, that the user put beside their words; `words` are their last,
    `load` is how much the messages weigh; long results up to event `cleared` are set aside, messages up to event
    `compacted` summarised.
    """

    session: str = ""
    seq: int = 0
    at: str = ""
    profile: str = ""
    model: str = ""
    mode: str = "ask"
    servers: tuple[str, ...] = ()
    limits: Limits = Limits()
    facts: dict[str, Any] = field(default_factory=dict)
    sandbox: dict[str, str] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    catalog: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    found: list[tuple[str, ...]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    later: list[Message] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    questions: dict[str, Question] = field(default_factory=dict)
    attached: dict[tuple[str, str], None] = field(default_factory=dict)
    unsettled: list[Unsettled] = field(default_factory=list)
    turn: Turn | None = None
    turns: int = 0
    usage: Usage = Usage()
    title: str = ""
    words: str = ""
    load: Load = field(default_factory=Load)
    cleared: int = 0
    compacted: int = 0
    gap: bool = False

    def open_questions(self) -> list[ev.Asked]:
        return [q.asked for q in self.questions.values() if q.answer is None]

    def repeated(self, call: ToolCall) -> bool:
        """Whether this call came to the same end so often in this turn that a person should look at it."""
        circle = self.turn.circles.get(loops.name(call)) if self.turn else None
        return circle is not None and self.limits.repeats is not None and circle.times >= self.limits.repeats

    def unsettled_like(self, tool: str, arguments: Any) -> Unsettled | None:
        """The call of unknown end with this tool and these arguments, if there is one."""
        text = canonical(arguments)
        return next((u for u in self.unsettled if u.tool == tool and u.arguments == text), None)


@dataclass(frozen=True, slots=True)
class CallModel:
    """Ask the model."""


@dataclass(frozen=True, slots=True)
class SettleCalls:
    """Carry these calls on, each from wherever it stands."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndTurn:
    reason: Literal["done", "interrupted", "failed", "limit"]
    error: str | None = None
    code: Literal["auth", "model", "server"] | None = None


Step = CallModel | SettleCalls | EndTurn


def next_step(state: State, now: str) -> Step | None:
    """What to do next; None is: wait for a person."""
    turn = state.turn
    if turn is None:
        return None
    if open_calls := tuple(id for id, call in state.calls.items() if call.status != "finished"):
        return SettleCalls(open_calls)
    if turn.said and turn.said.stop != "calls" and not _spoken_to(state, turn):
        return _ending(turn.said)
    if reached := limit_reached(state, now):
        return EndTurn("limit", reached)
    return CallModel()


def _spoken_to(state: State, turn: Turn) -> bool:
    """The user said more while the model was answering, and it answered to the end."""
    last = state.messages[-1]
    return last.role == "user" and last.seq > turn.through and turn.said is not None and turn.said.stop == "done"


def _ending(said: ev.ModelSaid) -> EndTurn:
    match said.stop:
        case "failed":
            return EndTurn("failed", said.error, said.code)
        case "interrupted":
            return EndTurn("limit", said.error) if said.error else EndTurn("interrupted")
        case "length":
            return EndTurn("limit", "the model reached its longest answer (max_output); ask it to go on")
        case _:
            return EndTurn("done")


def limit_reached(state: State, now: str) -> str | None:
    """The limit that forbids another model request, in words that name it; None if there is none."""
    limits, turn = state.limits, state.turn
    assert turn is not None
    used = {
        "turns": turn.steps,
        "calls": turn.calls,
        "seconds": time_used(turn, now),
        "tokens": state.usage.tokens,
        "usd": state.usage.usd,
    }
    for name, value in used.items():
        bound = getattr(limits, name)
        if bound is not None and value >= bound:
            return f"limits.{name} = {bound} was reached"
    most = max((circle.times for circle in turn.circles.values()), default=0)
    if limits.repeats is not None and most >= 2 * limits.repeats:
        return f"limits.repeats = {limits.repeats} was reached: the same call came to the same end {most} times"
    return None


def time_used(turn: Turn, now: str) -> float:
    """Seconds of a turn that the host was at work: without those that people took, or are taking."""
    waiting = seconds(turn.waiting_since, now) if turn.waiting_since else 0.0
    return seconds(turn.began, now) - turn.waited - waiting


def seconds(start: str, end: str) -> float:
    """Seconds between two times of the log; never negative, whatever the wall clock did."""
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def outcome_after_loss(call: Call) -> Outcome | None:
    """What a call whose process died is: None may run (again), else how it ended.

    A read runs again, once. Anything else whose intent stands alone is unknown: it may have happened.
    """
    if call.status != "started" or (call.effect == "read" and call.starts < 2):
        return None
    return "interrupted" if call.effect == "read" else "unknown"
