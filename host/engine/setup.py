"""What a session works with and does not log: today's profile and models, and the request that is in flight."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from host.core.settings import ModelProfile, Profile, ServerConfig
from host.core.state import State
from host.core.text import Secrets, Veil
from host.core.types import Grant, Text
from host.providers.base import Provider
from host.store.grants import GrantFile


@dataclass(frozen=True, slots=True)
class Model:
    """A provider ready to be asked: the provider's own name of the model and what is known of it."""

    provider: Provider
    name: str
    profile: ModelProfile


@dataclass(frozen=True, slots=True)
class Setup:
    """What a session runs with today: it is not in the log, a resumed session gets it anew. `lasting` are the grants
    that outlive sessions, `project` the folder that some of them are bound to."""

    profile: Profile
    model_for: Callable[[str], Awaitable[Model]]
    known_model: Callable[[str], str | None]
    note: Callable[[State], None]
    secrets: Secrets
    required: frozenset[str] = frozenset()
    grants: tuple[Grant, ...] = ()
    bypass: bool = False
    json_schema: Mapping[str, Any] | None = None
    patience: float | None = None
    servers: Mapping[str, ServerConfig] = field(default_factory=dict)
    lasting: GrantFile | None = None
    project: str = ""
    traced: bool = False


@dataclass(slots=True)
class Asking:
    """The model request in flight: what the feed shows of it, and what is logged should it be cut."""

    model: str
    request: dict[str, Any]
    texts: dict[int, str] = field(default_factory=dict)
    veils: dict[tuple[int, str], Veil] = field(default_factory=dict)

    def arrived(self) -> tuple[Text, ...]:
        """The text that had come when the request was cut; never a call."""
        return tuple(Text(text) for _, text in sorted(self.texts.items()) if text)
