"""What nobody foresaw ends its session in words that hold no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from host.core import events as ev
from host.core.errors import SessionError
from host.core.settings import Config, ModelProfile, Profile, ProviderConfig
from host.engine.host import Host, RunOptions
from host.providers.base import Request
from host.providers.scripted import Scripted

KEY = "sk-canary-0123456789"


def test_a_fault_that_names_a_secret_is_told_without_it(tmp_path: Path) -> None:
    def fails(request: Request) -> Any:
        raise LookupError(f"no {KEY} here")

    async def provider_for(name: str, profile: Profile) -> Any:
        return Scripted(fails), name, ModelProfile()

    async def main() -> None:
        providers = {"offline": ProviderConfig("offline", "offline")}
        config = Config(tmp_path, "offline/scripted", providers, {}, {}, secrets={"KEY": KEY})
        async with Host(config, RunOptions(), provider_for) as host:
            session = await host.open()
            assert session.submit(ev.Say("hello")) is None
            with anyio.fail_after(10), pytest.raises(SessionError, match="LookupError: no ⟦secret:KEY⟧ here"):
                async for _ in session.feed(0):
                    pass
            assert KEY not in str(session.submit(ev.Say("again")))

    anyio.run(main)
