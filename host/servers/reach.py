"""What a server must be able to read to run at all: its program through all links, that program's interpreter and
installation, its package, its folder. Looks at the disk; `sandbox.py` turns it into limits that hold."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from host.core.settings import ServerConfig
from host.servers.sandbox import Limits, below

SCRIPTS = (".py", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".mts", ".rb", ".pl", ".php", ".sh", ".jar", ".wasm", ".lua")
PROJECTS = ("package.json", "pyproject.toml", "Cargo.toml", "go.mod", "Gemfile", "composer.json")
PROGRAMS = ("bin", "sbin", "shims", "Scripts")
INSTALLED = ("pyvenv.cfg", "lib", "lib64", "libexec")
SHARED = ("/", "/home", "/Users", "/root", "/tmp", "/var", "/var/tmp", "/run", "/etc", "/opt", "/srv", "/mnt", "/media")
"""Folders that hold what belongs to others: none of them is read for what lies in it."""
PERSONAL = (
    ".ssh",
    ".gnupg",
    ".aws",
    ".config",
    ".netrc",
    ".profile",
    ".bashrc",
    ".zshrc",
    ".bash_history",
    "Documents",
)
OURS = ("sessions", "tokens", "demos", "host.db", "host.db-wal", "host.db-shm", "heads.log")
LINKS = 40


def resolved(config: ServerConfig, env: Mapping[str, str]) -> str:
    """The program that a command stands for, links kept: an environment is found by the link to its interpreter.
    Raises FileNotFoundError or PermissionError."""
    if config.command == "python":
        return sys.executable
    path = os.path.join(config.cwd, config.command) if "/" in config.command else config.command
    if found := shutil.which(path, path=env.get("PATH", os.defpath)):
        return os.path.abspath(found)
    if "/" in config.command and os.path.exists(path):
        raise PermissionError(f"{config.command} cannot be run: Permission denied")
    raise FileNotFoundError(f"command not found: {config.command}")


def limits(config: ServerConfig, program: str, env: Mapping[str, str], scratch: str) -> Limits:
    """What this server may do. `scratch` is its own folder, which is not read for the others' sake."""
    cwd = os.path.abspath(config.cwd)
    private = _private()
    programs = (program, *filter(_runs, config.args))
    installed = (path for each in programs for path in _installed(each, env, private))
    reads = {*installed, *_packages(config.args, cwd, private)}
    writes = {scratch}
    mine = reads if config.sandbox == "strict" else writes
    if cwd not in private:
        mine.add(cwd)
    if config.sandbox == "workspace":
        writes |= {os.path.abspath(path) for path in config.paths}
    everything = {path for path in reads if os.path.exists(path)}
    return Limits(
        config.sandbox,
        config.network,
        tuple(sorted(_both(everything))),
        tuple(sorted(_both(path for path in writes if os.path.exists(path)))),
        tuple(_hidden(config.home, {*everything, *writes})),
        cwd,
    )


def unread(config: ServerConfig) -> str:
    """Why its own folder is not shown to it; empty if it is."""
    cwd = os.path.abspath(config.cwd)
    if config.sandbox == "off" or cwd not in _private():
        return ""
    return f"its folder {cwd} is not one of its own, so it sees nothing in it: set cwd, or list paths"


def _private() -> frozenset[str]:
    """Folders too wide to be given: homes, what lies above them, and what is shared."""
    home = os.path.expanduser("~")
    # A HOME that was set for one run, and holds nothing of a person, is a folder like any other.
    homes = {home} if any(os.path.exists(os.path.join(home, name)) for name in PERSONAL) else set()
    with suppress(KeyError):
        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    wide = {str(above) for home in homes for at in (Path(home), Path(home).resolve()) for above in (at, *at.parents)}
    hidden = {os.path.join(home, name) for home in homes for name in (".local", ".config", ".cache", ".local/share")}
    return frozenset({*wide, *hidden, *SHARED})


def _both(paths: Iterable[str]) -> Iterator[str]:
    """Each path as it is written, and where it really is."""
    for path in paths:
        yield from (path, os.path.realpath(path))


def _installed(program: str, env: Mapping[str, str], private: frozenset[str], depth: int = 3) -> Iterator[str]:
    """A program, each link on the way to it, and the installation that each of them lies in."""
    for path in _hops(program):
        yield path
        yield from _prefix(path, private)
    interpreter = _interpreter(program, env) if depth else None
    if interpreter:
        yield from _installed(interpreter, env, private, depth - 1)


def _hops(path: str) -> Iterator[str]:
    for _ in range(LINKS):
        yield path
        if not os.path.islink(path):
            return
        path = os.path.normpath(os.path.join(os.path.realpath(os.path.dirname(path)), os.readlink(path)))


def _prefix(program: str, private: frozenset[str]) -> Iterator[str]:
    """The installation around a program: PREFIX/bin/program, or the folder or package that it lies in."""
    folder = os.path.dirname(program)
    prefix = os.path.dirname(folder) if os.path.basename(folder) in PROGRAMS else None
    if prefix is None:
        yield from _package(program, private)
    elif prefix not in private:
        if any(os.path.exists(os.path.join(prefix, name)) for name in INSTALLED):
            yield prefix
            yield from _elsewhere(prefix)
    else:
        yield from (str(found) for found in Path(prefix).glob("lib/python3*"))


def _elsewhere(prefix: str) -> Iterator[str]:
    """Where a Python environment says that parts of it lie: its base, packages installed to be edited, and the
    folders that its .pth files name."""
    with suppress(OSError):
        for line in Path(prefix, "pyvenv.cfg").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "home" and os.path.isabs(value.strip()):
                yield os.path.dirname(value.strip())
    for told in Path(prefix).glob("lib/python3*/site-packages/*.dist-info/direct_url.json"):
        with suppress(OSError, ValueError, AttributeError, TypeError):
            found = json.loads(told.read_bytes())
            if found.get("dir_info", {}).get("editable") and found["url"].startswith("file://"):
                yield unquote(urlsplit(found["url"]).path)
    for paths in Path(prefix).glob("lib/python3*/site-packages/*.pth"):
        with suppress(OSError):
            lines = paths.read_text(errors="replace").splitlines()
            named = [paths.parent / line.strip() for line in lines if line.strip()]
            yield from (str(path) for path in named if path.is_dir())


def _interpreter(program: str, env: Mapping[str, str]) -> str | None:
    """The program that runs a script, from its first line."""
    try:
        with open(program, "rb") as file:
            line = file.readline(512)
    except OSError:
        return None
    words = line[2:].decode("utf-8", "replace").split() if line.startswith(b"#!") else []
    if words and os.path.basename(words[0]) == "env":
        name = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")
        return shutil.which(name, path=env.get("PATH", os.defpath)) if name else None
    return words[0] if words else None


def _runs(arg: str) -> bool:
    """Whether an argument is a program for the command to run, as behind `env` or `timeout`."""
    return os.path.isabs(arg) and os.path.isfile(arg) and os.access(arg, os.X_OK)


def _packages(args: Sequence[str], cwd: str, private: frozenset[str]) -> Iterator[str]:
    """Scripts among the arguments, with the packages that they lie in. Files that are neither these nor programs, and
    folders, are data: a server reads those only where its entry says so."""
    for arg in args:
        path = os.path.normpath(os.path.join(cwd, arg))
        if arg.endswith(SCRIPTS) and os.path.isfile(path):
            for hop in _hops(path):
                yield hop
                yield from _package(hop, private)


def _package(file: str, private: frozenset[str]) -> Iterator[str]:
    """The folder of a file, and the project or the node_modules around it."""
    folder = os.path.dirname(file)
    if folder in private:
        return
    yield folder
    modules, found, _ = folder.partition("/node_modules")
    if found:
        yield modules + found
        return
    for above in (folder, *map(str, Path(folder).parents)):
        if above in private:
            return
        if any(os.path.exists(os.path.join(above, name)) for name in PROJECTS):
            yield above
            return


def _hidden(home: Path | None, shown: Iterable[str]) -> Iterator[str]:
    """The host's own state, where a folder that is shown holds it. Folders end with a slash."""
    if home is None:
        return
    at, shown = os.path.realpath(home), [os.path.realpath(path) for path in shown]
    if not any(below(at, path) for path in shown):
        return
    for name in OURS:
        path = os.path.join(at, name)
        if any(below(each, path) for each in shown):
            continue
        if os.path.isdir(path):
            yield path + "/"
        elif os.path.exists(path):
            yield path
