"""What the doctor sees of the model: is its endpoint there, does it list the model, and do tool calls come back."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from host.commands.providers import Providers
from host.core.errors import HostError
from host.core.settings import Config, Profile, ProviderConfig
from host.core.types import Message, Text, ToolCall, ToolSpec
from host.providers.base import Request

PATIENCE = 10.0
PROBE_PATIENCE = 60.0
ANSWER = 512
LONGEST = 5_000_000
OWN_ADDRESS = {"responses": "https://api.openai.com/v1", "chat": "https://api.openai.com/v1"}
ANTHROPIC, ANTHROPIC_VERSION = "https://api.anthropic.com/v1", "2023-06-01"
WORD = "harbour"
NO_CALL = 'it answered in words and called nothing; on the chat wire, try tool_mode = "schema" for this model'
TOOL = ToolSpec(
    "probe__repeat",
    "probe",
    "repeat",
    "Repeat a word. Call this to answer.",
    {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"], "additionalProperties": False},
    effect="read",
    open=False,
    confirmed=True,
)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes to the address that was written, and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


async def checked(config: Config, model: str, probe: bool) -> dict[str, Any]:
    """What is true of the model's endpoint. `reachable`, `listed` and `tools` are None where it was not tried."""
    name, _, own = model.partition("/")
    provider = config.providers[name]
    found: dict[str, Any] = {"provider": name, "wire": provider.wire, "base_url": None, "key": bool(provider.api_key)}
    found |= {"reachable": None, "listed": None, "models": None, "milliseconds": None, "tools": None, "detail": ""}
    if provider.wire == "offline":
        return found
    found |= await to_thread.run_sync(partial(_listing, provider, own), abandon_on_cancel=True)
    if probe:
        found["tools"] = await _probed(config, model)
    return found


def address(provider: ProviderConfig) -> str:
    return provider.base_url or OWN_ADDRESS.get(provider.wire, ANTHROPIC)


def _listing(provider: ProviderConfig, own: str) -> dict[str, Any]:
    """Ask for the list of models, which costs nothing."""
    base = address(provider)
    found: dict[str, Any] = {"base_url": base}
    request = urllib.request.Request(f"{base}/models", headers=_headers(provider))
    began = monotonic()
    try:
        with _opener(base).open(request, timeout=PATIENCE) as answer:
            body = answer.read(LONGEST)
    except urllib.error.HTTPError as error:
        refused = error.code in (401, 403)
        said = "the key was refused" if refused and provider.api_key else "a key is missing" if refused else "no list"
        # A server may have no list of models and still answer; a refused key answers nothing.
        return found | {"reachable": not refused, "detail": f"{said} (HTTP {error.code})"}
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return found | {"reachable": False, "detail": f"no connection ({reason}); check base_url and that it runs"}
    found |= {"reachable": True, "milliseconds": round((monotonic() - began) * 1000)}
    try:
        names = [one["id"] for one in json.loads(body)["data"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return found | {"detail": "what it lists is not a list of models; base_url ends with the version (/v1)"}
    listed = own in names or f"{own}:latest" in names
    # Lists come in pages and leave out aliases: a model that is not in one may still be there.
    detail = "" if listed else f"{own} is not among the {len(names)} models that it lists"
    return found | {"listed": listed, "models": len(names), "detail": detail}


def _headers(provider: ProviderConfig) -> Mapping[str, str]:
    key = provider.api_key
    if provider.wire == "messages":
        return {"anthropic-version": ANTHROPIC_VERSION} | ({"x-api-key": key} if key else {})
    return {"Authorization": f"Bearer {key}"} if key else {}


def _opener(base: str) -> urllib.request.OpenerDirector:
    """This machine is never asked through a proxy."""
    here = urlsplit(base).hostname in ("127.0.0.1", "localhost", "::1")
    proxies = [urllib.request.ProxyHandler({})] if here else []
    return urllib.request.build_opener(_NoRedirect, *proxies)


async def _probed(config: Config, model: str) -> dict[str, Any]:
    """One tiny real request: does the model answer with a call of the tool that it is given?"""
    providers = Providers(config)
    began = monotonic()
    try:
        with anyio.fail_after(PROBE_PATIENCE):
            provider, own, _ = await providers.of(model, Profile("doctor", ()))
            asked = Message("user", (Text(f"Call the tool {TOOL.name} with the word {WORD}. Say nothing else."),), 1)
            reply = await provider.ask(Request(own, "", (asked,), (TOOL,), max_output=ANSWER), lambda delta: None)
    except HostError as error:
        return {"works": False, "detail": str(error)}
    except TimeoutError:
        return {"works": False, "detail": f"no answer within {PROBE_PATIENCE:g} s"}
    finally:
        with anyio.CancelScope(shield=True):
            await providers.close()
    calls = [part for part in reply.parts if isinstance(part, ToolCall)]
    right = any(call.name == TOOL.name and call.arguments == {"word": WORD} for call in calls)
    detail = "" if right else "it called wrongly" if calls else NO_CALL
    took = round((monotonic() - began) * 1000)
    return {
        "works": right,
        "detail": detail,
        "milliseconds": took,
        "tokens": reply.usage.tokens,
        "usd": reply.usage.usd,
    }
