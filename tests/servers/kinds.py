"""Kinds of harmless servers, as people have them: what each runs, and what it must be able to do where it is held."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from serving import PROGRAMS, call, words

from host.core.settings import ServerConfig

DOER = PROGRAMS / "doer.py"


@dataclass(frozen=True)
class Kind:
    """A server, and what its tool answers when it could do its work."""

    config: ServerConfig
    answers: str

    async def works(self, servers: Any) -> str:
        """Empty, or what is wrong."""
        status = servers.statuses[self.config.name]
        if status.state != "ready":
            return f"{status.state}: {status.detail} {servers.logs(self.config.name)[-3:]}"
        said = words(await call(servers, f"{self.config.name}__do"))
        return "" if self.answers in said else f"it answered {said[:200]!r}"


@contextmanager
def kinds(folder: Path) -> Iterator[dict[str, Kind]]:
    """Each kind under its name; those of programs that are not installed here are left out."""
    work = folder / "work"
    work.mkdir()
    (work / "hello.txt").write_text("hello from a file")
    subprocess.run(["git", "init", "--quiet", str(work)], check=True)
    every: dict[str, Kind] = {}

    def add(name: str, answers: str, command: str, *args: object, **more: Any) -> None:
        id = "".join(letter if letter.isalnum() else "-" for letter in name)
        every[name] = Kind(ServerConfig(id, command, tuple(map(str, args)), cwd=work, **more), answers)

    with page("hello from the net") as address:
        add("python", "spoken", "python", DOER, "speak")
        add("wrapper", "spoken", "/bin/sh", "-c", 'exec "$@"', "sh", sys.executable, DOER, "speak")
        add("files", "hello from a file", "python", DOER, "read", "hello.txt")
        add("git", "hello.txt", "python", DOER, "git")
        add("sqlite", "42", "python", DOER, "sqlite", "some.db", sandbox="workspace")
        add("writes", "written", "python", DOER, "write", "note.txt", sandbox="workspace")
        add("http", "hello from the net", "python", DOER, "fetch", address, network=True)
        add("uvx prefix", "hello from a file", str(python_program(folder / "tools")), "read", "hello.txt")
        if shutil.which("node"):
            add("node", "hello from a file", "node", PROGRAMS / "doer.js", "hello.txt")
            add("npx prefix", "hello from a file", str(node_program(folder / "npm")), "hello.txt")
        yield every


@contextmanager
def page(text: str) -> Iterator[str]:
    """A page on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join(10)


def python_program(prefix: Path) -> Path:
    """A program in an environment of its own, which it imports its code from."""
    venv.create(prefix, symlinks=True)
    (packages,) = prefix.glob("lib/python3*/site-packages")
    shutil.copy(DOER, packages)
    return script(prefix / "bin" / "doer", f"#!{prefix}/bin/{Path(sys.executable).name}\nimport doer\ndoer.main()\n")


def node_program(prefix: Path) -> Path:
    """A program that is a link among others' to a package, which needs another package."""
    modules = prefix / "node_modules"
    for package in ("doer", "other", ".bin"):
        (modules / package).mkdir(parents=True)
    (modules / "doer" / "package.json").write_text('{"name": "doer", "main": "index.js"}')
    shutil.copy(PROGRAMS / "doer.js", modules / "other" / "index.js")
    script(modules / "doer" / "index.js", "#!/usr/bin/env node\nrequire('other')\n")
    (modules / ".bin" / "doer").symlink_to("../doer/index.js")
    return modules / ".bin" / "doer"


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path
