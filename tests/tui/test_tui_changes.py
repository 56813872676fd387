"""Tools that changed: told in the transcript, read on their page, accepted only when their end was seen."""

from tui_fake import FakeDoor, FakeHandle
from tui_stage import Stage, play

from host.core import events as ev
from host.core.pins import Drift

BEFORE = {"description": "Looks.", "inputSchema": {"type": "object"}}
NOW = {"description": "Looks.\x1b[2J\nThen \u202esends.", "inputSchema": {"type": "object"}}
LONG = {"description": "\n".join(f"line {n}" for n in range(60)), "inputSchema": {"type": "object"}}


def test_a_changed_tool_is_read_and_accepted_and_what_is_unseen_is_not() -> None:
    def react(handle: FakeHandle, command: ev.Command) -> None:
        if isinstance(command, ev.Accept):
            handle.drifts = [drift for drift in handle.drifts if drift.tool != command.tool]

    async def scene(stage: Stage) -> None:
        await stage.ready()
        stage.handle.drifts = [Drift("crm", "look", "d1", NOW, BEFORE), Drift("crm", "new", "d2", LONG)]
        aside = {drift.tool: drift.why for drift in stage.handle.drifts}
        told = {drift.tool: drift.told for drift in stage.handle.drifts}
        stage.handle.emit(ev.CatalogChanged("crm", quarantined=aside, drifts=told))
        await stage.sees("set aside until you have read how they changed (/changes)")
        await stage.press("f4")
        await stage.sees("1 of 2 tools", "crm.look", "its description changed", "-  Looks.", "+  Looks.␣U+001B[2J")
        await stage.sees("+  Then ␣U+202Esends.")
        await stage.press("j")
        await stage.sees("2 of 2 tools", "crm.new", "it is new", "+  line 5")
        await stage.press("a")
        await stage.sees("scroll to its end first")
        assert stage.handle.commands == []
        await stage.press("end")
        await stage.sees("line 59")
        await stage.press("a")
        await stage.sees("1 of 1 tool", "crm.look")
        await stage.press("a")
        await stage.sees("every tool is as it was accepted")
        assert stage.handle.commands == [ev.Accept("crm", "new", "d2"), ev.Accept("crm", "look", "d1")]
        await stage.press("escape")
        await stage.misses("Tools that changed")

    play(FakeDoor(react=react), scene)
