"""All files and the environment as one frozen Config."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from host.config import local, telemetry
from host.config.environment import Environment
from host.config.places import Path
from host.config.problems import nearest
from host.config.read import BUILT_IN, ConfigFile
from host.core.errors import ConfigError
from host.core.lookalikes import server_skeleton
from host.core.policy import Verdict
from host.core.settings import Config, Profile, ProviderConfig

OFFLINE = "offline/planner"
NO_MODEL = "no model is configured and no key is set"
ANTHROPIC = "anthropic/claude-sonnet-5"
OPENAI = "openai/gpt-5"


def tightening(file: ConfigFile) -> ConfigFile:
    """What of a project's file holds without consent: the rules that ask or deny, and what it forbids."""
    strict = tuple(rule for rule in file.rules if rule.verdict is not Verdict.ALLOW)
    return ConfigFile(
        file.path,
        file.origin,
        file.problems,
        file.digest,
        forbid_bypass=file.forbid_bypass,
        require_sandbox=file.require_sandbox,
        allowed=file.allowed,
        limits=file.limits,
        rules=strict,
    )


def loosens(file: ConfigFile) -> bool:
    """Whether a file says more than that something must be asked or denied."""
    allows = any(rule.verdict is Verdict.ALLOW for rule in file.rules)
    return bool(file.servers or file.profiles or file.model or file.fallback or allows)


def merge(files: Sequence[ConfigFile], env: Environment, base_prompt: str = "") -> Config:
    """Join files in the order admin, user, project. Raises ConfigError with every problem."""
    if wrong := [*_doubles(files), *_lookalikes(files), *_unknown_names(files, env), *_forbidden(files)]:
        raise ConfigError(*wrong)
    rules = tuple(rule for file in files for rule in file.rules)
    tokens = env.state_folder / "tokens"
    servers = {
        name: replace(server, tokens=tokens, home=env.state_folder)
        for file in files
        for name, server in file.servers.items()
    }
    enabled = tuple(name for name, server in servers.items() if server.enabled)
    fallback = next((file.fallback for file in reversed(files) if file.fallback is not None), ())
    profiles = {"default": Profile("default", enabled, base_prompt, rules=rules, fallback=fallback)}
    for file in files:
        for name, profile in file.profiles.items():
            named = enabled if name in file.unlisted else tuple(n for n in profile.servers if n in enabled)
            prompt = "\n\n".join(part for part in (base_prompt, profile.prompt) if part)
            others = profile.fallback if name in file.own_fallback else fallback
            profiles[name] = replace(
                profile, servers=named, prompt=prompt, rules=(*rules, *profile.rules), fallback=others
            )
    models = [file.model for file in files if file.model]
    return Config(
        home=env.state_folder,
        model=models[-1] if models else None,
        providers=_providers(files, env),
        servers=servers,
        profiles=profiles,
        rules=rules,
        secrets=_secrets(files, env),
        files=tuple(file.path for file in files),
        forbid_bypass=any(file.forbid_bypass for file in files),
        require_sandbox=any(file.require_sandbox for file in files),
        ceiling=lowest(file.limits for file in files),
    )


def choose_model(asked: str | None, config: Config, env: Environment) -> tuple[str, str]:
    """The model to use, and why this one. Raises ConfigError where it was asked for and is not to be had."""
    for model, why in ((asked, "--model"), (env.agent_host_model, "AGENT_HOST_MODEL"), (config.model, "servers.toml")):
        if model:
            if problem := _unusable(model, config.providers):
                raise ConfigError(f"{why}: {problem}")
            return model, f"named by {why}"
    if env.anthropic_api_key:
        return ANTHROPIC, "ANTHROPIC_API_KEY is set"
    if env.openai_api_key:
        return OPENAI, "OPENAI_API_KEY is set"
    return OFFLINE, NO_MODEL


def _unusable(model: str, providers: Iterable[str]) -> str | None:
    provider, slash, own = model.partition("/")
    if not (provider and slash and own):
        return f'a model is written "provider/model", not "{model}"'
    if provider not in providers:
        return f"unknown provider {provider}{nearest(provider, providers)}"
    return None


def _providers(files: Sequence[ConfigFile], env: Environment) -> dict[str, ProviderConfig]:
    named = {name: provider for file in files for name, provider in file.providers.items()}
    found = {"offline": ProviderConfig("offline", "offline")} | local.providers() | named
    own = {
        "openai": (env.openai_base_url, env.openai_api_key),
        "anthropic": (versioned(env.anthropic_base_url), env.anthropic_api_key),
    }
    for name, (base_url, key) in own.items():
        known = named.get(name) or ProviderConfig(name, BUILT_IN[name])
        secret = key.get_secret_value() if key else None
        found[name] = replace(known, base_url=known.base_url or base_url, api_key=known.api_key or secret)
    return found


def versioned(address: str | None) -> str | None:
    """ANTHROPIC_BASE_URL is by custom written without the version that every address has here."""
    return address if address is None or re.search(r"/v\d+/?$", address) else address.rstrip("/") + "/v1"


def _secrets(files: Sequence[ConfigFile], env: Environment) -> dict[str, str]:
    keys = {"OPENAI_API_KEY": env.openai_api_key, "ANTHROPIC_API_KEY": env.anthropic_api_key}
    own = {name: key.get_secret_value() for name, key in keys.items() if key}
    own |= {f"otel.{name}": value.removeprefix("Bearer ") for name, value in telemetry.headers(env).items()}
    return own | {name: value for file in files for name, value in file.secrets.items()}


def lowest(limits: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each limit the smallest that anybody set."""
    found: dict[str, Any] = {}
    for one in limits:
        found |= {name: min(value, found.get(name, value)) for name, value in one.items() if value is not None}
    return found


def _forbidden(files: Sequence[ConfigFile]) -> list[str]:
    """The servers that a file forbids to others. Those that it brings itself it need not list."""
    wrong: list[str] = []
    for keeper, file in ((keeper, file) for keeper in files for file in files):
        for name, server in file.servers.items():
            place = f"{file.problems.place(('mcp_servers', name))}: mcp_servers.{name}"
            listed = keeper.allowed is None or keeper is file or any(one.fits(server) for one in keeper.allowed)
            if server.enabled and not listed:
                wrong.append(f"{place}: not among the allowed_servers of {keeper.path}; remove it, or enabled = false")
            if server.enabled and keeper.require_sandbox and name in file.unsandboxed:
                wrong.append(f'{place}: {keeper.path} requires a sandbox; remove sandbox = "off", or enabled = false')
    return wrong


def _doubles(files: Sequence[ConfigFile]) -> list[str]:
    """A name that two files define would let one silently take the other's place."""
    wrong: list[str] = []
    first: dict[tuple[str, str], str] = {}
    for file in files:
        for key, names in (("providers", file.providers), ("mcp_servers", file.servers), ("profiles", file.profiles)):
            for name in names:
                place = file.problems.place((key, name))
                if (key, name) in first:
                    wrong.append(f"{place}: {key}.{name}: also stands in {first[key, name]}; rename one of them")
                first.setdefault((key, name), place)
    return wrong


def _lookalikes(files: Sequence[ConfigFile]) -> list[str]:
    """Servers whose names a person would take for one another."""
    wrong: list[str] = []
    first: dict[str, tuple[str, str]] = {}
    for file in files:
        for name in file.servers:
            place = file.problems.place(("mcp_servers", name))
            other, there = first.setdefault(server_skeleton(name), (name, place))
            if other != name:
                wrong.append(f"{place}: mcp_servers.{name}: looks like {other}, which stands in {there}; rename one")
    return wrong


def _unknown_names(files: Sequence[ConfigFile], env: Environment) -> list[str]:
    servers = {name for file in files for name in file.servers}
    providers = _providers(files, env)
    for file in files:
        if file.model and (problem := _unusable(file.model, providers)):
            file.problems.add(("model",), problem)
        _check_fallback(file, ("fallback",), file.fallback or (), providers)
        for name, profile in file.profiles.items():
            _check_fallback(file, ("profiles", name, "fallback"), profile.fallback, providers)
            for number, server in enumerate(profile.servers):
                if server not in servers:
                    what = f"unknown server {server}{nearest(server, servers)}"
                    file.problems.add(("profiles", name, "servers", number), what)
            for fact, source in profile.facts.items():
                if source and source.server not in servers:
                    what = f"unknown server {source.server}{nearest(source.server, servers)}"
                    file.problems.add(("profiles", name, "facts", fact, "from", "server"), what)
    return [text for file in files for text in file.problems.texts()]


def _check_fallback(file: ConfigFile, at: Path, models: Sequence[str], providers: Iterable[str]) -> None:
    for number, model in enumerate(models):
        if problem := _unusable(model, providers):
            file.problems.add((*at, number), problem)
