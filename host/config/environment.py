"""What the environment says to the host, and which folders follow from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from host.core.errors import ConfigError

ADMIN_FILE = Path("/etc/agent-host/servers.toml")
FILE_NAME = "servers.toml"


NOT_A_KEY = "a key is one line of ASCII"


def _key(given: SecretStr) -> SecretStr:
    if not is_key(given.get_secret_value()):
        raise ValueError(NOT_A_KEY)
    return given


def is_key(text: str) -> bool:
    """Whether a header can carry it."""
    return text.isascii() and text.isprintable()


Key = Annotated[SecretStr, AfterValidator(_key)]


class Environment(BaseSettings):
    """The variables the host reads; an empty one counts as unset."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    agent_host_home: Path | None = None
    agent_host_admin: Path | None = None
    agent_host_model: str | None = None
    agent_host_trust: bool = False
    xdg_config_home: Path | None = None
    xdg_state_home: Path | None = None
    openai_api_key: Key | None = None
    openai_base_url: str | None = None
    anthropic_api_key: Key | None = None
    anthropic_base_url: str | None = None
    otel_sdk_disabled: bool = False
    otel_traces_exporter: str | None = None
    otel_exporter_otlp_endpoint: str | None = None
    otel_exporter_otlp_traces_endpoint: str | None = None
    otel_exporter_otlp_protocol: str | None = None
    otel_exporter_otlp_traces_protocol: str | None = None
    otel_exporter_otlp_headers: SecretStr | None = None
    otel_exporter_otlp_traces_headers: SecretStr | None = None
    otel_service_name: str | None = None
    otel_resource_attributes: str | None = None
    otel_instrumentation_genai_capture_message_content: bool = False

    @property
    def state_folder(self) -> Path:
        """Sessions, host.db and caches."""
        if self.agent_host_home:
            return self.agent_host_home.expanduser().absolute()
        return _xdg(self.xdg_state_home, ".local/state")

    @property
    def user_file(self) -> Path:
        if self.agent_host_home:
            return self.state_folder / FILE_NAME
        return _xdg(self.xdg_config_home, ".config") / FILE_NAME


def environment() -> Environment:
    """Read the environment. Raises ConfigError naming the variable."""
    try:
        return Environment()
    except ValidationError as error:
        wrong = [
            f"environment: {str(e['loc'][0]).upper()}: {e['msg'].lower().removeprefix('value error, ')}"
            for e in error.errors()
        ]
        raise ConfigError(*wrong) from None


def _xdg(folder: Path | None, default: str) -> Path:
    """The host's folder in an XDG place. The standard says that a relative value is to be ignored."""
    base = folder if folder and folder.is_absolute() else Path.home() / default
    return base / "agent-host"
