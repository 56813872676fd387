"""A question of a session put to whoever sits at the terminal, as plain lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from host.core import events as ev
from host.core.schema import arguments_problem
from host.frontends.plain import line_after, show, yes


def answer(asked: ev.Asked) -> ev.Answer:
    """Ask and wait; whatever is not plainly a yes declines."""
    match asked.about:
        case "approval":
            how = f"{asked.effect}, {'open' if asked.open else 'closed'}; {asked.reason}"
            arguments = json.dumps(asked.arguments, indent=2)
            show(f"{asked.server} is to run {asked.remote_name} ({how}) with", *arguments.split("\n"))
            return ev.Answer("accept" if yes("Run it? [y/N] ") else "decline", asked.request_id)
        case "url":
            show(f"{asked.server} wants you to open an address: {asked.message or ''}", f"  {asked.url}")
            return ev.Answer("accept" if yes("Did you open it? [y/N] ") else "decline", asked.request_id)
        case "sign_in":
            show(f"{asked.server} wants you to {asked.message or 'sign in'}:", f"  {asked.url}")
            line = line_after("Press Enter when you have, or paste the address it ended at; n declines: ", fresh=False)
            if not line or line.strip().lower() in ("n", "no"):
                return ev.Answer("decline", asked.request_id)
            return ev.Answer("accept", asked.request_id, content={"address": line.strip()} if line.strip() else None)
        case "form":
            content = form(asked)
            return ev.Answer("decline" if content is None else "accept", asked.request_id, content=content)
    return ev.Answer("decline", asked.request_id)


def form(asked: ev.Asked) -> dict[str, Any] | None:
    """A form, a line for each field; None where it was not filled in."""
    schema = asked.schema or {}
    show(f"{asked.server} asks: {asked.message or ''}")
    if not yes("Answer it? [y/N] "):
        return None
    content: dict[str, Any] = {}
    for name, field in (schema.get("properties") or {}).items():
        choices = field.get("enum") or ""
        default = field.get("default")
        question = f"{field.get('title') or name} ({field.get('type')}) {choices} [{default or ''}]: "
        typed = line_after(question, fresh=False).strip()
        if typed or default is not None:
            content[name] = value_of(typed, field) if typed else default
    if problem := arguments_problem(schema, content):
        show(f"that does not fit: {problem}")
        return None
    return content


def value_of(typed: str, field: Mapping[str, Any]) -> Any:
    """What was typed, as the field's type: all but texts are JSON."""
    if field.get("type") == "string":
        return typed
    try:
        return json.loads(typed)
    except ValueError:
        return typed
