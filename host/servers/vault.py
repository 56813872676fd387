"""Where a server's tokens lie: in the system's keyring where there is one, else in a file that only its owner reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "agent-host"
REAL = 1.0
"""What a keyring says of itself from which on it is meant to be relied on."""


class Vault:
    """One server's entry. A file stands for it in either case: it holds the entry, or says that the keyring does, so
    that no keyring is asked about a server where nobody ever signed in. All of it blocks."""

    def __init__(self, path: Path, url: str) -> None:
        self._path, self._url = path, url
        self._name = f"{url} ({path.parent})"

    def read(self) -> dict[str, Any] | None:
        """What is kept; None for nothing, also where it is damaged or the keyring is locked or gone."""
        stored = _object(_bytes(self._path))
        if stored.get("url") != self._url:
            return None
        if not stored.get("keyring"):
            return stored
        try:
            ring = keyring_here()
            return _object((ring and ring.get_password(SERVICE, self._name)) or "") or None
        except Exception:
            return None  # backends raise what they like

    def write(self, entry: dict[str, Any]) -> None:
        """Keep this. A keyring that refuses it is passed over."""
        body: dict[str, Any] = {"url": self._url, **entry}
        try:
            if (ring := keyring_here()) is not None:
                ring.set_password(SERVICE, self._name, json.dumps(body))
                body = {"url": self._url, "keyring": True}
        except Exception:
            pass  # backends raise what they like; the file has it then
        self._replace(json.dumps(body).encode())

    def drop(self) -> None:
        """Keep nothing any more."""
        try:
            if _object(_bytes(self._path)).get("keyring") and (ring := keyring_here()) is not None:
                ring.delete_password(SERVICE, self._name)
        except Exception:
            pass  # backends raise what they like; what it still has nobody will look for
        self._path.unlink(missing_ok=True)

    def _replace(self, body: bytes) -> None:
        """Replace the file whole: a crash leaves the old one or the new one."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path.with_suffix(f".{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._path)


def keyring_here() -> KeyringBackend | None:
    """The system's keyring, if it has one. It is slow to load, and loaded only when it is wanted."""
    import keyring

    found = keyring.get_keyring()
    return found if float(found.priority) >= REAL else None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _object(text: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
