"""`${keyring:SERVICE/NAME}`, `${file:PATH}` and `${cmd:PROGRAM ARGS}`: secrets that a file names and does not hold."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

SECONDS = 10.0
LARGEST = 64 * 1024
KINDS = ("keyring", "file", "cmd")


class References:
    """The secrets that one servers.toml in `folder` refers to, each looked up once. A program gets `seconds`."""

    def __init__(self, folder: Path, seconds: float = SECONDS) -> None:
        self._folder, self._seconds = folder, seconds
        self._known: dict[str, str] = {}

    def value(self, reference: str) -> str:
        """The secret behind `KIND:WHERE`. Raises ValueError in words."""
        if reference not in self._known:
            kind, _, where = reference.partition(":")
            look: dict[str, Callable[[str], str]] = {"keyring": _kept, "file": self._read, "cmd": self._said}
            value = look[kind](where)
            if not value or "\0" in value:
                raise ValueError(f"{reference} is empty" if not value else f"{reference} is not text")
            self._known[reference] = value
        return self._known[reference]

    def _read(self, where: str) -> str:
        path = self._folder / Path(where).expanduser()
        try:
            with path.open("rb") as file:
                return _text(file.read(LARGEST + 1), str(path))
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from None

    def _said(self, where: str) -> str:
        """What a program prints. No shell is involved; it and all that it started end in bounded time."""
        argv = shlex.split(where)
        if not argv:
            raise ValueError("cmd: names no program")
        with TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    argv,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                raise ValueError(f"{argv[0]} cannot be run: {error.strerror}") from None
            try:
                code = process.wait(self._seconds)
            except subprocess.TimeoutExpired:
                raise ValueError(f"{argv[0]} did not end within {self._seconds:g} s") from None
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if code:
                raise ValueError(f"{argv[0]} ended with code {code}")
            said.seek(0)
            return _text(said.read(LARGEST + 1), f"what {argv[0]} printed")


def _kept(where: str) -> str:
    """A password of the system's keyring, which is asked only when a file refers to it."""
    service, _, name = where.rpartition("/")
    if not service or not name:
        raise ValueError("a keyring reference is written keyring:SERVICE/NAME")
    import keyring

    try:
        found = keyring.get_password(service, name)
    except Exception as error:
        # Backends raise what they like; for the reader of the file all of it means the same.
        raise ValueError(f"the keyring cannot be asked: {' '.join(str(error).split())[:200]}") from None
    if found is None:
        raise ValueError(f"the keyring holds no {name} of {service}; put it there with: keyring set {service} {name}")
    return found


def _text(content: bytes, what: str) -> str:
    if len(content) > LARGEST:
        raise ValueError(f"{what} is longer than {LARGEST // 1024} KiB")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8 text") from None
