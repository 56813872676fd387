"""Servers that come out of a package when they start: which package and version a command line fetches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

_NPM = re.compile(r"((?:@[a-z0-9._~-]+/)?[a-z0-9._~-]+)(?:@(.+))?", re.IGNORECASE)
_PYPI = re.compile(r"([a-z0-9][a-z0-9._-]*)(\[[^\]]*\])?(?:(?:@|==)(.+))?", re.IGNORECASE)
_EXACT = {"npm": re.compile(r"\d+\.\d+\.\d+[0-9A-Za-z.+-]*"), "PyPI": re.compile(r"\d+[0-9A-Za-z.+!-]*")}


@dataclass(frozen=True, slots=True)
class Package:
    """What `npx` or `uvx` is told to run. `version` is an exact one, else None, and `wish` what was asked for instead;
    `at` is its place among the arguments, `program` what is run of it, None for what has its own name."""

    registry: Literal["npm", "PyPI"]
    name: str
    version: str | None
    at: int
    wish: str = ""
    program: str | None = None

    @property
    def pin(self) -> str:
        return f"{self.registry}:{self.name}@{self.version}"

    def arguments(self, args: Sequence[str], version: str) -> tuple[str, ...]:
        """The arguments with this very version."""
        sign = "@" if self.registry == "npm" or self.program is None else "=="
        return (*args[: self.at], f"{self.name}{sign}{version}", *args[self.at + 1 :])

    def own(self, args: Sequence[str]) -> tuple[str, ...]:
        """The arguments that its program gets."""
        return tuple(args[self.at + (1 if self.program is None else 2) :])

    def at_version(self, version: str) -> Package:
        return replace(self, version=version, wish="")


def package_of(command: str, args: Sequence[str]) -> Package | None:
    """The package that a command line fetches; None where it fetches none, or says so in a way not understood here."""
    match command.rpartition("/")[2]:
        case "npx":
            at = next((n for n, word in enumerate(args) if word not in ("-y", "--yes")), len(args))
            return _read("npm", _NPM.fullmatch(args[at]), at) if at < len(args) else None
        case "uvx":
            if len(args) > 2 and args[0] == "--from" and not args[2].startswith("-"):
                return _read("PyPI", _PYPI.fullmatch(args[1]), 1, args[2])
            return _read("PyPI", _PYPI.fullmatch(args[0]), 0) if args else None
    return None


def _read(
    registry: Literal["npm", "PyPI"], found: re.Match[str] | None, at: int, program: str | None = None
) -> Package | None:
    if found is None or found[1].startswith((".", "-")):
        return None
    name, asked = (found[1], found[2]) if registry == "npm" else (found[1] + (found[2] or ""), found[3])
    exact = asked if asked and _EXACT[registry].fullmatch(asked) else None
    return Package(registry, name, exact, at, "" if exact else asked or "", program)


def at_pin(command: str, args: Sequence[str], pin: str) -> tuple[str, ...]:
    """The arguments with the version of a pin, where they name no exact one themselves and it is of their package."""
    package = package_of(command, args)
    if package is None or package.version is not None or not pin.startswith(f"{package.registry}:{package.name}@"):
        return tuple(args)
    return package.arguments(args, pin.rpartition("@")[2])
