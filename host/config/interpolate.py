"""`${VAR}`, `${VAR:-default}` and references to secrets in a file's strings; `${fact.NAME}` is left for the session
to fill in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from host.config.places import Path
from host.config.references import KINDS

_REFERENCE = re.compile(r"\$(\$)?\{([^{}]*)\}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_FACT = re.compile(r"fact\.[A-Za-z0-9_-]+")
_SECRET = re.compile(rf"(?:{'|'.join(KINDS)}):.+", re.DOTALL)
# A fact comes from a server: among arguments it could pass for an option. A secret there is seen by all programs.
_FACTS_IN = ("env", "headers")
_SECRETS_IN = ("env", "headers", "oauth")

Look = Callable[[str], str]


@dataclass(slots=True)
class Interpolation:
    """A document with its references filled in: which variables each value used, which secrets, and what was wrong."""

    document: Any
    used: dict[Path, set[str]] = field(default_factory=dict)
    secrets: dict[Path, set[str]] = field(default_factory=dict)
    problems: list[tuple[Path, str]] = field(default_factory=list)

    def used_under(self, path: Path) -> set[str]:
        """The names of the variables that any value at or below a path used."""
        return {name for at, names in self.used.items() if at[: len(path)] == path for name in names}


def interpolate(document: Any, variables: Mapping[str, str], look: Look) -> Interpolation:
    """Fill in every string of a TOML document. `$${` stands for a literal `${`; `look` finds the secret behind a
    reference, or raises ValueError."""
    filling = _Filling(variables, look, Interpolation(None))
    filling.done.document = filling.walk(document, ())
    return filling.done


@dataclass(slots=True)
class _Filling:
    variables: Mapping[str, str]
    look: Look
    done: Interpolation

    def walk(self, value: Any, path: Path) -> Any:
        match value:
            case dict():
                return {key: self.walk(item, (*path, key)) for key, item in value.items()}
            case list():
                return [self.walk(item, (*path, number)) for number, item in enumerate(value)]
            case str():
                return self._fill(value, path)
            case float() if not math.isfinite(value):
                self._wrong(path, "not a finite number")
            case bool() | int() | float():
                pass
            case _:
                self._wrong(path, "a date or time is written as a text, in quotes")
        return value

    def _wrong(self, path: Path, what: str) -> None:
        self.done.problems.append((path, what))

    def _fill(self, text: str, path: Path) -> str:
        if "\0" in text:
            self._wrong(path, "holds a NUL character")

        def value_of(found: re.Match[str]) -> str:
            escaped, inner = found.groups()
            if escaped:
                return found[0][1:]
            if _FACT.fullmatch(inner):
                if not _takes_facts(path):
                    self._wrong(path, f"{found[0]}: a fact is filled in in env, headers and rules, not here")
                return found[0]
            if variable := _VARIABLE.fullmatch(inner):
                return self._variable(variable, path)
            if _SECRET.fullmatch(inner):
                return self._secret(inner, path)
            self._wrong(
                path,
                f"{found[0]} is no reference: write ${{NAME}}, ${{NAME:-default}}, ${{keyring:SERVICE/NAME}}, "
                "${file:PATH}, ${cmd:PROGRAM ARGS} or $${…}",
            )
            return found[0]

        return _REFERENCE.sub(value_of, text)

    def _variable(self, variable: re.Match[str], path: Path) -> str:
        name, default = variable.groups()
        self.done.used.setdefault(path, set()).add(name)
        if default is not None:
            return self.variables.get(name) or default
        if name not in self.variables:
            self._wrong(path, f"the variable {name} is not set; set it, or give a default: ${{{name}:-default}}")
        return self.variables.get(name, "")

    def _secret(self, reference: str, path: Path) -> str:
        if not _takes_secrets(path):
            self._wrong(path, f"${{{reference}}}: a secret stands in env, headers, oauth or api_key, not here")
            return ""
        try:
            value = self.look(reference)
        except ValueError as error:
            self._wrong(path, f"${{{reference}}}: {error}")
            return ""
        self.done.secrets.setdefault(path, set()).add(value)
        return value


def _takes_facts(path: Path) -> bool:
    return "rules" in path[:3:2] or (path[0] == "mcp_servers" and path[2:3] in [(each,) for each in _FACTS_IN])


def _takes_secrets(path: Path) -> bool:
    if path[0] == "providers":
        return path[2:] == ("api_key",)
    return path[0] == "mcp_servers" and path[2:3] in [(each,) for each in _SECRETS_IN]
