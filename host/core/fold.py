"""A session's state is the fold of its log: what each event does to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from host.core import events as ev
from host.core import loops
from host.core.attached import beside
from host.core.context import aside, gain, weight
from host.core.provenance import noted
from host.core.state import Call, Question, Spent, State, Turn, Unsettled, seconds
from host.core.told import CHARS_PER_TOKEN, told
from host.core.types import Grant, Message, Part, Text, ToolCall, Usage, canonical

STEP_RESULTS = 4
"""The results of one step are together so many times as long as one may be."""


def fold(session: str, recorded: Iterable[ev.Recorded]) -> State:
    """The state that a log means. Pure from outside."""
    state = State(session=session)
    for item in recorded:
        apply(state, item)
    return state


def apply(state: State, recorded: ev.Recorded) -> None:
    """Carry `state` over one event. The state must be nobody else's."""
    event, at = recorded.event, recorded.at
    match event:
        case ev.SessionOpened():
            state.profile, state.model, state.servers, state.mode = (
                event.profile,
                event.model,
                event.servers,
                event.mode,
            )
            state.limits = replace(state.limits, **dict(event.limits))
            state.facts.update(event.facts)
            state.sandbox = dict(event.sandbox)
        case ev.UserSaid():
            _user_said(state, event, recorded.seq, at)
        case ev.ModelSaid():
            _model_said(state, event, recorded.seq)
        case ev.CallDecided(call_id=id):
            call = state.calls[id]
            call.decision = event
            call.status = "decided"
        case ev.Asked():
            _asked(state, event, recorded.seq, at)
        case ev.Answered():
            _answered(state, event, at)
        case ev.CallStarted(call_id=id):
            call = state.calls[id]
            call.starts = call.starts + 1 if call.round == event.round else 1
            call.status, call.round, call.started, call.started_at = "started", event.round, event, at
            assert state.turn is not None
            first = event.round == 1 and call.starts == 1
            state.turn.calls += first
            state.turn.spent.setdefault(event.server, Spent()).calls += first
        case ev.CallPaused(call_id=id):
            call = state.calls[id]
            call.status, call.paused = "paused", event
        case ev.CallFinished():
            _finished(state, event, recorded.seq)
        case ev.CatalogChanged():
            for name in event.removed:
                if state.catalog.get(name) == event.server:
                    del state.catalog[name]
            state.catalog |= dict.fromkeys(event.added, event.server)
        case ev.Compacted():
            _compacted(state, event)
        case ev.SettingsChanged():
            _changed(state, event, at)
        case ev.TurnEnded():
            state.turn = None
            state.turns += 1
            state.calls, state.questions = {}, _sign_ins(state)
        case ev.Erased():
            state.gap = True
    state.seq, state.at = recorded.seq, at


def _add(state: State, message: Message) -> None:
    state.messages.append(message)
    state.load.add(weight(message))


def _user_said(state: State, event: ev.UserSaid, seq: int, at: str) -> None:
    words = Message("user", event.parts[:1] if event.attached else event.parts).text
    message = Message("user", beside(event, state.limits.result_tokens, f"r{seq}"), seq)
    state.attached |= {(a.server, a.name): None for a in event.attached or () if a.kind == "resource"}
    if state.turn is None:
        state.turn = Turn(began=at, waiting_since=at if state.open_questions() else None)
    if any(call.status != "finished" for call in state.calls.values()):
        state.later.append(message)
    else:
        _add(state, message)
    state.words = words
    state.title = state.title or words.strip().partition("\n")[0][:80]


def _model_said(state: State, event: ev.ModelSaid, seq: int) -> None:
    """Place the answer right behind what the model saw; what the user said meanwhile stands after it."""
    turn = state.turn
    assert turn is not None
    turn.said, turn.steps, turn.usage = event, turn.steps + 1, turn.usage + event.usage
    state.usage += event.usage
    unseen: list[Message] = []
    turn.through = event.request.get("through", seq)
    while state.messages and state.messages[-1].role == "user" and state.messages[-1].seq > turn.through:
        unseen.insert(0, state.messages.pop())
    parts = event.parts if event.stop == "calls" else tuple(p for p in event.parts if not isinstance(p, ToolCall))
    message = Message("assistant", parts, seq)
    _weigh(state, event, message, unseen)
    if parts:
        state.messages.append(message)
    state.calls = {call.id: Call(call) for call in message.calls}
    state.questions = _sign_ins(state)
    if state.calls:
        state.later += unseen
    else:
        state.messages += unseen


def _weigh(state: State, event: ev.ModelSaid, answer: Message, unseen: list[Message]) -> None:
    """Take the model's own count of what it was sent, where it gave one, and note the results that were set aside."""
    load, cleared = state.load, event.request.get("cleared", 0)
    if cleared > state.cleared:
        load.add(-gain(state.messages, state.cleared, cleared))
        for place, message in enumerate(state.messages):
            if message.role == "tool" and state.cleared < message.seq <= cleared:
                state.messages[place] = aside(message)
        state.cleared = cleared
    load.add(weight(answer))
    if event.usage.input:
        load.exact, load.since = event.usage.input, event.usage.output + sum(map(weight, unseen))


def _compacted(state: State, event: ev.Compacted) -> None:
    """The summary stands for the messages up to and with the one of `through_seq`, wherever that stands."""
    places = [place for place, message in enumerate(state.messages) if message.seq == event.through_seq]
    end = places[-1] + 1 if places else 0
    summary = Message("user", (Text(event.summary),), event.through_seq)
    state.load.add(weight(summary) - sum(map(weight, state.messages[:end])))
    state.messages[:end] = [summary]
    state.compacted = event.through_seq
    state.usage += event.usage
    if state.turn is not None:
        state.turn.usage += event.usage


def _asked(state: State, event: ev.Asked, seq: int, at: str) -> None:
    state.questions[event.request_id] = Question(event, seq, at)
    if event.usage is not None:
        state.usage += event.usage
    if state.turn is not None:
        state.turn.usage += event.usage or Usage()
        state.turn.waiting_since = state.turn.waiting_since or at


def _sign_ins(state: State) -> dict[str, Question]:
    """The questions that outlive steps and turns: a server asks to be signed in at when it likes."""
    return {id: q for id, q in state.questions.items() if q.answer is None and q.asked.about == "sign_in"}


def _answered(state: State, event: ev.Answered, at: str) -> None:
    question = state.questions[event.request_id]
    question.answer = event
    if state.turn is not None and state.turn.waiting_since is not None and not state.open_questions():
        state.turn.waited += seconds(state.turn.waiting_since, at)
        state.turn.waiting_since = None
    asked = question.asked
    if event.action == "accept" and event.remember and asked.call_id in state.calls:
        decision = state.calls[asked.call_id].decision
        assert decision is not None
        if (grant := grant_of(event, decision)).scope == "session":
            state.grants.append(grant)


def grant_of(answer: ev.Answered, decision: ev.CallDecided) -> Grant:
    """What an answer that is to be remembered grants. `decision` is about the arguments it was given for."""
    remember = answer.remember or {}
    exact = canonical(dict(decision.arguments if answer.content is None else answer.content))
    what = remember["arguments"]
    arguments = exact if what == "exact" else what
    return Grant(decision.server, decision.remote_name, decision.digest, arguments, remember["for"])


def _finished(state: State, event: ev.CallFinished, seq: int) -> None:
    call = state.calls[event.call_id]
    if call.started is not None:
        key = call.started.key
        state.unsettled = [u for u in state.unsettled if u.key != key]
        if event.outcome == "unknown" and call.decision is not None:
            arguments = canonical(dict(call.started.arguments))
            why = event.reason or "its end was not seen"
            state.unsettled.append(Unsettled(call.decision.tool, arguments, key, call.started_at, why))
    call.status = "finished"
    if event.outcome in ("ok", "error") and event.cause is None and call.decision:
        state.sources = noted(state.sources, call.decision)
    if event.found:
        state.found.append(event.found)
    edited = call.arguments if call.edited else None
    call.result = told(event, call.proposal, edited, _result_limit(state), f"r{seq}", _times(state, call, event))
    if all(c.status == "finished" for c in state.calls.values()):
        results: tuple[Part, ...] = tuple(c.result for c in state.calls.values() if c.result is not None)
        for message in (Message("tool", results, seq), *state.later):
            _add(state, message)
        state.later = []


def _times(state: State, call: Call, event: ev.CallFinished) -> int:
    """How often in a row this call came to this end in its turn; what it took is noted beside."""
    turn = state.turn
    if turn is None:
        return 1
    if call.started is not None:
        turn.spent.setdefault(call.started.server, Spent()).milliseconds += event.milliseconds
    key = loops.name(call.proposal)
    turn.circles[key] = loops.circle(turn.circles.get(key), event, turn.steps)
    return turn.circles[key].times


def _result_limit(state: State) -> int:
    """The tokens that may be shown of the next result: less, where those of this step took much already."""
    most = state.limits.result_tokens
    texts = (part for c in state.calls.values() if c.result for part in c.result.content if isinstance(part, Text))
    spent = sum(len(part.text) for part in texts) // CHARS_PER_TOKEN
    return min(most, max(most // 16, STEP_RESULTS * most - spent))


def _changed(state: State, event: ev.SettingsChanged, at: str) -> None:
    changes = event.changes
    if "resumed" in changes:
        _resumed(state, at)
    state.model = changes.get("model", state.model)
    state.mode = changes.get("mode", state.mode)
    state.facts.update(changes.get("facts", {}))
    state.sandbox = dict(changes.get("sandbox", state.sandbox))
    if "limits" in changes:
        state.limits = replace(state.limits, **changes["limits"])
    if revoked := changes.get("revoked"):
        state.grants = [grant for grant in state.grants if grant.id != revoked]
    if settled := changes.get("settled"):
        state.unsettled = [u for u in state.unsettled if u.key != settled]


def _resumed(state: State, at: str) -> None:
    """A new process took the session over: what was decided or answered but not started is void, open questions
    stay open, and the time nobody ran is not the turn's."""
    if state.turn is None:
        return
    if state.turn.waiting_since is None:
        state.turn.waited += seconds(state.at, at)
    for call in state.calls.values():
        if call.status == "decided":
            call.status = "proposed"
            state.questions = {
                id: q for id, q in state.questions.items() if q.asked.call_id != call.id or q.answer is None
            }
        elif call.status == "paused":
            for question in state.questions.values():
                if question.asked.call_id == call.id:
                    question.answer = None
