"""Large things are parsed in a process apart: Python holds its lock while it parses, also in a thread."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import anyio
from anyio import to_thread

from host.core.errors import HostError
from host.core.events import dumps
from host.core.schema import arguments_problem, heavy

LARGE = 256 * 1024
"""Bytes from which on a message is not parsed beside other work."""

# Isolated, so that no file of the working folder passes for a module; it finds what we find.
_PROGRAM = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from host.servers.apart import main; main()"


async def apart(job: str, about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Do a job of host/servers/apart.py on `data`. Raises HostError where it cannot be done.

    The bytes go through files without a name: a pipe would be filled and emptied piece by piece beside the work.
    """
    try:
        with TemporaryFile() as given, TemporaryFile() as taken:
            await to_thread.run_sync(_put, given, {"job": job, **about}, data)
            code = await _run(given, taken)
            if code:
                raise HostError(f"{len(data)} bytes are too large to be read here (the reader ended with {code})")
            return await to_thread.run_sync(_take, taken)
    except OSError as error:
        raise HostError(f"{len(data)} bytes cannot be read: {error}") from None


async def checked(schema: Mapping[str, Any], arguments: Any) -> str | None:
    """As `arguments_problem`, in bounded time: what may take long is checked in a process apart."""
    if not heavy(schema, arguments):
        return arguments_problem(schema, arguments)
    try:
        told, _ = await apart("check", {"schema": schema}, dumps(arguments))
    except HostError:
        return "they take too long to check against the schema: send less"
    problem: str | None = told["problem"]
    return problem


async def _run(given: IO[bytes], taken: IO[bytes]) -> int:
    process = await anyio.open_process(
        [sys.executable, "-I", "-c", _PROGRAM, _path()],
        stdin=given,
        stdout=taken,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return await process.wait()
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


def _path() -> str:
    return json.dumps([str(Path(entry).absolute()) for entry in sys.path])


def _put(file: IO[bytes], about: Mapping[str, Any], data: bytes) -> None:
    file.write(json.dumps(about).encode() + b"\n")
    file.write(data)
    file.seek(0)


def _take(file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    file.seek(0)
    told: dict[str, Any] = json.loads(file.readline())
    return told, file.read()
