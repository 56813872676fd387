"""Sessions that outgrow the model's window: old results set aside, the beginning summarised, an overflow survived."""

import re
from contextlib import asynccontextmanager

import anyio
from anyio.lowlevel import checkpoint
from pairing import check_messages
from spoken import unframed

from host.core import events as ev
from host.core.context import weight
from host.core.errors import ProviderError
from host.core.fold import fold
from host.core.outline import outlined, plain
from host.core.settings import ModelProfile, Profile
from host.core.source import Round
from host.core.state import State
from host.core.text import Secrets
from host.core.types import CallResult, Large, Limits, Message, Text, ToolCall, ToolSpec, Usage
from host.engine.compaction import PROMPT
from host.engine.session import Session
from host.engine.setup import Model, Setup
from host.engine.turn import live
from host.providers.base import Reply
from host.providers.scripted import Scripted
from host.store.log import Log

KEY = "sk-canary-0123456789"
SIZE = {"type": "object", "properties": {"size": {"type": "integer"}, "edge": {"type": "integer"}}}
SPEC = ToolSpec("s__say", "s", "say", "", SIZE, digest="d", effect="read", open=False, confirmed=True)
TOO_LONG = "provider mine: HTTP 400: This model's maximum context length is 4096 tokens"


class Source:
    """A tool that says as much as it is asked to."""

    parallel = False

    async def call(self, spec, arguments, round, progress, ask):
        await checkpoint()
        if "edge" in arguments:
            text = "x" * (arguments["edge"] - 5) + KEY + "z" * 300_000
            content = {"type": "text", "text": text}
            return CallResult(
                large=Large(ev.dumps({"content": [content]}), tuple(plain(outlined([Text(text)], 32_000))))
            )
        text = f"result of {arguments['size']} " + "x" * arguments["size"]
        return CallResult("ok", ({"type": "text", "text": text},))


class Servers:
    """The engine's view of a pool, without processes."""

    def __init__(self):
        self.statuses = {}

    def tools(self):
        return [SPEC]

    def spec(self, name):
        return SPEC if name == SPEC.name else None

    def source(self, server):
        return Source()

    async def settled(self, required_only=False):
        await checkpoint()

    def set_facts(self, facts):
        pass

    async def close(self):
        await checkpoint()


class Played:
    """A model that makes calls of the given sizes, one a step, then says `says`. `requests` are those it got, without
    the ones for a summary: those are in `summaries`. It counts its tokens, or raises what `fails` has
    for a request."""

    def __init__(self, *sizes, says="done", fails=(), notes="the notes"):
        self.sizes, self.says, self.fails, self.notes = list(sizes), says, list(fails), notes
        self.requests, self.summaries = [], []

    def __call__(self, request):
        check_messages(request.messages)
        usage = Usage(10 + sum(map(weight, request.messages)), weight(Message("assistant", (Text(self.says),))))
        if request.system == PROMPT:
            assert request.tools == ()
            self.summaries.append(request.messages[0].text)
            return Reply((Text(self.notes),) if self.notes else (), "done", usage)
        self.requests.append(request.messages)
        if self.fails and (error := self.fails.pop(0)):
            raise ProviderError(error)
        if self.sizes:
            size = self.sizes.pop(0)
            number = len(self.requests)
            return Reply((ToolCall(f"c{number}", "s__say", {"size": size, "n": number}),), "calls", usage)
        return Reply((Text(self.says),), "done", usage)


@asynccontextmanager
async def opened(folder, model, window, limits=None):
    """The session of this folder, new or resumed, alive."""
    log = Log.open(folder, "s") if (folder / "sessions" / "s.db").exists() else Log.create(folder, "s")
    stored = [ev.Recorded("s", row.seq, row.at, ev.decode(row.kind, row.body)) for row in log.read(brief=True)]

    async def model_for(name):
        return Model(Scripted(model), name, ModelProfile(context=window))

    profile = Profile("p", ("s",))
    session = Session(
        log,
        fold("s", stored) if stored else State(session="s"),
        Setup(profile, model_for, lambda name: None, lambda state: None, Secrets({"key": KEY})),
    )
    session.servers = Servers()
    session.attended = False
    if not stored:
        session.emit(ev.SessionOpened("p", "played/m", ("s",), limits=limits or {}))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live, session)
        yield session
        await session.close()


async def say(session, words):
    """One prompt and its whole turn; how that ended."""
    assert session.submit(ev.Say(words)) is None
    await session.until(lambda: session.state.turn is None and not session.going)
    return next(item.event for item in reversed(session.readers.recent) if isinstance(item.event, ev.TurnEnded))


def events(session, kind):
    stored = [ev.Recorded("s", row.seq, row.at, ev.decode(row.kind, row.body)) for row in session.log.read(brief=True)]
    assert fold("s", stored) == session.state
    return [item.event for item in stored if isinstance(item.event, kind)]


def results(messages):
    return [
        unframed("".join(part.text for part in result.content))
        for m in messages
        if m.role == "tool"
        for result in m.parts
    ]


def run(main, *arguments):
    async def bounded():
        with anyio.fail_after(60):
            await main(*arguments)

    anyio.run(bounded)


def test_old_results_are_set_aside_in_batches_and_can_be_read_again(tmp_path):
    async def main():
        model = Played(*[4000] * 40)
        async with opened(tmp_path, model, 16_000) as session:
            await say(session, "go on")
            asked = [said.request.get("cleared", 0) for said in events(session, ev.ModelSaid)]
            batches = [seq for seq in dict.fromkeys(asked) if seq]
            assert 2 < len(batches) < 6, "each batch costs the prompt cache once"
            assert events(session, ev.Compacted) == []
            shown = results(model.requests[-1])
            assert len(shown) == 40
            assert all(len(text) > 4000 for text in shown[-4:])
            short = [text for text in shown if len(text) < 500]
            assert len(short) > 20
            assert session.state.load.next(0) < 0.8 * 16_000
            handle = re.search(r'handle="(r\d+\.0)"', short[0])[1]
            read = await session.builtin.call(
                session.spec("host__read_result"), {"handle": handle}, Round(1, "k"), 0, 0
            )
            assert read.content[0]["text"].startswith("result of 4000 xxxx")
            last = model.requests[-1]
        again = Played()
        async with opened(tmp_path, again, 16_000) as session:
            await say(session, "and now?")
        assert again.requests[0][: len(last)] == last, "a resumed session sends what the live one would have sent"

    run(main)


def test_only_the_part_that_grew_is_written_anew(tmp_path):
    async def main():
        model = Played(*[4000] * 20)
        async with opened(tmp_path, model, 16_000) as session:
            await say(session, "go on")
        first, second = model.requests[-2:]
        assert all(a is b for a, b in zip(first, second, strict=False))

    run(main)


def test_a_long_turn_is_summarised_and_keeps_words_facts_grants_and_unknown_ends(tmp_path):
    async def main():
        model = Played(*[500] * 30)
        async with opened(tmp_path, model, 2_000, {"turns": 100}) as session:
            session.emit(ev.SettingsChanged({"facts": {"customer": "C-7"}}))
            ended = await say(session, "find the blue jug, please")
            assert ended.reason == "done"
            compacted = events(session, ev.Compacted)
            assert 1 < len(compacted) < 12
            for each in compacted:
                assert each.summary.startswith("[Notes on the conversation")
                assert "the notes" in each.summary
                assert '{"customer":"C-7"}' in each.summary
                assert each.summary.endswith("find the blue jug, please")
            assert all(len(messages) < 30 for messages in model.requests)
            assert all("find the blue jug, please" in messages[0].text for messages in model.requests)
            assert "RESULT r" in model.summaries[0]
            assert "CALL s__say" in model.summaries[0]
            assert ended.usage == session.state.usage
            spent = sum((said.usage for said in events(session, ev.ModelSaid)), Usage())
            assert session.state.usage == sum((each.usage for each in compacted), spent)
            assert session.state.facts == {"customer": "C-7"}

    run(main)


def test_the_last_prompt_and_what_follows_it_stay_word_for_word(tmp_path):
    async def main():
        model = Played(says="an answer " + "y" * 2000)
        async with opened(tmp_path, model, 3_000) as session:
            for number in range(6):
                await say(session, f"question {number}")
            assert events(session, ev.Compacted)
            last = model.requests[-1]
            assert last[-1].text == "question 5"
            assert last[0].text.startswith("[Notes on the conversation")
            assert "last words" not in last[0].text

    run(main)


def test_an_overflow_is_survived_once(tmp_path):
    async def main():
        model = Played(900, 900, 900, fails=[None, None, None, TOO_LONG])
        async with opened(tmp_path, model, 128_000) as session:
            assert (await say(session, "go")).reason == "done"
            assert len(model.summaries) == 1
            assert len(model.requests) == 5
            assert len(results(model.requests[-1])) < 3

    run(main)


def test_an_overflow_that_stays_ends_the_turn_in_words(tmp_path):
    async def main():
        model = Played(900, 900, 900, fails=[None, None, None, *[TOO_LONG] * 5])
        async with opened(tmp_path, model, 128_000) as session:
            ended = await say(session, "go")
            assert (ended.reason, ended.code) == ("failed", "model")
            assert "no longer fits the window of played/m" in ended.error
            assert "begin a new session" in ended.error
            assert len(model.requests) == 5

    run(main)


def test_a_first_prompt_that_is_too_long_fails_at_once(tmp_path):
    async def main():
        model = Played(fails=[TOO_LONG] * 5)
        async with opened(tmp_path, model, 128_000) as session:
            ended = await say(session, "go")
            assert ended.reason == "failed"
            assert "maximum context length" in ended.error
            assert (len(model.requests), model.summaries) == (1, [])

    run(main)


def test_another_failure_is_no_overflow(tmp_path):
    async def main():
        model = Played(900, 900, fails=[None, None, "HTTP 400: no such tool"])
        async with opened(tmp_path, model, 128_000) as session:
            ended = await say(session, "go")
            assert (ended.reason, ended.error) == ("failed", "HTTP 400: no such tool")
            assert len(model.requests) == 3

    run(main)


def test_without_a_summary_the_request_is_sent_all_the_same(tmp_path):
    async def main():
        model = Played(*[500] * 14, notes="")
        async with opened(tmp_path, model, 2_000) as session:
            assert (await say(session, "go")).reason == "done"
            assert events(session, ev.Compacted) == []
            assert model.summaries
            assert "wrote no summary" in events(session, ev.ModelSaid)[-1].request["not_compacted"]

    run(main)


def test_by_hand_between_turns_only(tmp_path):
    async def main():
        model = Played(100)
        async with opened(tmp_path, model, 128_000) as session:
            told = []

            async def read():
                async for item in session.feed():
                    told.append(item)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await say(session, "one")
                session.submit(ev.Compact())
                await session.until(lambda: not session.compacting)
                await say(session, "two")
                session.submit(ev.Say("three"))
                refused = session.submit(ev.Compact())
                assert (refused.command, refused.reason[:17]) == ("compact", "a turn is running")
                await session.until(lambda: session.state.turn is None and not session.going)
                session.submit(ev.Compact())
                await session.until(lambda: not session.compacting)
                await session.close()
            rejected = [item for item in told if isinstance(item, ev.Rejected)]
            assert [item.command for item in rejected] == ["compact"]
            assert "nothing to summarise" in rejected[0].reason
            (compacted,) = [item.event for item in told if getattr(item, "event", item).kind == "compacted"]
            assert [m.text for m in session.state.messages] == [compacted.summary, "three", "done"]

    run(main)


def test_the_results_of_one_step_share_a_budget(tmp_path):
    async def main():
        calls = tuple(ToolCall(f"c{n}", "s__say", {"size": 4000}) for n in range(12))

        def model(request):
            return Message("assistant", calls if len(request.messages) == 1 else (Text("done"),))

        async with opened(tmp_path, model, 128_000, {"result_tokens": 1000}) as session:
            await say(session, "go")
            sizes = [len(text) for text in results(session.state.messages)]
            assert len(sizes) == 12
            assert all(size > 4000 for size in sizes[:3])
            assert sum(sizes) < 4 * 4000 + 12 * 600
            assert Limits().result_tokens == 8000

    run(main)


def test_a_secret_on_the_edge_of_what_is_shown_is_in_no_part_of_a_large_result(tmp_path):
    async def main():
        edges = (24_000, 32_000, 308_000)
        calls = tuple(ToolCall(f"c{edge}", "s__say", {"edge": edge}) for edge in edges)

        def model(request):
            return Message("assistant", calls if len(request.messages) == 1 else (Text("done"),))

        async with opened(tmp_path, model, 1_000_000) as session:
            await say(session, "go")
            assert all(text.startswith("x" * 23_990) for text in results(session.state.messages))
            assert events(session, ev.CallFinished)
            bodies = [row.body for row in session.log.read()]
            assert sum(body.count("⟦secret:key⟧".encode()) for body in bodies) == 3
        stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert max(map(len, stored)) > 300_000
        assert not [body for body in [*stored, *bodies] if b"sk-ca" in body]

    run(main)
