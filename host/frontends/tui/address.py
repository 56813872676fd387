"""The panel for an address that a server wants opened: shown whole, opened only by a key."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import urlsplit

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Paste

from host.core.events import Answer, Asked
from host.core.text import safe
from host.frontends.tui.cells import BLANK, Line, Lines, joined
from host.frontends.tui.draw import wrapped
from host.frontends.tui.drawn import Drawn
from host.frontends.tui.question import Clock, Keys, Panel, Submit

Browse = Callable[[str], str | None]


def browse(url: str) -> str | None:
    """Open a web address in a graphical browser; why not, or None. A browser of the terminal would take it over."""
    if _parts(url)[0] not in ("http", "https"):
        return "only http and https addresses are opened"
    if safe(url) != url:
        return "an address with controls or invisible characters is not opened"
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return "no browser was found; copy the address"
    if type(browser) is webbrowser.GenericBrowser:
        return "only a browser of the terminal was found; copy the address"
    return None if browser.open(url) else "the browser did not start; copy the address"


class Address(Panel):
    """Who asks, the whole address with its host marked, and a warning where the host is not what it seems."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "open", "Open in the browser"),
        Binding("c", "copy", "Copy the address"),
        Binding("y", "done", "Done there"),
        Binding("d", "decline", "Decline"),
        Binding("j", "move(1)", "Next request"),
        Binding("k", "move(-1)", "Previous request"),
        Binding("escape", "cancel", "Cancel"),
    ]

    def __init__(self, asked: Asked, place: tuple[int, int], submit: Submit, clock: Clock, browse: Browse) -> None:
        super().__init__(asked, place, submit, clock)
        self.url = asked.url or ""
        self.taken = False
        self._browse = browse
        self.text = Drawn(self._lines_of)
        self.hints = Keys()

    def compose(self) -> ComposeResult:
        yield self.text
        yield self.problem
        yield self.hints

    def on_mount(self) -> None:
        super().on_mount()
        verb = "wants you to sign in" if self.asked.about == "sign_in" else "wants you to open an address"
        self.entitle((self.asked.server, "bold"), f" {verb} · the model does not see it")
        self._hint()

    def _lines_of(self, width: int) -> Lines:
        lines = wrapped(self.asked.message, width) if self.asked.message else []
        lines += [BLANK, *address(self.url).fold(width), BLANK]
        if warning := suspicion(self.url):
            lines += wrapped(f"⚠ {warning}", width, "bold $warning")
        return lines

    def _hint(self) -> None:
        done = [("y", "done there, carry on")] if self.taken else []
        far = [("paste", "where a browser elsewhere ended")] if self.asked.about == "sign_in" else []
        self.hints.offer(("o", "open in the browser"), ("c", "copy"), *far, *done, ("d", "decline"), ("esc", "cancel"))

    def action_open(self) -> None:
        if self.armed and self.has_focus:
            problem = self._browse(self.url)
            self.tell(problem or "")
            self._taken(problem is None)

    def action_copy(self) -> None:
        if self.armed and self.has_focus:
            self.app.copy_to_clipboard(safe(self.url))  # what is pasted elsewhere is what was seen here
            self._taken(True)

    def _taken(self, taken: bool) -> None:
        self.taken = self.taken or taken
        self._hint()

    def on_paste(self, event: Paste) -> None:
        """Where a browser on another machine ended: it cannot come back to this one by itself."""
        text = event.text.strip()
        if self.asked.about == "sign_in" and self.armed and self.has_focus:
            event.stop()
            if _parts(text)[0] in ("http", "https"):
                self.send(Answer("accept", self.asked.request_id, content={"address": text}))
            else:
                self.tell("that is no address: paste the one that the browser ended at")

    def action_done(self) -> None:
        if self.armed and self.has_focus and self.taken:
            self.send(Answer("accept", self.asked.request_id))

    def action_decline(self) -> None:
        if self.armed and self.has_focus:
            self.send(Answer("decline", self.asked.request_id))

    def action_cancel(self) -> None:
        if self.armed:
            self.send(Answer("cancel", self.asked.request_id))


def address(url: str) -> Line:
    """The whole address, its host marked."""
    host = _host(url)
    before, found, after = url.partition(host) if host else (url, "", "")
    return joined((before, "$quiet"), (found, "bold underline $accent"), (after, "$quiet"))


def suspicion(url: str) -> str:
    """What a reader might not see in an address."""
    scheme, netloc = _parts(url)
    host = _host(url)
    if scheme not in ("http", "https"):
        return f"this is no web address ({safe(scheme or 'no scheme', 20)}); it will not be opened"
    if "@" in netloc:
        return f"what stands before the @ is not the host: this goes to {host}"
    if "xn--" in host or not host.isascii():
        return f"the host name holds letters that may look like others: {_ascii(host)}"
    return "not encrypted (http)" if scheme == "http" and host not in ("127.0.0.1", "localhost", "[::1]") else ""


def _parts(url: str) -> tuple[str, str]:
    """Scheme and host part; both empty for what is no address at all."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc


def _host(url: str) -> str:
    netloc = _parts(url)[1].rpartition("@")[2]
    return netloc.rpartition(":")[0] if netloc.rpartition(":")[2].isdigit() else netloc


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host.encode("ascii", "backslashreplace").decode()
