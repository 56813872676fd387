"""On which line of a TOML text each key stands: what `tomllib` reads but does not tell."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")
_QUOTED = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")' + r"|'''.*?'{3,5}(?!')" + r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'", re.DOTALL
)


def places(text: str) -> dict[Path, int]:
    """The line of each key path of a TOML document that `tomllib` accepts."""
    return _Scan(text.replace("\r\n", "\n")).document()


@dataclass(slots=True)
class Table:
    """A header of a document: the table it opens, its line, and the last line of what stands under it."""

    path: Path
    line: int
    last: int


def tables(text: str) -> list[Table]:
    """The headers of a TOML document that `tomllib` accepts, in their order."""
    scan = _Scan(text.replace("\r\n", "\n"))
    scan.document()
    return scan.tables


def line_of(found: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it that has one."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path, 1)


def dotted(path: Sequence[str | int]) -> str:
    """A key path as a person writes it: `profiles.support.rules[2].tool`; items count from 1."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else f'"{part}"'
            text += f".{key}" if text else key
    return text


class _Scan:
    """A walk over the text that notes where each key stands; values are skipped, not read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self.found: dict[Path, int] = {}
        self.lengths: dict[Path, int] = {}
        self.tables: list[Table] = []

    def document(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip(_BLANK) < len(self.text):
            if self._peek("[["):
                table = self._header(2)
            elif self._peek("["):
                table = self._header(1)
            else:
                self._pair(table)
                if self.tables:
                    self.tables[-1].last = self._line(self.at - 1)
        return self.found

    def _header(self, brackets: int) -> Path:
        start = self.at
        self.at += brackets
        names = self._key()
        self.at += brackets
        path: Path = ()
        for name in names[:-1]:
            path = self._newest((*path, name))
        path = (*path, names[-1])
        if brackets == 2:
            self.lengths[path] = self.lengths.get(path, 0) + 1
            path = self._newest(path)
        self._note(path, start)
        self.tables.append(Table(path, self._line(start), self._line(start)))
        return path

    def _newest(self, path: Path) -> Path:
        """The last item of an array of tables; any other path as it is."""
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _pair(self, table: Path) -> None:
        start = self.at
        path = (*table, *self._key())
        self.at += 1
        self._note(path, start)
        self._value(path)

    def _key(self) -> list[str]:
        names: list[str] = []
        while True:
            self._skip(_SPACE)
            quoted = self.text[self.at] in "\"'"
            found = (_QUOTED if quoted else _BARE_KEY).match(self.text, self.at)
            assert found is not None, "tomllib accepted this text"
            self.at = found.end()
            names.append(tomllib.loads(f"x = {found[0]}")["x"] if quoted else found[0])
            self._skip(_SPACE)
            if not self._peek("."):
                return names
            self.at += 1

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        if self._peek("["):
            self._inside("]", path, array=True)
        elif self._peek("{"):
            self._inside("}", path, array=False)
        elif found := _QUOTED.match(self.text, self.at):
            self.at = found.end()
        else:
            self._skip(_BARE_VALUE)

    def _inside(self, closing: str, path: Path, array: bool) -> None:
        self.at += 1
        number = 0
        while self._skip(_BLANK) < len(self.text) and not self._peek(closing):
            if self._peek(","):
                self.at += 1
            elif array:
                self._note((*path, number), self.at)
                self._value((*path, number))
                number += 1
            else:
                self._pair(path)
        self.at += 1

    def _note(self, path: Path, at: int) -> None:
        """Remember a key and, where they have no place of their own, the tables it names on the way."""
        line = self._line(at)
        for end in range(1, len(path) + 1):
            self.found.setdefault(path[:end], line)

    def _line(self, at: int) -> int:
        return bisect_right(self.starts, at)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def _peek(self, text: str) -> bool:
        return self.text.startswith(text, self.at)
