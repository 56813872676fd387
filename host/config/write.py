"""Changes of a servers.toml that touch one server's entry and leave every other byte of the file as it is.

A change is a new text. `Draft` reads that text with the real loader before it takes the place of the file.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from host.config.environment import Environment
from host.config.merge import merge
from host.config.places import Table, dotted, places, tables
from host.config.read import ConfigFile, read_file
from host.core.errors import ConfigError
from host.core.settings import Origin

SERVERS = "mcp_servers"
_LINE = re.compile(r"(?<=:)\d+(?=:)")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SWITCH = re.compile(r"""(\s*(?:enabled|"enabled"|'enabled')\s*=\s*)(?:true|false)(?![A-Za-z0-9_-])""")


def text_of(path: Path) -> str:
    """What a file holds now; nothing where there is none. Raises ConfigError."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None


def servers_in(path: Path) -> dict[str, Any]:
    """The entries of a file as they stand in it. Raises ConfigError where it is no TOML."""
    found = _document(path, text_of(path)).get(SERVERS)
    return found if isinstance(found, dict) else {}


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


# --- new texts


def added(text: str, name: str, entry: Mapping[str, Any]) -> str:
    """The text with the table of a server behind all else."""
    lines = [f"[{SERVERS}.{_key(name)}]", *(f"{_key(key)} = {toml(value)}" for key, value in entry.items()), ""]
    end = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else end if text.endswith("\n") else end * 2
    return text + gap + end.join(lines)


def removed(path: Path, text: str, name: str) -> str:
    """The text without the tables of a server. Raises ConfigError where its entry is not written as tables."""
    lines = text.split("\n")
    below: Table | None = None
    for table in reversed(tables(text)):
        ours = table.path[:2] == (SERVERS, name)
        if ours:
            # What stands between two tables of it goes with them.
            del lines[table.line - 1 : below.line - 1 if below else table.last]
            while table.line - 1 < len(lines) - 1 and not lines[table.line - 1].strip() and _open(lines, table.line):
                del lines[table.line - 1]
        below = table if ours else None
    expected = _document(path, text)
    del expected[SERVERS][name]
    return _same(path, text, "\n".join(lines), name, expected)


def _open(lines: Sequence[str], line: int) -> bool:
    """Whether nothing, or a blank line, stands before this line."""
    return line < 2 or not lines[line - 2].strip()


def switched(path: Path, text: str, name: str, on: bool) -> str:
    """The text with a server enabled or disabled. Raises ConfigError where its entry is not written as a table."""
    word, lines = "true" if on else "false", text.split("\n")
    table = next((table for table in tables(text) if table.path == (SERVERS, name)), None)
    at = places(text).get((SERVERS, name, "enabled"))
    if at is not None:
        lines[at - 1] = _SWITCH.sub(rf"\g<1>{word}", lines[at - 1], count=1)
    elif table is not None:
        lines.insert(table.line, f"enabled = {word}" + ("\r" if lines[table.line - 1].endswith("\r") else ""))
    expected = _document(path, text)
    expected[SERVERS][name]["enabled"] = on
    return _same(path, text, "\n".join(lines), name, expected)


def _same(path: Path, before: str, after: str, name: str, expected: dict[str, Any]) -> str:
    """The new text, if it says what was meant and nothing else."""
    if not expected[SERVERS]:
        del expected[SERVERS]
    with suppress(ValueError):
        found = tomllib.loads(after)
        if not found.get(SERVERS, True):
            del found[SERVERS]
        if found == expected:
            return after
    at = (SERVERS, name)
    place = f"{path}:{places(before).get(at, 1)}"
    raise ConfigError(f"{place}: {dotted(at)} is not written as a table of its own; change it by hand")


def toml(value: Any) -> str:
    """A value as TOML writes it, on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            inside = ", ".join(f"{_key(key)} = {toml(item)}" for key, item in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case _:
            return f"[{', '.join(map(toml, value))}]"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml(name)


# --- from a text to the file


@dataclass(slots=True)
class Draft:
    """A new text beside the file it is for. `file` is what the loader makes of it, `problems` what is wrong now and
    was not before."""

    path: Path
    file: ConfigFile
    problems: list[str]
    _beside: Path

    @classmethod
    def of(cls, path: Path, text: str, applies: Sequence[tuple[Path, Origin]], env: Environment) -> Self:
        """Write the draft and read it together with all files that apply. Raises ConfigError."""
        target = path.resolve()
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(".toml", ".servers-", target.parent)
            with os.fdopen(handle, "wb") as out:
                out.write(text.encode())
                out.flush()
                os.fsync(out.fileno())
                if target.exists():
                    os.fchmod(out.fileno(), target.stat().st_mode & 0o777)
        except UnicodeEncodeError:
            raise ConfigError(f"{path}: the entry holds bytes that are not UTF-8 text") from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
        beside = Path(name)
        others = [(other, origin) for other, origin in applies if other.exists() or other == path]
        _, before = _read([each for each in others if each[0].exists()], env)
        files, after = _read([(beside if other == path else other, origin) for other, origin in others], env)
        known = {_LINE.sub("", text) for text in before}
        told = [text.replace(str(beside), str(path.absolute())) for text in after]
        file = next(file for file in files if file.path == beside)
        return cls(path, file, [text for text in told if _LINE.sub("", text) not in known], beside)

    def put(self) -> None:
        """Take the place of the file, whole or not at all."""
        self._beside.replace(self.path.resolve())

    def drop(self) -> None:
        self._beside.unlink(missing_ok=True)


def _read(applies: Sequence[tuple[Path, Origin]], env: Environment) -> tuple[list[ConfigFile], list[str]]:
    files = [read_file(path, origin, os.environ) for path, origin in applies]
    wrong = [text for file in files for text in file.problems.texts()]
    if not wrong:
        try:
            merge(files, env)
        except ConfigError as error:
            wrong = list(error.lines)
    return files, wrong
