"""`${VAR}` and `${VAR:-default}` in the strings of a file; `${fact.NAME}` is left for the session to fill in."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from host.config.places import Path

_REFERENCE = re.compile(r"\$(\$)?\{([^{}]*)\}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_FACT = re.compile(r"fact\.[A-Za-z0-9_-]+")


@dataclass(slots=True)
class Interpolation:
    """A document with its variables filled in, which ones each value used, and what was wrong."""

    document: Any
    used: dict[Path, set[str]] = field(default_factory=dict)
    problems: list[tuple[Path, str]] = field(default_factory=list)

    def used_under(self, path: Path) -> set[str]:
        """The names of the variables that any value at or below a path used."""
        return {name for at, names in self.used.items() if at[: len(path)] == path for name in names}


def interpolate(document: Any, variables: Mapping[str, str]) -> Interpolation:
    """Fill in every string of a TOML document. `$${` stands for a literal `${`."""
    done = Interpolation(None)
    done.document = _walk(document, (), variables, done)
    return done


def _walk(value: Any, path: Path, variables: Mapping[str, str], done: Interpolation) -> Any:
    match value:
        case dict():
            return {key: _walk(item, (*path, key), variables, done) for key, item in value.items()}
        case list():
            return [_walk(item, (*path, number), variables, done) for number, item in enumerate(value)]
        case str():
            return _fill(value, path, variables, done)
        case float() if not math.isfinite(value):
            done.problems.append((path, "not a finite number"))
        case bool() | int() | float():
            pass
        case _:
            done.problems.append((path, "a date or time is written as a text, in quotes"))
    return value


def _fill(text: str, path: Path, variables: Mapping[str, str], done: Interpolation) -> str:
    if "\0" in text:
        done.problems.append((path, "holds a NUL character"))

    def value_of(found: re.Match[str]) -> str:
        escaped, inner = found.groups()
        if escaped:
            return found[0][1:]
        if _FACT.fullmatch(inner):
            return found[0]
        variable = _VARIABLE.fullmatch(inner)
        if variable is None:
            done.problems.append((path, f"{found[0]} is no reference: write ${{NAME}}, ${{NAME:-default}} or $${{…}}"))
            return found[0]
        name, default = variable.groups()
        done.used.setdefault(path, set()).add(name)
        if default is not None:
            return variables.get(name) or default
        if name not in variables:
            done.problems.append(
                (path, f"the variable {name} is not set; set it, or give a default: ${{{name}:-default}}")
            )
        return variables.get(name, "")

    return _REFERENCE.sub(value_of, text)


def texts(value: Any) -> Iterator[str]:
    """Every string inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
