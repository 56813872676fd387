"""The offline model: plays a recording over live results, and says so when it cannot."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pairing import check_messages

from host.core.errors import ConfigError
from host.core.events import CallFinished, Delta
from host.core.told import told
from host.core.types import Message, Text, ToolCall, ToolSpec
from host.providers.base import Reply, Request
from host.providers.offline import Offline

RECORDING = r"""
title = "the lamp shop"

[[scenes]]
name = "look"
say = ["Is lamp L-1 on?", "What is the state of lamp L-1"]
slots = { lamp = { pattern = '\b(L-\d+)\b', case = "upper" } }
[[scenes.turns]]
text = "I look at {lamp}."
calls = [{ tool = "lamps__get", arguments = { id = "{lamp}", deep = true } }]
[[scenes.turns]]
when = { path = "lamps__get.on", equals = true }
text = "{lamp} is on at {result.lamps__get.level:.1f}; colours: {result.lamps__get.colours.*.name}."
[[scenes.turns]]
text = "{lamp} is off."

[[scenes]]
name = "dim"
say = ["Dim lamp L-1 to 40 percent"]
[scenes.slots]
lamp = { pattern = '\b(L-\d+)\b', case = "upper", from = "lamps__get.id" }
level = { pattern = '(\d+) ?(?:percent|%)', type = "integer", default = 50 }
[[scenes.turns]]
calls = [
    { tool = "lamps__get", arguments = { id = "{lamp}" } },
    { tool = "lamps__log", arguments = { note = "{words}" } },
]
[[scenes.turns]]
when = [{ path = "lamps__get.level", min = "{level}" }]
[[scenes.turns.calls]]
tool = "lamps__dim"
arguments = { id = "{result.lamps__get.id}", level = "{level}", was = "{result.lamps__get.level}" }
[[scenes.turns]]
when = ["denied", "declined"]
text = "Nothing was dimmed. Reason: {reason}"
[[scenes.turns]]
when = { path = "lamps__get.level", max = 39 }
text = "It is darker than that already."
[[scenes.turns]]
text = "Dimmed to {level} %."

[[scenes]]
name = "again"
after = ["dim"]
say = ["Once more", "do it again"]
[[scenes.turns]]
text = "It was {result.lamps__get.level} before."

[[scenes]]
name = "both"
say = ["Switch everything off"]
[[scenes.turns]]
calls = [{ tool = "lamps__dim", arguments = {} }, { tool = "lamps__log", arguments = {} }]
[[scenes.turns]]
when = { tool = "lamps__log", outcome = "failed" }
text = "Off, but not logged."

[[scenes]]
name = "lost"
say = ["Where is the catalogue?"]
[[scenes.turns]]
calls = [{ tool = "shop__catalogue", arguments = {} }]
"""
LAMP = {"id": "L-7", "on": True, "level": 80, "colours": [{"name": "red"}, {"name": "blue"}]}
Answer = Mapping[str, Any] | CallFinished
Tools = Mapping[str, Callable[[dict[str, Any]], Answer]]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "recording.toml"
    file.write_text(RECORDING)
    return file


def ended(outcome: Any, cause: str | None = None, reason: str | None = None, text: str = "") -> CallFinished:
    content = ({"type": "text", "text": text},) if text else ()
    return CallFinished("", outcome, True, content, cause=cause, reason=reason)


class Conversation:
    """A user who talks to the offline model, and tools that answer. Each answer comes from a new provider: nothing
    but the messages may matter."""

    def __init__(self, recording: Path | None, tools: Tools) -> None:
        self.recording = recording
        self.tools = tools
        self.messages: list[Message] = []
        self.calls: list[ToolCall] = []
        self.deltas: list[Delta] = []

    def say(self, words: str) -> str:
        self.messages.append(Message("user", (Text(words),)))
        while True:
            reply = self.ask()
            self.messages.append(Message("assistant", reply.parts))
            calls = self.messages[-1].calls
            if not calls:
                assert reply.stop == "done"
                check_messages(self.messages)
                return self.messages[-1].text
            self.calls += calls
            self.messages.append(Message("tool", tuple(self.result(call) for call in calls)))

    def ask(self) -> Reply:
        specs = tuple(ToolSpec(name, name.partition("__")[0], name.partition("__")[2]) for name in self.tools)
        request = Request("offline", "", self.messages, specs)

        async def main() -> Reply:
            with anyio.fail_after(10):
                return await Offline(self.recording).ask(request, self.deltas.append)

        self.deltas.clear()
        return anyio.run(main)

    def result(self, call: ToolCall) -> Any:
        answer = self.tools[call.name](call.arguments)
        if not isinstance(answer, CallFinished):
            answer = CallFinished(call.id, "ok", False, ({"type": "text", "text": "see below"},), dict(answer))
        return told(answer, call, None, 8000, "r1")


def shop(**changed: Any) -> dict[str, Callable[[dict[str, Any]], Answer]]:
    usual: dict[str, Answer] = {"lamps__get": LAMP, "lamps__log": {"ok": True}, "lamps__dim": {"ok": True}}
    return {name: lambda _, answer=answer: answer for name, answer in (usual | changed).items()}


def test_a_recorded_answer_is_filled_from_the_words_and_the_live_result(recording: Path) -> None:
    talk = Conversation(recording, shop())
    assert talk.say("is the lamp l-7 on, please?") == "L-7 is on at 80.0; colours: red, blue."
    assert [(call.name, call.arguments) for call in talk.calls] == [("lamps__get", {"id": "L-7", "deep": True})]
    assert talk.messages[1].text == "I look at L-7."


def test_the_live_result_chooses_the_branch(recording: Path) -> None:
    assert Conversation(recording, shop(lamps__get=LAMP | {"on": False})).say("Is lamp L-7 on?") == "L-7 is off."


def test_values_keep_their_json_types_and_calls_go_out_together(recording: Path) -> None:
    talk = Conversation(recording, shop())
    assert talk.say("dim L-7 to 40%") == "Dimmed to 40 %."
    assert [call.name for call in talk.messages[1].calls] == ["lamps__get", "lamps__log"]
    assert talk.calls[1].arguments == {"note": "dim L-7 to 40%"}
    assert talk.calls[2].arguments == {"id": "L-7", "level": 40, "was": 80}
    assert len({call.id for call in talk.calls}) == 3


def test_a_branch_that_compares_with_a_slot(recording: Path) -> None:
    talk = Conversation(recording, shop(lamps__get=LAMP | {"level": 10}))
    assert talk.say("dim L-7 to 40%") == "It is darker than that already."
    assert "lamps__dim" not in [call.name for call in talk.calls]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (ended("denied", "denied", "the rules forbid it"), "the rules forbid it"),
        (ended("denied", "nobody", "use --allow lamps.dim"), "use --allow lamps.dim"),
        (ended("declined", "declined", "too dark"), "too dark"),
        (ended("declined", "declined"), "no reason was given"),
        (ended("declined", "declined_input"), "no reason was given"),
    ],
)
def test_a_step_that_was_not_allowed_is_answered_with_its_reason(
    recording: Path, end: CallFinished, reason: str
) -> None:
    assert (
        Conversation(recording, shop(lamps__dim=end)).say("dim L-7 to 40%") == f"Nothing was dimmed. Reason: {reason}"
    )


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (ended("denied", "denied", "never"), "lamps__get was not run, because it was not allowed: never"),
        (ended("declined", "declined", "no"), "lamps__get was not carried out, because it was declined: no"),
        (ended("unknown", "unknown", "it died"), "It is not known whether lamps__get took effect: it died"),
        (ended("error", text="bulb\nbroken"), "lamps__get reported an error: bulb\nbroken"),
        (ended("error", "timeout", "60 s"), "lamps__get reported an error: The call did not answer in time (60 s)"),
    ],
)
def test_a_failure_that_the_recording_does_not_foresee_is_said_honestly(
    recording: Path, end: CallFinished, said: str
) -> None:
    answer = Conversation(recording, shop(lamps__get=end)).say("Is lamp L-7 on?")
    assert answer.startswith(said)
    assert answer.endswith("Nothing further was done.")


def test_one_call_among_several_may_be_asked_about(recording: Path) -> None:
    talk = Conversation(recording, shop(lamps__log=ended("error", text="full")))
    assert talk.say("Switch everything off!") == "Off, but not logged."
    assert "stop here" in Conversation(recording, shop()).say("Switch everything off!")


def test_a_result_that_lacks_what_the_recording_shows_stops_it(recording: Path) -> None:
    answer = Conversation(recording, shop(lamps__get={"id": "L-7", "on": True, "level": "full"})).say("Is lamp L-7 on?")
    assert "differ from the recording" in answer
    assert "level" in answer


def test_a_tool_that_is_not_offered_is_never_called(recording: Path) -> None:
    talk = Conversation(recording, shop())
    assert "shop__catalogue, which is not offered" in talk.say("Where is the catalogue?")
    assert talk.calls == []


@pytest.mark.parametrize("words", ["Write a poem about the sea", "", "???"])
def test_other_words_are_answered_with_what_it_is_and_what_it_knows(recording: Path, words: str) -> None:
    talk = Conversation(recording, shop())
    answer = talk.say(words)
    assert "offline demonstration model" in answer
    assert "tool calls are real" in answer
    assert "- Dim lamp L-1 to 40 percent" in answer
    assert "Once more" not in answer, "a follow-up is no example to begin with"
    assert talk.calls == []


def test_a_missing_value_is_asked_for_and_taken_from_the_next_words(recording: Path) -> None:
    talk = Conversation(recording, shop())
    assert talk.say("What is the state of the lamp?") == "I need the lamp for that. For example: Is lamp L-1 on?"
    assert talk.say("L-9") == "L-9 is on at 80.0; colours: red, blue."


def test_a_follow_up_uses_what_the_conversation_holds(recording: Path) -> None:
    talk = Conversation(recording, shop())
    assert "offline" in talk.say("once more"), "it is only right after its scene"
    talk.say("Is lamp L-3 on?")
    assert talk.say("dim the lamp to 60 percent") == "Dimmed to 60 %."
    assert talk.calls[1].arguments == {"id": "L-7"}, "from the live result, not from the earlier words"
    assert talk.say("Once more") == "It was 80 before."


def test_an_edited_call_is_read_by_its_result(recording: Path) -> None:
    talk = Conversation(recording, shop())
    talk.messages.append(Message("user", (Text("Is lamp L-1 on?"),)))
    reply = talk.ask()
    talk.messages.append(Message("assistant", reply.parts))
    call = talk.messages[-1].calls[0]
    finished = CallFinished(call.id, "ok", False, (), LAMP)
    talk.messages.append(Message("tool", (told(finished, call, {"id": "L-7"}, 8000, "r"),)))
    assert Message("assistant", talk.ask().parts).text.startswith("L-1 is on at 80.0")


def test_answers_of_another_model_are_not_taken_for_its_own(recording: Path) -> None:
    talk = Conversation(recording, shop())
    call = ToolCall("x", "lamps__log", {})
    talk.messages = [Message("user", (Text("Is lamp L-1 on?"),)), Message("assistant", (call,))]
    talk.messages.append(Message("tool", (talk.result(call),)))
    assert "not of this recording" in Message("assistant", talk.ask().parts).text


def test_words_arrive_one_by_one_and_add_up(recording: Path) -> None:
    talk = Conversation(recording, shop())
    answer = talk.say("Is lamp L-7 on?")
    assert len(talk.deltas) > 5
    assert "".join(delta.value for delta in talk.deltas) == answer
    offset = 0
    for delta in talk.deltas:
        assert (delta.part, delta.of, delta.offset) == (0, "text", offset)
        offset += len(delta.value)


def test_without_a_recording_it_says_how_to_get_a_model() -> None:
    answer = Conversation(None, {}).say("hello")
    assert "ANTHROPIC_API_KEY" in answer
    assert "OPENAI_API_KEY" in answer


def test_no_words_make_it_fail(recording: Path) -> None:
    provider = Offline(recording)

    @given(st.lists(st.text(max_size=80), min_size=1, max_size=4))
    def holds(said: list[str]) -> None:
        messages = [Message("user", (Text(words),)) for words in said]

        async def main() -> Reply:
            return await provider.ask(Request("offline", "", messages), lambda delta: None)

        assert anyio.run(main).stop in ("done", "calls")

    holds()


@pytest.mark.parametrize(
    ("before", "after", "about"),
    [
        ('title = "the lamp shop"', "", "title"),
        ("[[scenes]]", "[[scenes", "not TOML"),
        ("say = [", "says = [", "say"),
        ("{lamp} is off.", "{lump} is off.", r"turn 3: \{lump\} is no slot"),
        (r"'\b(L-\d+)\b'", "'('", "not a regular expression"),
        (", equals = true", "", r"scenes\.1\.turns\.2\.when\.1\.condition: needs one of equals"),
        ('"declined"]', '"refused"]', r"when\.2\.word: Input should be 'ok', 'denied'"),
        ('after = ["dim"]', 'after = ["dam"]', "dam, which is no scene"),
        ('name = "again"', 'name = "dim"', "two scenes are called dim"),
    ],
)
def test_a_mistake_in_the_file_is_told_when_it_is_read(recording: Path, before: str, after: str, about: str) -> None:
    assert before in RECORDING
    recording.write_text(RECORDING.replace(before, after))
    with pytest.raises(ConfigError, match=about) as caught:
        Offline(recording)
    assert str(recording) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: the recording cannot be read"):
        Offline(tmp_path / "none.toml")


def test_a_value_of_an_earlier_request_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    file = tmp_path / "pay.toml"
    file.write_text(
        'title = "paying"\n[[scenes]]\nname = "pay"\nsay = ["Pay 30 for L-1", "a payment please"]\n'
        r"""slots.lamp = { pattern = '\b(L-\d+)\b', earlier = true }
slots.amount = { pattern = '(?:^|\s)(\d+)(?:\s|$)', type = "integer" }
[[scenes.turns]]
calls = [{ tool = "lamps__dim", arguments = { id = "{lamp}", amount = "{amount}" } }]
[[scenes.turns]]
text = "Paid."
"""
    )
    talk = Conversation(file, shop())
    assert talk.say("pay 30 for L-2") == "Paid."
    assert talk.say("a payment please") == "I need the amount for that. For example: Pay 30 for L-1"
    assert len(talk.calls) == 1, "it did not pay 30 again"
    assert talk.say("5 euros") == "Paid."
    assert talk.calls[1].arguments == {"id": "L-2", "amount": 5}, "the lamp may be the one spoken of before"


@pytest.mark.parametrize(
    ("words", "notes"),
    [("Dim lamp L-7 to 40 percent", {}), ("Dim lamp L-7 to 40 percent tonight", {"tentative": True})],
)
def test_only_the_recorded_words_themselves_are_no_guess(recording: Path, words: str, notes: dict[str, Any]) -> None:
    talk = Conversation(recording, shop())
    talk.messages.append(Message("user", (Text(words),)))
    reply = talk.ask()
    assert [part.name for part in reply.parts if isinstance(part, ToolCall)] == ["lamps__get", "lamps__log"]
    assert reply.notes == notes


@pytest.mark.parametrize("words", ["do not dim lamp L-1 to 40 percent", "is dim lamp L-1 broken, who sold it to me?"])
def test_words_that_say_something_else_do_not_play_the_scene(recording: Path, words: str) -> None:
    talk = Conversation(recording, shop())
    talk.say(words)
    assert "lamps__dim" not in [call.name for call in talk.calls]
