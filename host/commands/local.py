"""A model server found on this machine is used only after a person agreed to it, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from host.config.local import Local, look
from host.consent import ask_in_terminal
from host.core.settings import Config
from host.store.host import HostStore

QUESTION = "Use it? Type yes to agree, Enter to go on offline; you will not be asked again: "


def detected(config: Config, asks: bool) -> tuple[tuple[str, str] | None, list[str]]:
    """The model of a server found here that the user agreed to, with why; and notices for what is not used.

    `asks` is whether there is a person to ask. Nobody is asked twice about one address.
    """
    found = look(config.providers)
    if not found:
        return None, []
    answers = _Answers(config.home)
    try:
        return _chosen(found, answers, asks)
    finally:
        answers.close()


def _chosen(found: Sequence[Local], answers: _Answers, asks: bool) -> tuple[tuple[str, str] | None, list[str]]:
    notices: list[str] = []
    for local in found:
        if answers.given(local, "no"):
            continue
        if answers.given(local, "yes") or (asks and answers.ask(local)):
            return (local.model, f"{local.title} answers at {local.base_url}, and you agreed to use it"), notices
        if not asks:
            offer = f"{local.title} answers at {local.base_url}; to use it: --model {local.model}"
            notices.append(offer)
    return None, notices


class _Answers:
    """What was said of servers found here, kept among the consents."""

    def __init__(self, home: Path) -> None:
        self._store = HostStore(home)

    def given(self, local: Local, answer: str) -> bool:
        return self._store.consented(_subject(local), answer)

    def ask(self, local: Local) -> bool:
        more = f" and {len(local.models) - 1} more" if len(local.models) > 1 else ""
        text = [
            f"No model is configured and no key is set, but {local.title} answers at {local.base_url}",
            f"with the model {local.models[0]}{more}. What you and the tools say would be sent to it.",
        ]
        agreed = ask_in_terminal(text, QUESTION)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._store.consent(_subject(local), "yes" if agreed else "no", at)
        return agreed

    def close(self) -> None:
        self._store.close()


def _subject(local: Local) -> str:
    return f"model server {local.base_url}"
