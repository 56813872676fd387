"""How one server spoke when it was last seen, so that it is not asked at each start."""

from __future__ import annotations

from hashlib import sha256

from host.core.errors import StoreError
from host.core.settings import ServerConfig
from host.core.source import Eras, Spoken
from host.core.types import canonical
from host.servers.logs import ServerLog


class Memory:
    """`spoken` is what is known, `changed` says so where it was otherwise. A memory that cannot be used is none.
    `recall` and `learn` block."""

    def __init__(self, eras: Eras | None, config: ServerConfig, log: ServerLog) -> None:
        self.spoken: Spoken | None = None
        self.changed = ""
        self._eras, self._key, self._log = eras, identity(config), log

    def recall(self) -> None:
        try:
            self.spoken = self._eras.spoken(self._key) if self._eras else None
        except StoreError as error:
            self._log.noted(f"how it spoke is not known: {error}")

    def learn(self, now: Spoken) -> None:
        """Keep how it speaks. One that was not asked and is another version than it was is asked the next time."""
        before = self.spoken
        if before is not None and before.era != now.era:
            self.changed = f"it was of the {before.era} era when it was last seen, and is of the {now.era} era now"
        newer = now.probe == "unasked" and before is not None and before.says != now.says
        if now.probe == "unasked" and not newer:
            return
        self.spoken = None if newer else now
        try:
            if self._eras is not None:
                self._eras.unlearn(self._key) if newer else self._eras.remember(self._key, now)
        except StoreError as error:
            self._log.noted(f"how it speaks is not kept: {error}")


def identity(config: ServerConfig) -> str:
    """What a server is to the memory: what it runs and where, or its address."""
    what = [config.command, *config.args, str(config.cwd)] if config.url is None else [config.url]
    return sha256(canonical(what).encode()).hexdigest()
