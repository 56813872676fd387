"""The session as the terminal has it: opened behind the first paint, fed into a view, spoken to through a queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from host.core import events as ev
from host.core.errors import HostError
from host.core.source import ServerStatus
from host.frontends.handle import Door, FeedItem, Handle
from host.frontends.view import Tone, View


class Link:
    """One session at a time. `changed` is told which blocks to draw; it never waits."""

    def __init__(self, door: Door, profile: str | None, changed: Callable[[Sequence[str]], None]) -> None:
        self.door = door
        self.profile = profile
        self.changed = changed
        self.handle: Handle | None = None
        self.view = View()
        self.queue: list[str] = []
        self.unfinished = False
        self.opened = False
        self.ended = False
        self._said = False
        self._upto = 0

    @property
    def busy(self) -> bool:
        """A turn runs, or was just begun. An unfinished turn of another process does not run."""
        return self._said or (self.view.busy and not self.unfinished)

    @property
    def questions(self) -> list[ev.Asked]:
        """What waits for an answer; the questions of an unfinished turn wait until it is carried on."""
        return [] if self.unfinished else self.view.questions

    async def run(self, resume: str | None = None, notice: str = "") -> None:
        """Open a session and follow it to its end. A failure is told in the transcript and ends nothing else."""
        await self.close()
        self.view, self.opened, self.ended, self.unfinished, self._said = View(), False, False, False, False
        if notice:
            self.note(notice)
        try:
            self.handle = await self.door.open(resume=resume, profile=self.profile)
            await self._follow(self.handle, resume is not None)
            self.note("the session has ended; /new starts another one", "warning")
        except HostError as error:
            self.note(str(error), "error")
        self.opened, self.ended, self._said = False, True, False
        self.changed(())

    async def _follow(self, handle: Handle, resumed: bool) -> None:
        state = await handle.ask("state")
        self._upto, self.unfinished = state.seq, resumed and state.turn is not None
        for status in await handle.ask("servers"):
            self.view.advance(status)
        async for item in handle.feed(after=0):
            self._take(item)

    def _take(self, item: FeedItem) -> None:
        keys = self.view.advance(item)
        if isinstance(item, ev.Recorded):
            match item.event:
                case ev.TurnEnded():
                    self._said = False
                case ev.SettingsChanged(changes) if "resumed" in changes and item.seq > self._upto:
                    self.unfinished = False
        self.changed(keys)
        if not self.opened and self.view.state.seq >= self._upto:
            self.opened = True
            if self.unfinished:
                self.note("the last turn is unfinished: Enter carries it on, or say something new", "warning")
        self._send_next(item)

    def _send_next(self, item: FeedItem) -> None:
        """Queued prompts go one after another, each when the turn before it has ended."""
        if self.queue and self.opened and not self.busy and not self.unfinished and not isinstance(item, ServerStatus):
            self.say(self.queue.pop(0))

    def say(self, text: str) -> None:
        """Say it now, or queue it behind the turn that runs and the session that opens."""
        if self.handle is None or not self.opened or self.busy:
            self.queue.append(text)
            self.changed(())
        elif reason := self.submit(ev.Say(text)):
            self.note(f"not sent: {reason}", "error")
        else:
            self._said, self.unfinished = True, False
            self.changed(())

    def go(self) -> None:
        """Carry on the turn that an earlier process left unfinished."""
        if self.handle is not None and self.unfinished:
            self.unfinished = False
            self.handle.go()
            self.changed(())

    def submit(self, command: ev.Command) -> str | None:
        """Send a command; why it was not taken, or None."""
        if self.handle is None:
            return "no session is open yet"
        rejected = self.handle.submit(command)
        return rejected.reason if rejected else None

    def note(self, text: str, tone: Tone = "info") -> None:
        """A line of the terminal itself; it is in no log."""
        self.changed(self.view.note(text, tone))

    async def close(self) -> None:
        if self.handle is not None:
            handle, self.handle = self.handle, None
            await self.door.close(handle.session)
