"""Any schedule of calls, answers, interrupts, crashes and summaries: the wire stays paired, and the log means the live
state."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pairing import check_messages

from host.core import events as ev
from host.core.fold import fold
from host.core.policy import Rule, Verdict
from host.core.settings import ModelProfile, Profile
from host.core.state import State
from host.core.text import Secrets
from host.core.types import CallResult, InputRequired, Limits, Message, Text, ToolCall, ToolSpec
from host.engine.compaction import PROMPT
from host.engine.session import Session
from host.engine.setup import Model, Setup
from host.engine.turn import live
from host.providers.scripted import Scripted
from host.store.log import Log

FORM = {
    "method": "elicitation/create",
    "params": {"mode": "form", "message": "how?", "requestedSchema": {"type": "object", "properties": {}}},
}
SCHEMA = {"type": "object", "properties": {"do": {"type": "string"}, "n": {"type": "integer"}}, "required": ["do"]}
SPECS = [
    ToolSpec(
        f"{server}__{tool}",
        server,
        tool,
        "",
        SCHEMA,
        digest=f"{server}{tool}",
        effect=effect,
        open=False,
        confirmed=True,
    )
    for server in ("one", "two")
    for tool, effect in (("look", "read"), ("change", "write"), ("wipe", "destructive"))
]


class Source:
    """A server in this process. It counts what took effect, by idempotency key, as a real ledger would."""

    def __init__(self, parallel: bool, ledger: dict[str, int], gate: list[anyio.Event], may_write) -> None:
        self.parallel, self.ledger, self.gate, self.may_write = parallel, ledger, gate, may_write

    async def call(self, spec, arguments: Mapping, round, progress, ask):
        if spec.effect != "read" and round.number == 1:
            assert self.may_write(), "a write began in read-only mode"
            self.ledger[round.key] = self.ledger.get(round.key, 0) + 1
        match arguments["do"]:
            case "slow":
                await self.gate[0].wait()
            case "input" if round.number == 1:
                return InputRequired({"a": FORM}, "opaque")
            case "mid":
                await ask(FORM)
            case "error":
                return CallResult("error", ({"type": "text", "text": "no"},), is_error=True)
            case "lost":
                return CallResult("error", cause="server_lost", reason="exit 1")
        return CallResult("ok", ({"type": "text", "text": "yes"},), {"n": 1})


class Servers:
    """The engine's view of a pool, without processes."""

    def __init__(self, ledger, gate, may_write):
        self.statuses = {}
        self._sources = {name: Source(name == "two", ledger, gate, may_write) for name in ("one", "two")}

    def tools(self):
        return SPECS

    def spec(self, name):
        return next((spec for spec in SPECS if spec.name == name), None)

    def source(self, server):
        return self._sources.get(server)

    def aside(self, name):
        return None

    def set_facts(self, facts):
        pass

    async def close(self):
        await checkpoint()


CALL = st.tuples(
    st.sampled_from([spec.name for spec in SPECS] + ["one__none"]),
    st.sampled_from(["ok", "ok", "error", "input", "mid", "slow", "lost"]),
    st.sampled_from([None, 1, "wrong"]),
)
TURNS = st.lists(st.lists(CALL, min_size=1, max_size=3), min_size=1, max_size=5)
DOINGS = [
    "say",
    "accept",
    "accept",
    "accept",
    "decline",
    "edit",
    "grant",
    "interrupt",
    "crash",
    "release",
    "wait",
    "leave",
    "compact",
    "read-only",
]
OPS = st.lists(
    st.tuples(
        st.sampled_from(DOINGS),
        st.sampled_from([1, 3, 8, 20, 40]),
    ),
    max_size=14,
)
RULES = (
    Rule("changes", "*", "change", Verdict.ALLOW, {"do": {"not_equals": "mid"}}),
    Rule("no", "two", "wipe", Verdict.DENY, {"do": {"equals": "lost"}}),
)


class Bench:
    """One session that may die and come back."""

    def __init__(self, folder: Path, turns, window: int) -> None:
        self.folder, self.turns, self.window, self.asked = folder, turns, window, 0
        self.ledger: dict[str, int] = {}
        self.gate = [anyio.Event()]
        self.session: Session

    def answer(self, request) -> Message:
        check_messages(request.messages)
        if request.system == PROMPT:
            return Message("assistant", (Text("notes"),))
        wanted = self.turns[self.asked] if self.asked < len(self.turns) else []
        self.asked += 1
        calls = tuple(
            ToolCall(f"c{self.asked}.{n}", tool, {"do": do} if extra is None else {"do": do, "n": extra})
            for n, (tool, do, extra) in enumerate(wanted)
        )
        return Message("assistant", calls or (Text("done"),))

    def open(self) -> Session:
        path = self.folder / "sessions" / "s.db"
        log = Log.open(self.folder, "s") if path.exists() else Log.create(self.folder, "s")
        stored = [ev.Recorded("s", row.seq, row.at, ev.decode(row.kind, row.body)) for row in log.read()]
        state = fold("s", stored) if stored else State(session="s")
        provider = Scripted(self.answer)

        async def model_for(name: str) -> Model:
            return Model(provider, name, ModelProfile(context=self.window))

        profile = Profile("p", ("one", "two"), rules=RULES, limits=Limits(turns=8))
        setup = Setup(profile, model_for, lambda name: None, lambda state: None, Secrets({}))
        self.session = Session(log, state, setup)
        self.session.servers = Servers(self.ledger, self.gate, lambda: state.mode != "read-only")  # type: ignore[assignment]
        if not stored:
            self.session.emit(ev.SessionOpened("p", "scripted/x", ("one", "two"), limits={"turns": 8}))
        return self.session

    def check(self) -> None:
        stored = [ev.Recorded("s", row.seq, row.at, ev.decode(row.kind, row.body)) for row in self.session.log.read()]
        assert fold("s", stored) == self.session.state
        repeats = sum(count - 1 for count in self.ledger.values())
        assert repeats <= self.allowed_repeats(item.event for item in stored), (
            "a key was sent twice, and nobody said so"
        )

    @staticmethod
    def allowed_repeats(events) -> int:
        """How often a person said yes to a call whose like had ended in the unknown."""
        doubts, yes = set(), 0
        for event in events:
            if isinstance(event, ev.Asked) and "unknown" in (event.reason or ""):
                doubts.add(event.request_id)
            elif isinstance(event, ev.Answered) and event.request_id in doubts:
                yes += event.action == "accept"
        return yes

    def do(self, op: str) -> None:
        session = self.session
        questions = session.state.open_questions()
        match op:
            case "say":
                session.submit(ev.Say("more"))
            case "accept" | "decline" if questions:
                session.submit(
                    ev.Answer(op, questions[0].request_id, content={} if questions[0].about == "form" else None)
                )
            case "edit" if questions and questions[0].about == "approval":
                session.submit(ev.Answer("accept", questions[0].request_id, content={"do": "ok", "n": 7}))
            case "grant" if questions and questions[0].about == "approval":
                remember = {"for": "session", "arguments": "exact"}
                session.submit(ev.Answer("accept", questions[0].request_id, remember=remember))
            case "read-only":
                session.submit(ev.Change(mode="read-only"))
            case "interrupt":
                session.submit(ev.Interrupt())
            case "release":
                self.gate[0].set()
                self.gate[0] = anyio.Event()
            case "leave":
                session.leave()
            case "compact":
                session.submit(ev.Compact())


async def steps(count: int) -> None:
    for _ in range(count):
        await checkpoint()


async def play(folder: Path, turns, ops, window: int) -> None:
    bench = Bench(folder, turns, window)
    ops = [("say", 30), *ops]
    with anyio.fail_after(30):
        while True:
            session = bench.open()
            session.go()
            bench.check()
            crashed = False
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(live, session)
                while ops and not crashed:
                    op, count = ops.pop(0)
                    bench.do(op)
                    await steps(count)
                    bench.check()
                    crashed = op == "crash"
                if not crashed:
                    session.leave()
                    while session.state.turn is not None:
                        assert session.broken is None
                        bench.do("release")
                        await checkpoint()
                    await session.close()
                tasks.cancel_scope.cancel()
            if not crashed:
                break
            bench.session.log.close()
        rows = bench.folder / "sessions" / "s.db"
        assert rows.exists()


@settings(max_examples=150)
@given(TURNS, OPS, st.sampled_from([128_000, 60, 30]))
@example(
    [[("one__change", "lost", None)] * 2], [("accept", 1)], 128_000
)  # the second must not run on the first's decision
@example(
    [[("one__wipe", "mid", None), ("one__change", "ok", None)]],
    [("read-only", 20), ("accept", 20), ("accept", 20)],
    128_000,
)
def test_any_schedule_keeps_the_wire_paired_and_the_fold_true(turns, ops, window):
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(play, Path(folder), turns, ops, window)
