"""The terminal chat. It paints first; the session is opened behind the first frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import anyio
from rich.segment import Segments
from rich.text import Text
from textual.app import App
from textual.binding import BindingType
from textual.theme import Theme
from textual.worker import WorkerFailed

from host.core.text import safe
from host.frontends.handle import Door
from host.frontends.tui.chat import Chat
from host.frontends.tui.link import Link
from host.frontends.tui.question import Clock

INTERRUPTED = 130
CALM = Theme(
    name="calm",
    primary="#82aaff",
    secondary="#a8b4cf",
    accent="#89ddff",
    success="#9bd38c",
    warning="#e6b673",
    error="#f07f8d",
    foreground="#cdd3e0",
    background="#10131a",
    surface="#191e28",
    panel="#232a37",
    dark=True,
    variables={"quiet": "#7f8aa0", "line": "#2b3342", "code": "#b9d7b0"},
)


def _browse(url: str) -> str | None:
    from host.frontends.tui.address import browse

    return browse(url)


class ChatApp(App[int]):
    """The chat over a door to the host. Exits with the code that the process should end with."""

    CSS_PATH = "style.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        door: Door,
        *,
        prompt: str | None = None,
        resume: str | None = None,
        profile: str | None = None,
        title: str = "agent-host",
        notice: str = "",
        on_painted: Callable[[], None] | None = None,
        clock: Clock = time.monotonic,
        browse: Callable[[str], str | None] = _browse,
    ) -> None:
        super().__init__()
        self.VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high")]
        self.register_theme(CALM)
        self.theme = CALM.name
        self.title = title
        self.link = Link(door, profile, self._changed, self.run_worker, self._unsent)
        self.chat = Chat(self.link, title, clock, browse, self.follow)
        self.crash: BaseException | None = None
        self._resume = resume
        self._notice = notice
        self._on_painted = on_painted
        if prompt:
            self.link.queue.append(prompt)

    def get_default_screen(self) -> Chat:
        return self.chat

    def on_ready(self) -> None:
        self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        """The first frame is on the screen: now the host may work."""
        if self._on_painted is not None:
            self._on_painted()
        self.follow(self._resume)

    def follow(self, resume: str | None) -> None:
        """Leave the session that is open and follow another one, or a new one."""
        self.run_worker(self._follow(resume), group="session", exclusive=True)

    async def _follow(self, resume: str | None) -> None:
        notice, self._notice = self._notice, ""
        await self.link.run(resume, notice)

    def _changed(self, keys: Sequence[str]) -> None:
        self.chat.changed(keys)
        refresh = getattr(self.screen, "refresh_page", None)
        if refresh is not None:
            refresh()

    def notify(self, message: str, **options: Any) -> None:
        """Also what servers said may be in it: it is made safe, and never markup."""
        super().notify(safe(message), **{**options, "markup": False})

    def _unsent(self, text: str) -> None:
        if not self.chat.prompt.text:
            self.chat.prompt.put(text)

    def _handle_exception(self, error: Exception) -> None:
        failed = error.error if isinstance(error, WorkerFailed) else error
        self.crash = self.crash or failed
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Textual would print the values of local variables, which may hold what nobody should see."""
        name = type(self.crash).__name__
        words = Text(f"agent-host: the terminal chat failed ({name}). The session is kept; --continue opens it again.")
        self._exit_renderables.append(Segments(self.console.render(words, self.console.options)))
        self._close_messages_no_wait()


async def run_chat(door: Door, ended: anyio.Event | None = None, **options: Any) -> int:
    """Run the chat until the user leaves, or the host has `ended`; the exit code. A crash of the terminal is 1.

    Also who is cancelled leaves as a user would: only Textual itself gives the terminal back.
    """
    app = ChatApp(door, **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave, app, ended or anyio.Event())
        try:
            with anyio.CancelScope(shield=True):
                await app.run_async()
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await app.link.close()
    return app.return_code or 0


async def _leave(app: ChatApp, ended: anyio.Event) -> None:
    try:
        await ended.wait()
    finally:
        if app.return_code is None:
            app.exit(INTERRUPTED, INTERRUPTED)
