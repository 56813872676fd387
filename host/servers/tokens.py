"""What was signed in for, kept in a file that only its owner can read: by server and by who issued it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata

EARLY = 30.0
"""Seconds before its end at which a token is renewed."""
LOCK_PAUSE = 0.05


class Tokens:
    """One server's entry, as the SDK wants to store it, and what the SDK would forget: when the token ends and where
    it is renewed. `configured` is the client that servers.toml names."""

    def __init__(self, folder: Path, url: str, configured: OAuthClientInformationFull | None = None) -> None:
        self._path = folder / f"{sha256(url.encode()).hexdigest()[:32]}.json"
        self._url, self._configured = url, configured
        self._all: dict[str, Any] = {}
        self._issuer = ""
        self.load()

    def load(self) -> None:
        """Read what another process may have written. A file that is damaged counts as none."""
        try:
            stored = json.loads(self._path.read_bytes())
            sound = isinstance(stored, dict) and stored["url"] == self._url
            self._all, self._issuer = (stored["issuers"], stored["issuer"]) if sound else ({}, "")
        except (OSError, ValueError, KeyError):
            self._all, self._issuer = {}, ""

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Alone among all processes, and up to date."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await anyio.sleep(LOCK_PAUSE)
            self.load()
            yield
        finally:
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
    def due(self) -> bool:
        """Whether it is time to renew the token."""
        return self.renewable and time.time() > self._own.get("expires_at", float("inf")) - EARLY

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

    def remember(self, issuer: OAuthMetadata | None, resource: ProtectedResourceMetadata | None) -> None:
        self._own["metadata"] = issuer.model_dump(mode="json", exclude_none=True) if issuer else None
        self._own["resource"] = resource.model_dump(mode="json", exclude_none=True) if resource else None
        self._save()

    def forget(self, client: bool = False) -> None:
        """Sign out; with `client`, also forget how we were registered."""
        for key in ("tokens", "expires_at", *(("client",) if client else ())):
            self._own.pop(key, None)
        self._save()

    async def get_tokens(self) -> OAuthToken | None:
        return OAuthToken.model_validate(self._own["tokens"]) if self._own.get("tokens") else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._own["tokens"] = tokens.model_dump(mode="json", exclude_none=True)
        self._own.pop("expires_at", None)
        if tokens.expires_in is not None:
            self._own["expires_at"] = time.time() + tokens.expires_in
        self._save()

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        if self._configured is not None:
            return self._configured
        return OAuthClientInformationFull.model_validate(self._own["client"]) if self._own.get("client") else None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._issuer = client_info.issuer or ""
        self._own["client"] = client_info.model_dump(mode="json", exclude_none=True)
        self._save()

    def _save(self) -> None:
        """Replace the file whole: a crash leaves the old one or the new one."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        body = json.dumps({"url": self._url, "issuer": self._issuer, "issuers": self._all}).encode()
        fresh = self._path.with_suffix(f".{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._path)
