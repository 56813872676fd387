"""One servers.toml: read, filled in, checked and resolved. Every problem of the file is found, not just the first."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from host.config.environment import NOT_A_KEY, is_key
from host.config.interpolate import Interpolation, interpolate
from host.config.places import dotted, places
from host.config.problems import Problems
from host.config.project import ignored, own_rules
from host.config.references import References
from host.config.remote import REMOTE, Remote, oauth_of, read_remote
from host.config.rules import build_rules
from host.config.sections import FileSection, ProfileSection, ProviderSection, ServerSection, ToolSection
from host.core import conditions, policy
from host.core.settings import (
    AllowedServer,
    FactSource,
    Origin,
    Profile,
    ProviderConfig,
    Sampling,
    ServerConfig,
    ServerLimits,
    ToolSettings,
    Wire,
)
from host.core.types import Limits

_SERVER_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SECRET_NAME = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)
_PROVIDER_KEYS = frozenset({"OPENAI_API_KEY", "ANTHROPIC_API_KEY"})
_WHERE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_SECRET_LENGTH = 8
BUILT_IN: Mapping[str, Wire] = {"openai": "responses", "anthropic": "messages"}


@dataclass(slots=True)
class ConfigFile:
    """What one file says. `unlisted`: profiles that list no servers and get all enabled ones; `own_fallback`: those
    that say which models to fall back on. `variables`: the names that each server reads from the environment.
    `secrets`: values that may never be stored. `document`: the file as it is written. `ignored`: what of a
    project's file does not hold, and why. `unsandboxed`: servers
    that start outside any sandbox. `limits` bound every profile."""

    path: Path
    origin: Origin
    problems: Problems
    digest: str = ""
    model: str | None = None
    fallback: tuple[str, ...] | None = None
    forbid_bypass: bool = False
    require_sandbox: bool = False
    allowed: tuple[AllowedServer, ...] | None = None
    unsandboxed: set[str] = field(default_factory=set)
    limits: dict[str, Any] = field(default_factory=dict)
    providers: dict[str, ProviderConfig] = field(default_factory=dict)
    servers: dict[str, ServerConfig] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    own_fallback: set[str] = field(default_factory=set)
    rules: tuple[policy.Rule, ...] = ()
    variables: dict[str, frozenset[str]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


def read_file(path: Path, origin: Origin, environ: Mapping[str, str], rules_before: int = 0) -> ConfigFile:
    """Read a file. What is wrong with it is in `problems`; `rules_before` numbers its top-level rules."""
    path = path.absolute()
    file = ConfigFile(path, origin, Problems(path))
    document = _parse(file)
    if document is None:
        return file
    file.document = document
    filled = interpolate(document, environ, _in_project if origin == "project" else References(path.parent).value)
    for at, what in filled.problems:
        file.problems.add(at, what)
    for at, values in filled.secrets.items():
        file.secrets |= {dotted(at) + f"#{n}" * (n > 1): value for n, value in enumerate(sorted(values), 1)}
    try:
        FileSection.model_validate(filled.document)
    except ValidationError as error:
        file.problems.take(error)
    _Build(file, filled, environ, rules_before).all()
    if origin == "project":
        file.ignored = [f"{file.problems.place(at)}: {dotted(at)}: {what}" for at, what in ignored(filled.document)]
    return file


def _parse(file: ConfigFile) -> dict[str, Any] | None:
    try:
        content = file.path.read_bytes()
        file.digest = sha256(content).hexdigest()
        text = content.decode()
        document = tomllib.loads(text)
        file.problems.lines = places(text)
    except OSError as error:
        file.problems.add_line(1, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        file.problems.add_line(content[: error.start].count(b"\n") + 1, "not UTF-8 text")
    except RecursionError:
        file.problems.add_line(1, "nested too deeply")
    except ValueError as error:
        found = _WHERE.search(str(error))
        last = text.count("\n") + 1
        line = int(found[1]) if found and found[1] else last if found else 1
        file.problems.add_line(line, f"not TOML: {_WHERE.sub('', str(error))}")
    else:
        return document
    return None


@dataclass(slots=True)
class _Build:
    """Turns the sound sections of a file into values."""

    file: ConfigFile
    filled: Interpolation
    environ: Mapping[str, str]
    rules_before: int

    def all(self) -> None:
        document, wrong = self.filled.document, self.file.problems
        self.file.model = document.get("model") if wrong.sound(("model",)) else None
        if wrong.sound(("fallback",)) and "fallback" in document:
            self.file.fallback = tuple(document["fallback"])
        self.file.forbid_bypass = document.get("forbid_bypass") is True
        self.file.require_sandbox = document.get("require_sandbox") is True
        if wrong.sound(("allowed_servers",)) and "allowed_servers" in document:
            self._allowed(document["allowed_servers"])
        if wrong.sound(("limits",)):
            self.file.limits = dict(document.get("limits", {}))
        for name, raw in self._tables("providers"):
            self._provider(name, ProviderSection.model_validate(raw))
        for name, raw in self._tables("mcp_servers"):
            self._server(name, ServerSection.model_validate(raw))
        self._check_server_names()
        rules = build_rules(document.get("rules"), ("rules",), "rules", self.rules_before, wrong)
        self.file.rules = self._narrowed(rules)
        profiles = document.get("profiles")
        for name, raw in profiles.items() if isinstance(profiles, dict) else ():
            if not isinstance(raw, dict):
                continue
            rules = build_rules(raw.get("rules"), ("profiles", name, "rules"), name, 0, wrong)
            own = {key: value for key, value in raw.items() if key != "rules"}
            if all(wrong.sound(("profiles", name, key)) for key in own):
                self._profile(name, ProfileSection.model_validate(own), self._narrowed(rules))

    def _narrowed(self, rules: tuple[policy.Rule, ...]) -> tuple[policy.Rule, ...]:
        return own_rules(rules, self.file.servers) if self.file.origin == "project" else rules

    def _allowed(self, listed: list[dict[str, Any]]) -> None:
        for number, one in enumerate(listed):
            if ("command" in one) == ("url" in one):
                self.file.problems.add(("allowed_servers", number), "names either a command or a url")
        self.file.allowed = tuple(AllowedServer(tuple(one.get("command", ())), one.get("url")) for one in listed)

    def _tables(self, key: str) -> list[tuple[str, Any]]:
        """The tables under a key that have the right shape."""
        tables = self.filled.document.get(key)
        if not isinstance(tables, dict):
            return []
        return [(name, raw) for name, raw in tables.items() if self.file.problems.sound((key, name))]

    def _provider(self, name: str, section: ProviderSection) -> None:
        at = ("providers", name)
        wrong = self.file.problems
        if self.file.origin == "project":
            wrong.add(at, _NOT_IN_PROJECT)
        elif name == "offline":
            wrong.add(at, "is built in and has no settings")
        elif not _NAME.fullmatch(name):
            wrong.add(at, "a provider's name is made of letters, digits, _ . and -")
        elif (wire := section.wire or BUILT_IN.get(name)) is None:
            wrong.add(at, 'wire is missing; write wire = "responses", "chat" or "messages"')
        elif section.base_url is None and (wire == "messages") != (BUILT_IN.get(name, "") == "messages"):
            wrong.add(at, f'base_url is missing; at its own address {name} does not speak wire = "{wire}"')
        elif section.base_url is None and name not in BUILT_IN:
            wrong.add(at, "base_url is missing; it ends with the version: http://127.0.0.1:8080/v1")
        elif section.api_key and not is_key(section.api_key):
            wrong.add((*at, "api_key"), NOT_A_KEY)
        else:
            models = {model: known.model_dump(exclude_none=True) for model, known in section.models.items()}
            base_url = section.base_url.rstrip("/") if section.base_url else None
            self.file.providers[name] = ProviderConfig(name, wire, base_url, section.api_key or None, models)
            if section.api_key:
                used = self.filled.used.get((*at, "api_key"), set())
                self.file.secrets[next(iter(used)) if len(used) == 1 else dotted((*at, "api_key"))] = section.api_key

    def _server(self, name: str, section: ServerSection) -> None:
        at = ("mcp_servers", name)
        wrong = self.file.problems
        self._check_environment(name, section)
        remote = self._remote(name, section)
        command = section.command or ""
        if "/" in command:
            command = str(self._path(command, (*at, "command")))
        cwd = self._path(section.cwd, (*at, "cwd"))
        if section.enabled and not cwd.is_dir():
            wrong.add((*at, "cwd"), f"no folder {cwd}")
        roots = tuple(self._path(root, (*at, "roots")) for root in section.roots)
        for root in roots:
            if section.enabled and not root.is_dir():
                wrong.add((*at, "roots"), f"no folder {root}")
        self.file.variables[name] = frozenset(self.filled.used_under(at) | {section.bearer_token_env_var or ""} - {""})
        self.file.servers[name] = ServerConfig(
            name,
            command,
            tuple(section.args),
            section.env,
            tuple(section.env_vars),
            cwd,
            section.enabled,
            section.required,
            section.startup_timeout_sec,
            section.tool_timeout_sec,
            None if section.enabled_tools is None else tuple(section.enabled_tools),
            tuple(section.disabled_tools),
            section.parallel,
            section.trust_hints and self.file.origin != "project",
            {tool: _said(said) for tool, said in section.tools.items()},
            self.file.origin,
            self.file.path,
            section.url,
            remote.headers,
            oauth_of(section),
            instructions=section.instructions,
            log_level=section.log_level,
            approval=section.default_tools_approval_mode,
            limits=ServerLimits(section.limits.calls, section.limits.seconds),
            roots=roots,
            sampling=Sampling(section.sampling.calls, section.sampling.tokens) if section.sampling else None,
            sandbox=section.sandbox,
            network=section.network,
            paths=self._limited(section, at),
        )
        if section.url is None and section.sandbox == "off":
            self.file.unsandboxed.add(name)

    def _limited(self, section: ServerSection, at: tuple[str, ...]) -> tuple[Path, ...]:
        """The folders and files that the server may write besides its own; what says more than the sandbox can hold
        is a mistake."""
        wrong, off = self.file.problems, section.sandbox == "off"
        if off and section.network is False and "network" in section.model_fields_set:
            wrong.add((*at, "network"), 'false needs a sandbox: write sandbox = "strict" or "workspace"')
        if section.paths and section.sandbox != "workspace":
            wrong.add((*at, "paths"), 'is for sandbox = "workspace", which may write there')
        paths = [self._path(path, (*at, "paths")) for path in section.paths]
        for path in paths:
            if section.enabled and not path.exists():
                wrong.add((*at, "paths"), f"there is no {path}")
        return tuple(paths)

    def _remote(self, name: str, section: ServerSection) -> Remote:
        """What is said of a server at an address; a server has either that or a command."""
        at = ("mcp_servers", name)
        if section.url is None:
            if section.command is None:
                self.file.problems.add((*at, "command"), "is missing (or a url)")
            for key in REMOTE:
                if key in section.model_fields_set:
                    self.file.problems.add((*at, key), "belongs to a server with a url")
            return Remote()
        secret = {str(path[3]) for path in self.filled.secrets if path[:3] == (*at, "headers")}
        read = read_remote(section, self.environ, secret)
        for below, what in read.problems:
            self.file.problems.add((*at, *below), what)
        for each, value in read.secrets.items():
            if len(value) >= _SECRET_LENGTH:
                self.file.secrets[each] = value
        said = section.oauth
        own = {"client_secret": said.client_secret, "private_key": said.private_key}
        idp = {"idp.client_secret": said.idp.client_secret, "idp.id_token": said.idp.id_token} if said.idp else {}
        self.file.secrets |= {f"{name}.oauth.{key}": value for key, value in (own | idp).items() if value}
        return read

    def _check_server_names(self) -> None:
        names = self.filled.document.get("mcp_servers")
        for name in names if isinstance(names, dict) else ():
            if name == "host":
                self.file.problems.add(("mcp_servers", name), "this name is the host's own; choose another")
            elif not _SERVER_ID.fullmatch(name) or "__" in name:
                self.file.problems.add(
                    ("mcp_servers", name),
                    "a server's name is 1 to 24 of a-z 0-9 _ -, begins with a letter or digit, and has no __",
                )

    def _check_environment(self, name: str, section: ServerSection) -> None:
        """Names that can be passed on, what a project may not pass on, and which values are secrets."""
        at = ("mcp_servers", name)
        wrong, used = self.file.problems, self.filled.used_under(at)
        for variable in section.env:
            if not variable or "=" in variable:
                wrong.add((*at, "env", variable), "not a name for a variable")
        if self.file.origin == "project":
            if section.env_vars:
                wrong.add((*at, "env_vars"), _NOT_IN_PROJECT)
            for variable in sorted({*used, section.bearer_token_env_var or ""} & _PROVIDER_KEYS):
                wrong.add(at, f"reads ${{{variable}}}: {_NOT_IN_PROJECT}")
        for variable in {*used, *section.env_vars}:
            self._keep_secret(variable, self.environ.get(variable, ""))
        for variable, value in section.env.items():
            if not self.filled.used.get((*at, "env", variable)):
                self._keep_secret(variable, value)

    def _keep_secret(self, name: str, value: str) -> None:
        """Remember a value whose name says that it is secret. A short one would blot out ordinary text."""
        if _SECRET_NAME.search(name) and len(value) >= _SECRET_LENGTH:
            self.file.secrets[name] = value

    def _profile(self, name: str, section: ProfileSection, rules: tuple[policy.Rule, ...]) -> None:
        at = ("profiles", name)
        if not _NAME.fullmatch(name):
            self.file.problems.add(at, "a profile's name is made of letters, digits, _ . and -")
        if section.servers is None:
            self.file.unlisted.add(name)
        if section.fallback is not None:
            self.file.own_fallback.add(name)
        self.file.profiles[name] = Profile(
            name,
            tuple(section.servers or ()),
            self._prompt(section.prompt, (*at, "prompt")),
            Limits(**section.limits.model_dump(exclude_none=True)),
            {
                fact: self._fact(fact_section.from_, (*at, "facts", fact))
                for fact, fact_section in section.facts.items()
            },
            rules,
            self._path(section.recording, (*at, "recording")) if section.recording else None,
            section.description,
            tuple(section.fallback or ()),
        )

    def _fact(self, source: Any, at: tuple[str, ...]) -> FactSource | None:
        if source is None:
            return None
        try:
            conditions.lookup({}, source.path)
        except conditions.Unevaluable:
            pass  # nothing is there yet; only the path's form is checked
        except ValueError as error:
            self.file.problems.add((*at, "from", "path"), str(error))
        return FactSource(source.server, source.tool, source.path)

    def _prompt(self, named: str | None, at: tuple[str, ...]) -> str:
        if named is None:
            return ""
        path = self._path(named, at)
        if self.file.origin == "project" and not path.resolve().is_relative_to(self.file.path.parent.resolve()):
            self.file.problems.add(at, f"{path} lies outside the project: a prompt is sent to the model")
            return ""
        try:
            return path.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            self.file.problems.add(at, f"cannot read {path}: {reason}")
            return ""

    def _path(self, text: str, at: tuple[str, ...]) -> Path:
        """A path of the file, absolute. `..` is taken out, links are kept."""
        try:
            return Path(os.path.normpath(self.file.path.parent / Path(text).expanduser()))
        except RuntimeError:
            self.file.problems.add(at, f"no home folder for {text}")
            return self.file.path.parent


def _said(said: ToolSection) -> ToolSettings:
    return ToolSettings(said.effect, said.open, said.timeout_sec, said.approval_mode)


def _in_project(reference: str) -> str:
    """A project's file comes from others: it gets no secret of this machine, and runs nothing to be read."""
    raise ValueError(_NOT_IN_PROJECT)


_NOT_IN_PROJECT = (
    "a project's file may not set this, for it moves your keys or variables; write it in your own servers.toml, "
    "or name this file with --config"
)
