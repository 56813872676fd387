"""What is wrong with a file, each as `FILE:LINE: KEY: what; did you mean NEAREST?`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path as FilePath
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import ValidationError

from host.config.places import Path, dotted, line_of
from host.config.sections import FileSection, Section


def nearest(word: str, known: Iterable[str]) -> str:
    """The suggestion that ends an error about a name."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.0)
    return f"; did you mean {close[0]}?" if close else ""


class Problems:
    """Everything found wrong in one file."""

    def __init__(self, file: FilePath) -> None:
        self.file = file
        self.lines: dict[Path, int] = {}
        self.found: list[tuple[int, str]] = []
        self.paths: list[Path] = []

    def add(self, path: Path, what: str) -> None:
        self.paths.append(path)
        line = line_of(self.lines, path)
        self.found.append((line, f"{self.file}:{line}: {dotted(path)}: {what}"))

    def add_line(self, line: int, what: str) -> None:
        self.found.append((line, f"{self.file}:{line}: {what}"))

    def sound(self, path: Path) -> bool:
        """Whether nothing at or below this path is wrong so far."""
        return not any(bad[: len(path)] == path for bad in self.paths)

    def place(self, path: Path) -> str:
        return f"{self.file}:{line_of(self.lines, path)}"

    def texts(self) -> list[str]:
        """All of them in the order of the file, each once."""
        return list(dict.fromkeys(text for _, text in sorted(self.found, key=lambda found: found[0])))

    def take(self, error: ValidationError) -> None:
        """Put the findings of pydantic in our words."""
        findings = error.errors(include_url=False)
        refused = {e["loc"][:-1] for e in findings if e["type"] == "extra_forbidden" and _refusal(e["loc"])}
        for found in findings:
            if found["type"] == "missing" and found["loc"][:-1] in refused:
                continue  # a table of a kind that is not available: one reason is enough
            self.add(found["loc"], _in_words(found))


def _in_words(found: Any) -> str:
    path: Path = found["loc"]
    match found["type"]:
        case "extra_forbidden":
            section = _section(path[:-1])
            return _refusal(path) or f"unknown key{nearest(str(path[-1]), _keys(section) if section else ())}"
        case "missing":
            return "is missing"
        case "model_type" | "dict_type":
            return "should be a table"
        case "literal_error":
            known = found["ctx"]["expected"]
            given = found["input"]
            hint = nearest(given, known.replace("'", "").replace(" or ", ", ").split(", ")) if _word(given) else ""
            return f"should be {known}{hint}"
        case "value_error":
            return str(found["ctx"]["error"])
    text: str = found["msg"]
    return text.removeprefix("Input ").removeprefix("String ").replace("valid list", "list").replace("valid ", "")


def _word(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _refusal(path: Path) -> str | None:
    section = _section(path[:-1])
    return section.refused.get(str(path[-1])) if section else None


def _keys(section: type[Section]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _section(path: Path) -> type[Section] | None:
    """The section that describes the table at a path."""
    here: Any = FileSection
    for part in path:
        if isinstance(here, type) and issubclass(here, Section):
            by_key = {field.alias or name: field.annotation for name, field in here.model_fields.items()}
            here = by_key.get(str(part))
        else:
            here = get_args(here)[-1] if get_args(here) else None
        if get_origin(here) in (Union, UnionType):
            here = next((kind for kind in get_args(here) if kind is not type(None)), None)
    return here if isinstance(here, type) and issubclass(here, Section) else None
