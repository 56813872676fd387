"""The session as the terminal has it: opened behind the first paint, fed into a view, spoken to through a queue."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from textual.worker import Worker

from host.core import events as ev
from host.core.errors import HostError
from host.core.source import ServerStatus
from host.frontends.handle import Door, FeedItem, Handle
from host.frontends.tui.mentions import arguments, mentions, prompt, resource
from host.frontends.view import Tone, View

LISTS_WITHIN = 5.0
Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], Worker[None]]


class Link:
    """One session at a time. `changed` is told which blocks to draw; it never waits. `spawn` runs what takes time,
    `unsent` takes back a text that could not be sent."""

    def __init__(
        self,
        door: Door,
        profile: str | None,
        changed: Callable[[Sequence[str]], None],
        spawn: Spawn,
        unsent: Callable[[str], None],
    ) -> None:
        self.door = door
        self._spawn, self._unsent = spawn, unsent
        self._reading: Worker[None] | None = None
        self._kept: dict[tuple[str, str], list[Any]] = {}
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
        self._kept = {}
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
        if isinstance(item, (ServerStatus, ev.ServerNews)):
            self._kept = {key: items for key, items in self._kept.items() if key[0] != item.server}
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
        elif prompt(text) or mentions(text):
            self._said = True
            self._reading = self._spawn(partial(self._read_and_say, self.handle, text))
            self.changed(())
        elif reason := self.submit(ev.Say(text)):
            self.note(f"not sent: {reason}", "error")
        else:
            self._said, self.unfinished = True, False
            self.changed(())

    async def _read_and_say(self, handle: Handle, text: str) -> None:
        """Read what the text names, and say all of it at once; what cannot be read comes back unsent."""
        said = False
        try:
            read = [await handle.ask("attach", what=what) for what in await self._named(text)]
            parts = tuple(part for _, each in read for part in each)
            reason = self.submit(ev.Say(text, parts, tuple(one for one, _ in read)))
            said = reason is None
            if reason:
                self.note(f"not sent: {reason}", "error")
        except HostError as error:
            self.note(f"not sent: {error}", "error")
        finally:
            self._reading = None
            self._said = said
            if said:
                self.unfinished = False
            else:
                self._unsent(text)
            self.changed(())

    async def _named(self, text: str) -> list[dict[str, Any]]:
        """What a text names: a prompt with its arguments, resources of servers, files. Raises HostError."""
        named = [each for word in mentions(text) if (each := resource(word, self.view.servers))]
        taken = {f"{each['server']}:{each['uri']}" for each in named}
        for word in mentions(text):
            if word not in taken and word in await self.files(word):
                named.append({"file": word})
        if (chosen := prompt(text)) and chosen.server in self.view.servers:
            prompts = await self._listed(chosen.server, "prompts")
            takes = next((one.get("arguments") or [] for one in prompts if one.get("name") == chosen.name), [])
            given = arguments(chosen, [one["name"] for one in takes])
            if missing := [one["name"] for one in takes if one.get("required") and one["name"] not in given]:
                raise HostError(f"/{chosen.server}:{chosen.name} needs {', '.join(missing)}: add {missing[0]}=…")
            named.insert(0, {"server": chosen.server, "prompt": chosen.name, "arguments": given})
        return named

    def stop_reading(self) -> bool:
        """Give up what is read for a text that is not sent yet; False where there is none."""
        if self._reading is None:
            return False
        self._reading.cancel()
        return True

    # --- what servers have

    async def lists(self, name: str) -> dict[str, list[Any]]:
        """A list of every server that has it, asked for at once; a server that does not answer has nothing."""
        capability = "prompts" if name == "prompts" else "resources"
        ready = [s.server for s in self.view.servers.values() if s.state == "ready" and capability in s.offers]
        found: dict[str, list[Any]] = {server: [] for server in ready}

        async def ask(server: str) -> None:
            with suppress(HostError):
                found[server] = await self._listed(server, name)

        with anyio.move_on_after(LISTS_WITHIN):
            async with anyio.create_task_group() as tasks:
                for server in ready:
                    tasks.start_soon(ask, server)
        return found

    async def _listed(self, server: str, name: str) -> list[Any]:
        if (server, name) not in self._kept and self.handle is not None:
            self._kept[server, name] = await self.handle.ask("listed", server=server, name=name)
        return self._kept.get((server, name), [])

    async def complete(
        self, server: str, ref: Mapping[str, str], name: str, value: str, given: Mapping[str, str]
    ) -> list[str]:
        """Values that a server proposes. Raises HostError."""
        if self.handle is None:
            return []
        values: list[str]
        values, _ = await self.handle.ask("complete", server=server, ref=ref, name=name, value=value, given=given)
        return values

    async def files(self, prefix: str) -> list[str]:
        found: list[str] = await self.handle.ask("files", prefix=prefix) if self.handle else []
        return found

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
