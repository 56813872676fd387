"""The chat: paint, prompt, queue, stream, cards, sessions, and every command of the table by slash and by key."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable

import anyio
import pytest
from textual.events import Key
from tui_fake import FakeDoor, FakeHandle, calls, decided, finished, opened, said, started, user
from tui_stage import Stage, play

from host.core import events as ev
from host.core.errors import ConfigError
from host.core.source import ServerStatus
from host.core.types import SessionRow, ToolSpec
from host.frontends.tui.app import ChatApp
from host.frontends.tui.commands import COMMANDS
from host.frontends.tui.transcript import KEEP, BlockView, CardView, StreamView


def one_call(result: object = "fine", **more: object) -> list[ev.Event]:
    arguments = {"email": "ana@acme.io"}
    return [
        opened(),
        user("who is ana?"),
        calls("I look.", ("c1", "crm__find_customer", arguments)),
        decided("c1", "crm__find_customer", arguments, reason="reads only"),
        started("c1", "crm__find_customer", arguments),
        finished("c1", result, **more),  # type: ignore[arg-type]
        said("She is a customer."),
        ev.TurnEnded("done"),
    ]


def answering(handle: FakeHandle, command: ev.Command) -> None:
    """A model that answers at once."""
    if isinstance(command, ev.Say):
        handle.emit(said(f"you said {command.text}"), ev.TurnEnded("done"))


# --- before the session is open


def test_the_first_frame_is_painted_before_the_session_is_opened() -> None:
    door = FakeDoor()
    seen: list[tuple[list[str | None], bool]] = []

    def painted() -> None:
        text = "\n".join("".join(s.text for s in strip) for strip in app.screen._compositor.render_strips())
        seen.append((list(door.opened), "Ask, or / for commands" in text))

    app = ChatApp(door, on_painted=painted)

    async def main() -> None:
        async with app.run_test() as pilot:
            with anyio.fail_after(10):
                while not door.opened:
                    await pilot.pause(0.005)

    anyio.run(main)
    assert seen == [([], True)]


def test_what_is_typed_before_the_session_is_open_is_sent_when_it_is() -> None:
    door = FakeDoor(react=answering)
    door.gate = anyio.Event()

    async def scene(stage: Stage) -> None:
        await stage.until(lambda: door.opened)
        await stage.type("hello")
        await stage.press("enter")
        await stage.sees("queued (1) · sent when the session is open", "┃ hello")
        assert door.gate is not None
        door.gate.set()
        await stage.sees("you said hello")
        assert stage.says == ["hello"]

    play(door, scene)


def test_a_prompt_of_the_command_line_is_sent_first_and_servers_do_not_hold_it_back() -> None:
    door = FakeDoor(react=answering)
    door.statuses = [ServerStatus("slow", "starting")]

    async def scene(stage: Stage) -> None:
        await stage.sees("you said from the shell", "0/1 servers")

    play(door, scene, prompt="from the shell")


def test_a_session_that_cannot_be_opened_says_why_and_the_chat_stays() -> None:
    door = FakeDoor()
    door.error = ConfigError("servers.toml:3: unknown key comand; did you mean command?")

    async def scene(stage: Stage) -> None:
        await stage.sees("did you mean command?", "■ ended")
        door.error = None
        await stage.press("ctrl+n")
        await stage.sees("○ ready")

    play(door, scene)


def test_a_notice_of_the_command_line_is_shown() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees("no model key was found: offline model")

    play(FakeDoor(), scene, notice="no model key was found: offline model")


# --- streaming


def test_a_message_streams_and_ends_as_one_block() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        text = "First paragraph.\n\nSecond **bold** one.\n\nThird"
        offset = 0
        for piece in text.split(" "):
            value = piece if offset == 0 else f" {piece}"
            stage.handle.emit(ev.Delta(0, offset, "text", value))
            offset += len(value)
        await stage.sees("First paragraph.", "Second bold one.", "Third▌", "◐ working")
        assert len(stage.app.query(StreamView)) == 1
        stage.handle.emit(said(text), ev.TurnEnded("done"))
        await stage.misses("Third▌")
        await stage.until(lambda: not stage.app.query(StreamView))
        message = [view for view in stage.app.query(BlockView) if view.has_class("said")]
        assert len(message) == 1
        await stage.sees("First paragraph.", "Second bold one.", "○ ready")

    play(FakeDoor([opened(), user("go")]), scene)


def test_a_call_being_written_is_shown() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        stage.handle.emit(ev.Delta(0, 0, "args", '{"email": ', "c1"))
        await stage.sees("writing a tool call, 10 characters")

    play(FakeDoor([opened(), user("go")]), scene)


def test_progress_draws_a_bar_and_the_servers_words() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        stage.handle.emit(ev.Delta(0, 0, "progress", '{"progress":7,"total":10,"message":"ranking"}', "c1"))
        await stage.sees("◐ running", "███████░░░  70 %", '"ranking"', "esc stops")

    play(FakeDoor(one_call()[:5]), scene)


# --- queue and interrupt


def test_prompts_queue_while_a_turn_runs_and_go_one_after_another() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        for text in ("one", "two", "three"):
            await stage.type(text)
            await stage.press("enter")
        await stage.sees("queued (2)", "┃ two", "┃ three")
        assert stage.says == ["one"]
        stage.handle.emit(said("first"), ev.TurnEnded("done"))
        await stage.sees("queued (1)")
        assert stage.says == ["one", "two"]
        stage.handle.emit(said("second"), ev.TurnEnded("done"))
        await stage.until(lambda: stage.says == ["one", "two", "three"])
        await stage.misses("queued")

    play(FakeDoor(), scene)


@pytest.mark.parametrize("key", ["up", "alt+up"])
def test_the_last_queued_prompt_can_be_edited(key: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        for text in ("one", "two", "three"):
            await stage.type(text)
            await stage.press("enter")
        await stage.press(key)
        assert stage.prompt == "three"
        await stage.sees("queued (1)")

    play(FakeDoor(), scene)


def test_esc_interrupts_and_the_card_says_so() -> None:
    def stop(handle: FakeHandle, command: ev.Command) -> None:
        if isinstance(command, ev.Interrupt):
            handle.emit(ev.CallFinished("c1", "interrupted", True), ev.TurnEnded("interrupted"))

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("escape")
        assert stage.sent(ev.Interrupt)
        await stage.sees("■ stopped  crm.find_customer", "you stopped this turn")

    play(FakeDoor(one_call()[:5], react=stop), scene)


# --- the prompt


def test_lines_break_with_three_keys_and_enter_sends_them_all() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("a", "shift+enter", "b", "ctrl+j", "c", "shift+\r", "d", "enter")
        assert stage.says == ["a\nb\nc\nd"]

    play(FakeDoor(), scene)


def test_keys_that_come_in_one_burst_keep_their_order() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        for key in ("a", "ctrl+j", "b", "enter", "c", "enter"):
            stage.app.post_message(Key(key, key if len(key) == 1 else None))
        await stage.until(lambda: stage.says == ["a\nb"] and stage.app.link.queue == ["c"])

    play(FakeDoor(), scene)


def test_earlier_prompts_are_reached_from_the_edges() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        for text in ("one", "two"):
            await stage.type(text)
            await stage.press("enter")
            await stage.until(lambda: not stage.app.link.busy)
        await stage.type("draft")
        await stage.press("up")
        assert stage.prompt == "two"
        await stage.press("up", "up")
        assert stage.prompt == "one"
        await stage.press("down", "down")
        assert stage.prompt == "draft"

    play(FakeDoor(react=answering), scene)


def test_ctrl_c_clears_and_twice_leaves() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("abc")
        await stage.press("ctrl+c")
        assert stage.prompt == ""
        await stage.press("ctrl+c")
        assert stage.app.return_value is None
        stage.wait(5)
        await stage.press("ctrl+c")
        assert stage.app.return_value is None
        await stage.press("ctrl+c")

    assert play(FakeDoor(), scene).return_value == 0


def test_ctrl_d_deletes_in_a_text_and_leaves_from_an_empty_prompt() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("ab")
        await stage.press("home", "ctrl+d")
        assert (stage.prompt, stage.app.return_value) == ("b", None)
        await stage.press("backspace", "end", "backspace", "ctrl+d")

    assert play(FakeDoor(), scene).return_value == 0


def test_a_slash_offers_commands_and_tab_completes() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/")
        await stage.sees("▸ /new", "/servers", "start a new session")
        await stage.press("down", "down")
        await stage.sees("▸ /servers")
        await stage.press("escape")
        await stage.misses("▸ /servers")
        assert stage.prompt == "/"
        await stage.type("mo")
        await stage.press("tab")
        assert stage.prompt == "/mode "
        await stage.type("auto")
        await stage.press("enter")
        assert stage.sent(ev.Change) == [ev.Change(mode="auto")]
        await stage.sees("▲ auto", "mode is now auto")

    play(FakeDoor(), scene)


def test_enter_on_a_half_typed_command_runs_the_chosen_one() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/hel")
        await stage.press("enter")
        await stage.sees("Keys and commands")

    play(FakeDoor(), scene)


def test_an_unknown_command_is_not_sent_and_a_path_is() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/nonsense")
        await stage.press("enter")
        await stage.sees("there is no command /nonsense")
        assert (stage.says, stage.prompt) == ([], "/nonsense")
        await stage.press("ctrl+c")
        await stage.type("/etc/hosts is odd")
        await stage.press("enter")
        assert stage.says == ["/etc/hosts is odd"]

    play(FakeDoor(), scene)


def test_a_wrong_mode_names_the_modes() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/mode bypass")
        await stage.press("enter")
        await stage.sees("there is no mode 'bypass'; there are read-only, ask, auto")
        assert not stage.sent(ev.Change)

    play(FakeDoor(), scene)


# --- every command, by its slash and by each of its keys


async def _new(stage: Stage) -> None:
    await stage.until(lambda: stage.door.opened == [None, None])
    assert stage.door.closed == ["session-1"]


async def _mode(stage: Stage) -> None:
    await stage.until(lambda: stage.sent(ev.Change) == [ev.Change(mode="auto")])


async def _cards(stage: Stage) -> None:
    await stage.until(lambda: isinstance(stage.app.focused, CardView))


async def _quit(stage: Stage) -> None:
    await stage.until(lambda: stage.app.return_value == 0)


def _shows(words: str) -> Callable[[Stage], Awaitable[None]]:
    async def check(stage: Stage) -> None:
        await stage.sees(words)

    return check


CHECKS: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "new": _new,
    "resume": _shows("Sessions"),
    "servers": _shows("Servers"),
    "server": _shows("name a server: there is none"),
    "changes": _shows("every tool is as it was accepted"),
    "tools": _shows("0 of 0 tools"),
    "mode": _mode,
    "grants": _shows("nothing is granted"),
    "review": _shows("nothing waits for an answer"),
    "stop": _shows("○ ready"),
    "cards": _cards,
    "expand": _shows("│ result"),
    "redraw": _shows("○ ready"),
    "help": _shows("Keys and commands"),
    "quit": _quit,
}


def test_each_command_has_a_check() -> None:
    assert list(CHECKS) == [command.name for command in COMMANDS]


@pytest.mark.parametrize("name", CHECKS)
def test_a_command_runs_by_its_slash(name: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type(f"/{name}")
        await stage.press("enter")
        if name == "tools":  # it takes a word, so the first Enter completes
            await stage.press("enter")
        await CHECKS[name](stage)

    play(FakeDoor(one_call()), scene)


@pytest.mark.parametrize(
    ("name", "key"), [(c.name, k) for c in COMMANDS for k in c.keys if k not in ("ctrl+c", "alt+down")]
)
def test_a_command_runs_by_its_key(name: str, key: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press(key)
        await CHECKS[name](stage)

    play(FakeDoor(one_call()), scene)


@pytest.mark.parametrize("key", ["ctrl+n", "ctrl+s"])
def test_what_would_leave_the_session_waits_for_the_end_of_the_turn(key: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press(key)
        await stage.sees("waits until the turn has ended")
        assert stage.door.opened == [None]

    play(FakeDoor([opened(), user("go")]), scene)


def test_shift_tab_goes_round_the_modes_and_never_to_bypass() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        for mode in ("auto", "read-only", "ask"):
            await stage.press("shift+tab")
            await stage.until(lambda mode=mode: stage.app.link.view.state.mode == mode)
        await stage.sees("◆ ask")
        assert [change.mode for change in stage.sent(ev.Change)] == ["auto", "read-only", "ask"]

    play(FakeDoor(), scene)


# --- cards


def test_a_card_is_one_line_that_says_everything_short() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees("find_customer")
        line = next(line for line in stage.lines() if "find_customer" in line)
        assert line.split() == [
            "✓",
            "done",
            "crm.find_customer",
            'email="ana@acme.io"',
            "120",
            "ms",
            "29",
            "B",
            "auto:",
            "reads",
            "only",
        ]

    play(FakeDoor(one_call()), scene)


@pytest.mark.parametrize("key", ["space", "enter"])
def test_a_card_opens_folds_at_forty_lines_shows_all_and_closes(key: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("f6")
        card = stage.app.query_one(CardView)
        await stage.press(key)
        await stage.until(lambda: card.size.height > 40)
        assert [line.plain.strip(" │") for line in card.lines(92)][-1] == "▾ 20 more lines · space shows all"
        await stage.press(key)
        await stage.until(lambda: card.size.height > 60)
        assert "line 59" in card.lines(92)[-1].plain
        await stage.press(key)
        await stage.until(lambda: card.size.height == 1)
        await stage.press("escape")
        assert stage.app.chat.prompt.has_focus

    play(FakeDoor(one_call("\n".join(f"line {n}" for n in range(60)))), scene)


def test_a_click_opens_a_card() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees("find_customer")
        await stage.pilot.click(CardView)
        await stage.sees("│ arguments  email", "│ result     fine")

    play(FakeDoor(one_call()), scene)


def test_the_cursor_walks_the_cards_and_comes_back() -> None:
    items = one_call()[:-2]
    arguments = {"id": 2}
    items += [
        calls("", ("c2", "orders__get", arguments)),
        decided("c2", "orders__get", arguments),
        started("c2", "orders__get", arguments),
        finished("c2"),
        ev.TurnEnded("done"),
    ]

    async def scene(stage: Stage) -> None:
        await stage.ready()

        def here() -> str:
            focused = stage.app.focused
            return focused.block.name if isinstance(focused, CardView) else "prompt"  # type: ignore[union-attr]

        seen = []
        for key in ("alt+up", "alt+up", "down", "k", "j", "j"):
            await stage.press(key)
            seen.append(here())
        assert seen == ["get", "find_customer", "get", "find_customer", "get", "prompt"]

    play(FakeDoor(items), scene)


def test_a_narrow_card_keeps_what_was_called_with_what_and_help_is_whole() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees("crm.find_customer", 'email="ana@')
        await stage.press("f1")
        await stage.sees("Keys and commands")
        help = " ".join(stage.text().split())
        assert "start a new session (not while a turn runs)" in help
        assert "tools that changed: read how, accept or leave them" in help

    play(FakeDoor(one_call()), scene, size=(80, 40))


def test_in_a_very_low_terminal_one_sees_what_one_types() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("two lines of words")
        await stage.sees("▌ two lines", "▌ of words")

    play(FakeDoor([opened()]), scene, size=(20, 5))


def test_a_failed_call_says_why_in_its_line() -> None:
    async def scene(stage: Stage) -> None:
        await stage.sees("✗ failed", "The call did not answer")

    items = one_call()[:5]
    end = ev.CallFinished("c1", "error", True, milliseconds=30_000, cause="timeout", reason="30 s passed")
    play(FakeDoor([*items, end]), scene, size=(140, 40))


# --- many blocks


def test_old_blocks_make_place_and_come_back_by_page_up() -> None:
    items: list[ev.Event] = [opened()]
    for n in range(300):
        items += [user(f"question {n}."), said(f"answer {n}."), ev.TurnEnded("done")]

    async def scene(stage: Stage) -> None:
        await stage.sees("answer 299.")
        mounted = len(stage.app.query(BlockView))
        assert mounted <= KEEP
        stub = stage.app.chat.transcript.query_one("#earlier")
        assert f"{900 - mounted} earlier messages" in str(stub.render())
        for n in range(300, 330):
            stage.handle.emit(user(f"question {n}."), said(f"answer {n}."), ev.TurnEnded("done"))
            await stage.sees(f"answer {n}.")
        assert len(stage.app.query(BlockView)) <= KEEP
        stage.app.chat.transcript.scroll_home(animate=False)
        await stage.sees("earlier messages · PgUp or Enter shows more")
        before = len(stage.app.query(BlockView))
        await stage.press("pageup")
        await stage.until(lambda: len(stage.app.query(BlockView)) == before + 50)

    play(FakeDoor(items), scene)


# --- sessions

ROWS = [
    SessionRow("s1", "order 8841 never arrived", "support-desk", "gpt-5.6", "2026-11-22T11:59:20Z", 4, 0.04, "waiting"),
    SessionRow(
        "s2", "reconcile October invoices", "q3-finance", "gpt-5.6", "2026-11-22T11:00:00Z", 12, 0.31, "working"
    ),
    SessionRow("s3", "draft 3 posts", "campaign", "offline", "2026-11-20T11:00:00Z", 1, 0.0, "idle"),
]


def test_an_earlier_session_is_found_opened_and_replayed() -> None:
    door = FakeDoor(rows=ROWS, older={"s2": one_call()})

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("ctrl+s")
        await stage.sees("⚑ needs you", "order 8841 never arrived", "12 turns · $0.310", "✓ done")
        await stage.press("slash")
        await stage.type("invoices")
        await stage.misses("draft 3 posts")
        await stage.press("enter")
        await stage.sees("who is ana?", "✓ done", "She is a customer.")
        assert (door.opened, door.closed) == ([None, "s2"], ["session-1"])

    play(door, scene)


def test_the_session_list_starts_a_new_one_and_goes_back() -> None:
    door = FakeDoor(rows=ROWS)

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("ctrl+s")
        await stage.sees("draft 3 posts")
        await stage.press("slash", "escape", "escape")
        await stage.misses("draft 3 posts")
        assert door.opened == [None]
        await stage.press("ctrl+s")
        await stage.sees("draft 3 posts")
        await stage.press("n")
        await stage.until(lambda: door.opened == [None, None])

    play(door, scene)


def test_resume_with_an_id_needs_no_list() -> None:
    door = FakeDoor(
        older={"s9": one_call()}, rows=[SessionRow("s9", "t", "p", "m", "2026-11-22T11:59:20Z", 1, 0, "idle")]
    )

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/resume s8")
        await stage.press("enter")
        await stage.sees("no session s8")
        assert door.opened == [None]
        await stage.type("/resume s9")
        await stage.press("enter")
        await stage.sees("She is a customer.")

    play(door, scene)


def test_an_unfinished_turn_waits_for_a_word() -> None:
    door = FakeDoor(older={"s1": one_call()[:4]})

    async def scene(stage: Stage) -> None:
        await stage.sees("the last turn is unfinished: Enter carries it on")
        assert not stage.app.link.busy
        await stage.press("enter")
        assert (stage.handle.went, stage.says) == (1, [])
        await stage.sees("◐ working", "carried on")

    play(door, scene, resume="s1")


def test_saying_something_carries_an_unfinished_turn_on_too() -> None:
    door = FakeDoor(older={"s1": one_call()[:4]})

    async def scene(stage: Stage) -> None:
        await stage.sees("the last turn is unfinished")
        await stage.type("go on")
        await stage.press("enter")
        assert stage.says == ["go on"]

    play(door, scene, resume="s1")


def test_a_session_that_ends_says_so() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ready()
        stage.handle.end()
        await stage.sees("the session has ended", "■ ended")

    play(FakeDoor(one_call()), scene)


# --- servers and tools


def test_the_servers_page_follows_what_happens() -> None:
    door = FakeDoor()
    door.statuses = [ServerStatus("crm", "starting")]

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("f2")
        await stage.sees("◐ starting  crm")
        stage.handle.emit(
            ServerStatus("crm", "ready", tools=12, protocol="2026-07-28", quarantined={"reply": "changed"})
        )
        stage.handle.emit(ServerStatus("kb", "failed", "exited with code 1: no module named mcp"))
        await stage.sees(
            "● ready", "12 tools", "2026-07-28", "⚠ set aside: reply: changed", "✗ failed", "exited with code 1"
        )
        await stage.press("f2")
        await stage.sees("✗ 1/2 servers ⚠ 1 changed")

    play(door, scene)


def test_tools_are_listed_with_what_people_said_of_them_and_filtered() -> None:
    door = FakeDoor()
    door.tools = [
        ToolSpec("crm__get", "crm", "get", "Get a customer.", effect="read", open=False, confirmed=True),
        ToolSpec("orders__drop", "orders", "drop", "Drop an order."),
    ]

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.type("/tools order")
        await stage.press("enter")
        await stage.sees("1 of 2 tools", "orders__drop  may destroy · open · unconfirmed", "Drop an order.")
        await stage.press(*["backspace"] * 5)
        await stage.sees("2 of 2 tools", "crm__get  reads · closed")
        await stage.press("escape")
        await stage.sees("Ask, or / for commands")

    play(door, scene)


# --- text from outside


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    evil = "[bold red]x[/] \x1b[31m \u202e [@click=app.quit]y[/]"
    arguments = {f"k{evil}": evil}
    items = [
        opened(profile=evil),
        user(evil),
        calls(evil, ("c1", "crm__get", arguments)),
        decided("c1", "crm__get", arguments, reason=evil),
        started("c1", "crm__get", arguments),
        finished("c1", evil),
        said(evil),
        ev.TurnEnded("failed", error=evil),
    ]
    door = FakeDoor(items)
    door.statuses = [ServerStatus("crm", "failed", evil, quarantined={evil: evil})]

    async def scene(stage: Stage) -> None:
        await stage.ready()
        await stage.press("ctrl+o")
        await stage.sees("│ result")
        text = stage.text()
        await stage.press("f2")
        await stage.sees("✗ failed")
        text += stage.text()
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "[bold red]x[/] ␣U+001B[31m ␣U+202E" in text

    play(door, scene, size=(160, 60))


def test_the_terminal_chat_loads_no_provider_no_server_and_no_engine() -> None:
    code = (
        "import sys, host.frontends.tui.app\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('openai', 'anthropic', 'mcp', 'sqlite3')"
        " or m.startswith(('host.engine', 'host.providers', 'host.servers', 'host.store'))]\n"
        "print(bad)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_without_colour_every_state_still_has_its_glyph_and_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def scene(stage: Stage) -> None:
        await stage.sees("✓ done", "◆ ask", "○ ready")
        colours = {
            segment.style.color.triplet
            for strip in stage.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None and segment.style.color is not None
        }
        assert all(colour is None or len(set(colour)) == 1 for colour in colours)

    play(FakeDoor(one_call()), scene)
