"""Model servers on this machine: where they usually listen, and which of them answers now. Only 127.0.0.1 is asked."""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from host.core.settings import ProviderConfig

PATIENCE = 0.15
"""Seconds for all of them together. Where nothing listens the answer comes at once."""
LONGEST = 1_000_000
HERE = "127.0.0.1"
USUAL: Mapping[str, tuple[str, int]] = {
    "ollama": ("Ollama", 11434),
    "lmstudio": ("LM Studio", 1234),
    "llamacpp": ("llama.cpp", 8080),
    "jan": ("Jan", 1337),
    "vllm": ("vLLM", 8000),
}
_NO_CHAT = ("embed", "rerank", "whisper", "tts")


@dataclass(frozen=True, slots=True)
class Local:
    """A server that answered, and its models that can chat, in its own order."""

    provider: str
    title: str
    base_url: str
    models: tuple[str, ...]

    @property
    def model(self) -> str:
        return f"{self.provider}/{self.models[0]}"


def providers() -> dict[str, ProviderConfig]:
    """The providers that need no entry in a file: `--model ollama/NAME` just works."""
    return {name: ProviderConfig(name, "chat", f"http://{HERE}:{port}/v1") for name, (_, port) in USUAL.items()}


@dataclass(slots=True)
class _Asked:
    """One request on its way."""

    socket: socket.socket
    address: str
    got: bytearray = field(default_factory=bytearray)


def look(known: Mapping[str, ProviderConfig], patience: float = PATIENCE) -> list[Local]:
    """Ask all usual places at once which models they have; those that answer in time, in the usual order."""
    deadline = monotonic() + patience
    waiting = {name: asked for name in USUAL if name in known and (asked := _ask(known[name])) is not None}
    try:
        with selectors.DefaultSelector() as selector:
            for asked in waiting.values():
                selector.register(asked.socket, selectors.EVENT_WRITE, asked)
            while selector.get_map() and (left := deadline - monotonic()) > 0:
                for key, _ in selector.select(left):
                    _move_on(selector, key.data)
        return [local for name, asked in waiting.items() if (local := _read(name, asked)) is not None]
    finally:
        for asked in waiting.values():
            asked.socket.close()


def _ask(provider: ProviderConfig) -> _Asked | None:
    """Begin to connect; None for an address that is not on this machine, or where nothing listens."""
    url = urlsplit(provider.base_url or "")
    if provider.wire != "chat" or url.scheme != "http" or url.hostname != HERE:
        return None
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.connect_ex((HERE, url.port or 80))
    except OSError:
        made.close()
        return None
    return _Asked(made, provider.base_url or "")


def _move_on(selector: selectors.BaseSelector, asked: _Asked) -> None:
    """Connected: send the request. Readable: take what came. Ended or failed: it is not waited for any more."""
    try:
        if selector.get_key(asked.socket).events == selectors.EVENT_WRITE:
            path = urlsplit(asked.address).path.rstrip("/")
            request = f"GET {path}/models HTTP/1.0\r\nHost: {HERE}\r\nAccept: application/json\r\n\r\n"
            asked.socket.send(request.encode())
            selector.modify(asked.socket, selectors.EVENT_READ, asked)
            return
        part = asked.socket.recv(65_536)
        asked.got += part
        if not part or len(asked.got) > LONGEST or _models(asked.got) is not None:
            selector.unregister(asked.socket)
    except OSError:
        selector.unregister(asked.socket)


def _read(name: str, asked: _Asked) -> Local | None:
    models = _models(asked.got)
    return Local(name, USUAL[name][0], asked.address, models) if models else None


def _models(got: bytes | bytearray) -> tuple[str, ...] | None:
    """The models of a whole answer of the kind that OpenAI's API gives; None for anything else, or not yet whole."""
    head, _, body = bytes(got).partition(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0] + b" ":
        return None
    try:
        found: Any = json.loads(body)
        names = [one["id"] for one in found["data"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return tuple(
        name for name in names if isinstance(name, str) and name and not any(w in name.lower() for w in _NO_CHAT)
    )
