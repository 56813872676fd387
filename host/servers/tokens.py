"""What was signed in for: by server and by who issued it, up to date among all processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata

from host.servers.vault import Vault

EARLY = 30.0
"""Seconds before its end at which a token is renewed."""
LOCK_PAUSE = 0.05


class Tokens:
    """One server's entry, as the SDK wants to store it, and what the SDK would forget: when the token ends and where
    it is renewed. `configured` is the client that servers.toml names. Nothing is there before `load` or `locked`."""

    def __init__(self, folder: Path, url: str, configured: OAuthClientInformationFull | None = None) -> None:
        path = folder / f"{sha256(url.encode()).hexdigest()[:32]}.json"
        self._vault, self._lock = Vault(path, url), path.with_suffix(".lock")
        self._configured = configured
        self._all: dict[str, Any] = {}
        self._issuer = ""
        self._loaded = self._held = False

    async def load(self) -> None:
        """Read what is kept, once."""
        if not self._loaded:
            await self._read()

    async def _read(self) -> None:
        kept = await to_thread.run_sync(self._vault.read, abandon_on_cancel=True) or {}
        told = self._configured.issuer if self._configured else None
        self._all, self._issuer = kept.get("issuers", {}), told or kept.get("issuer", "")
        self._loaded = True

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Alone among all processes, and up to date."""
        if self._held:
            yield
            return
        self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await anyio.sleep(LOCK_PAUSE)
            await self._read()
            self._held = True
            yield
        finally:
            self._held = False
            os.close(file)

    # --- what there is

    @property
    def _own(self) -> dict[str, Any]:
        own: dict[str, Any] = self._all.setdefault(self._issuer, {})
        return own

    @property
    def access(self) -> str | None:
        """The token that goes with a request."""
        token: str | None = self._own.get("tokens", {}).get("access_token")
        return token

    @property
    def secret(self) -> list[str]:
        """What nobody else may learn: both tokens, and what we were given as a client."""
        tokens, client = self._own.get("tokens") or {}, self._own.get("client") or {}
        found = (tokens.get("access_token"), tokens.get("refresh_token"), client.get("client_secret"))
        return [each for each in found if each]

    @property
    def due(self) -> bool:
        """Whether it is time to renew the token."""
        return self.renewable and time.time() > (self._own.get("expires_at") or float("inf")) - EARLY

    @property
    def renewable(self) -> bool:
        return bool(self._own.get("tokens", {}).get("refresh_token"))

    @property
    def redirect_uri(self) -> str | None:
        """Where a client that we registered is called back."""
        found = (self._own.get("client") or {}).get("redirect_uris") or [None]
        uri: str | None = found[0]
        return uri

    def metadata(self) -> tuple[OAuthMetadata | None, ProtectedResourceMetadata | None]:
        """What the issuer and the server say of themselves, as it was when signing in."""
        own = self._own
        issuer = OAuthMetadata.model_validate(own["metadata"]) if own.get("metadata") else None
        resource = ProtectedResourceMetadata.model_validate(own["resource"]) if own.get("resource") else None
        return issuer, resource

    # --- what changes

    async def remember(self, issuer: OAuthMetadata | None, resource: ProtectedResourceMetadata | None) -> None:
        """What the issuer and the server say of themselves. A client that we registered knows its issuer already."""
        async with self.locked():
            if issuer is not None and self._configured is not None:
                self._issuer = str(issuer.issuer)
            self._own["metadata"] = issuer.model_dump(mode="json", exclude_none=True) if issuer else None
            self._own["resource"] = resource.model_dump(mode="json", exclude_none=True) if resource else None
            await self._save()

    async def forget(self, *keys: str) -> None:
        """Forget the tokens, or how we were registered (client)."""
        async with self.locked():
            for key in keys:
                self._own.pop(key, None)
            await self._save()

    async def drop(self) -> None:
        """Forget everything."""
        async with self.locked():
            await to_thread.run_sync(self._vault.drop)
            self._all = {}

    async def get_tokens(self) -> OAuthToken | None:
        return OAuthToken.model_validate(self._own["tokens"]) if self._own.get("tokens") else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        async with self.locked():
            self._own["tokens"] = tokens.model_dump(mode="json", exclude_none=True)
            self._own["expires_at"] = time.time() + tokens.expires_in if tokens.expires_in is not None else None
            await self._save()

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        if self._configured is not None:
            return self._configured
        return OAuthClientInformationFull.model_validate(self._own["client"]) if self._own.get("client") else None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        async with self.locked():
            self._issuer = client_info.issuer or ""
            self._own["client"] = client_info.model_dump(mode="json", exclude_none=True)
            await self._save()

    async def _save(self) -> None:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._vault.write, {"issuer": self._issuer, "issuers": self._all})
