"""Which parts a model can be shown, and what it is told of the others."""

from __future__ import annotations

from host.core.settings import ModelProfile
from host.core.types import Blob

KINDS = ("image/png", "image/jpeg", "image/gif", "image/webp")


def shows(part: Blob, profile: ModelProfile) -> bool:
    """Whether the model takes this picture. Other kinds than these four no provider takes."""
    return profile.images and part.media_type in KINDS


def not_shown(part: Blob) -> str:
    return f"[{part.media_type}, not shown: this model cannot take it]"
