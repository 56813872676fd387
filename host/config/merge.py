"""All files and the environment as one frozen Config."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from host.config.environment import Environment
from host.config.problems import nearest
from host.config.read import ConfigFile
from host.core.errors import ConfigError
from host.core.policy import Verdict
from host.core.settings import Config, Profile, ProviderConfig

OFFLINE = "offline/recorded"
OPENAI = "openai/gpt-5"


def tightening(file: ConfigFile) -> ConfigFile:
    """What of a project's file holds without consent: the rules that ask or deny."""
    strict = tuple(rule for rule in file.rules if rule.verdict is not Verdict.ALLOW)
    return ConfigFile(
        file.path, file.origin, file.problems, file.digest, forbid_bypass=file.forbid_bypass, rules=strict
    )


def loosens(file: ConfigFile) -> bool:
    """Whether a file says more than that something must be asked or denied."""
    allows = any(rule.verdict is Verdict.ALLOW for rule in file.rules)
    return bool(file.servers or file.profiles or file.model or allows)


def merge(files: Sequence[ConfigFile], env: Environment, base_prompt: str = "") -> Config:
    """Join files in the order admin, user, project. Raises ConfigError with every problem."""
    if wrong := [*_doubles(files), *_unknown_names(files, env)]:
        raise ConfigError("\n".join(wrong))
    rules = tuple(rule for file in files for rule in file.rules)
    tokens = env.state_folder / "tokens"
    servers = {name: replace(server, tokens=tokens) for file in files for name, server in file.servers.items()}
    enabled = tuple(name for name, server in servers.items() if server.enabled)
    profiles = {"default": Profile("default", enabled, base_prompt, rules=rules)}
    for file in files:
        for name, profile in file.profiles.items():
            named = enabled if name in file.unlisted else tuple(n for n in profile.servers if n in enabled)
            prompt = "\n\n".join(part for part in (base_prompt, profile.prompt) if part)
            profiles[name] = replace(profile, servers=named, prompt=prompt, rules=(*rules, *profile.rules))
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
    )


def choose_model(asked: str | None, config: Config, env: Environment) -> tuple[str, str]:
    """The model to use, and why this one. Raises ConfigError where it was asked for and is not to be had."""
    for model, why in ((asked, "--model"), (env.agent_host_model, "AGENT_HOST_MODEL"), (config.model, "servers.toml")):
        if model:
            if problem := _unusable(model, config.providers):
                raise ConfigError(f"{why}: {problem}")
            return model, f"named by {why}"
    if env.openai_api_key:
        return OPENAI, "OPENAI_API_KEY is set"
    if env.anthropic_api_key:
        return OFFLINE, "ANTHROPIC_API_KEY is set, but the Anthropic wire is not available in this version"
    return OFFLINE, "no model is configured and no key is set"


def _unusable(model: str, providers: Iterable[str]) -> str | None:
    provider, slash, own = model.partition("/")
    if not (provider and slash and own):
        return f'a model is written "provider/model", not "{model}"'
    if provider == "anthropic" and provider not in providers:
        return "the Anthropic wire is not available in this version"
    if provider not in providers:
        return f"unknown provider {provider}{nearest(provider, providers)}"
    return None


def _providers(files: Sequence[ConfigFile], env: Environment) -> dict[str, ProviderConfig]:
    named = {name: provider for file in files for name, provider in file.providers.items()}
    openai = named.get("openai") or ProviderConfig("openai", "responses")
    key = env.openai_api_key.get_secret_value() if env.openai_api_key else None
    openai = replace(openai, base_url=openai.base_url or env.openai_base_url, api_key=openai.api_key or key)
    return {"offline": ProviderConfig("offline", "offline")} | named | {"openai": openai}


def _secrets(files: Sequence[ConfigFile], env: Environment) -> dict[str, str]:
    keys = {"OPENAI_API_KEY": env.openai_api_key, "ANTHROPIC_API_KEY": env.anthropic_api_key}
    own = {name: key.get_secret_value() for name, key in keys.items() if key}
    return own | {name: value for file in files for name, value in file.secrets.items()}


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


def _unknown_names(files: Sequence[ConfigFile], env: Environment) -> list[str]:
    servers = {name for file in files for name in file.servers}
    providers = _providers(files, env)
    for file in files:
        if file.model and (problem := _unusable(file.model, providers)):
            file.problems.add(("model",), problem)
        for name, profile in file.profiles.items():
            for number, server in enumerate(profile.servers):
                if server not in servers:
                    what = f"unknown server {server}{nearest(server, servers)}"
                    file.problems.add(("profiles", name, "servers", number), what)
            for fact, source in profile.facts.items():
                if source and source.server not in servers:
                    what = f"unknown server {source.server}{nearest(source.server, servers)}"
                    file.problems.add(("profiles", name, "facts", fact, "from", "server"), what)
    return [text for file in files for text in file.problems.texts()]
