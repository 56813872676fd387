"""Where spans are sent, by the standard variables of OpenTelemetry. Off unless they name a collector."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from host import __version__
from host.config.environment import Environment
from host.core.settings import Collector

SPOKEN = "http/json"


def collector(env: Environment) -> Collector | None:
    """The collector that the environment names; None: nothing is sent."""
    url = address(env)
    if url is None or why_not(env):
        return None
    named = pairs(env.otel_resource_attributes)
    service = env.otel_service_name or named.get("service.name") or "agent-host"
    resource = named | {"service.name": service, "service.version": __version__}
    return Collector(url, headers(env), resource, env.otel_instrumentation_genai_capture_message_content)


def address(env: Environment) -> str | None:
    """Where spans are to go; the general address is one for all signals, and each has its path there."""
    if env.otel_exporter_otlp_traces_endpoint or not env.otel_exporter_otlp_endpoint:
        return env.otel_exporter_otlp_traces_endpoint
    return env.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"


def why_not(env: Environment) -> str:
    """Why nothing is sent though a collector is named; empty where nothing stands against it."""
    protocol = env.otel_exporter_otlp_traces_protocol or env.otel_exporter_otlp_protocol or SPOKEN
    if env.otel_sdk_disabled:
        return "OTEL_SDK_DISABLED is set"
    if env.otel_traces_exporter not in (None, "otlp"):
        return f"OTEL_TRACES_EXPORTER is {env.otel_traces_exporter}"
    if not usable(address(env) or ""):
        return "OTEL_EXPORTER_OTLP_ENDPOINT is no http address"
    if not protocol.startswith("http/"):
        return f"{protocol} is not spoken here: name an address that takes OTLP over HTTP and set the protocol {SPOKEN}"
    return ""


def told(env: Environment) -> str:
    """Whether spans are sent, and where to or why not, for a person to read."""
    if address(env) is None:
        return "off"
    to = collector(env)
    return f"spans go to {to.place}" if to else f"off, for {why_not(env)}"


def usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def headers(env: Environment) -> Mapping[str, str]:
    """What goes with every export; their values are secrets."""
    given = env.otel_exporter_otlp_traces_headers or env.otel_exporter_otlp_headers
    return pairs(given.get_secret_value() if given else None)


def pairs(text: str | None) -> dict[str, str]:
    """`a=1,b=two%20words` as the standard writes it."""
    split = (pair.partition("=") for pair in (text or "").split(",") if "=" in pair)
    return {name.strip(): unquote(value.strip()) for name, _, value in split}
