"""Where what travels with the program lies: servers.toml, prompts/ and scripts/demos/."""

from __future__ import annotations

from pathlib import Path


def share() -> Path:
    """The repository's root in a checkout, `host/_share` in an installed package."""
    packed = Path(__file__).parent / "_share"
    return packed if packed.is_dir() else Path(__file__).parent.parent


def base_prompt() -> str:
    """What every profile's prompt begins with."""
    path = share() / "prompts" / "base.md"
    return path.read_text("utf-8").strip() if path.is_file() else ""
