"""What could be meant by a word that is being typed: commands, prompts and their arguments, resources and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anyio

from host.core.errors import HostError
from host.frontends.tui.commands import label, matching
from host.frontends.tui.link import Link
from host.frontends.tui.mentions import Typed, best, fitting, hole, prompt, quoted

SHOWN = 8
DEBOUNCE = 0.15
"""Seconds without a key before a server is asked for values."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`text` takes the place of what was typed; where `more` has to be typed behind it, Enter does not send it yet."""

    text: str
    note: str = ""
    key: str = ""
    hint: str = ""
    more: bool = False


def commands(word: str) -> list[Choice]:
    """Our own; they are known at once."""
    return [
        Choice(f"/{c.name}", c.help, label(c.keys[0]) if c.keys else "", c.argument, bool(c.argument))
        for c in matching(word)
    ]


async def choices(link: Link, typed: Typed, text: str) -> list[Choice]:
    """All that fits, as far as servers answer. Who types on cancels it."""
    match typed.kind:
        case "command":
            prompts = [
                each for server, items in (await link.lists("prompts")).items() for each in _prompts(server, items)
            ]
            found = [*commands(typed.word), *(each for each in prompts if fitting(typed.word, each.text))]
            return best((begins(each, typed.word), each) for each in found)
        case "argument":
            return await _arguments(link, typed.word, text[: typed.start])
        case "mention":
            return await _mentions(link, typed.word)


def _prompts(server: str, items: list[Any]) -> Iterator[Choice]:
    for one in items:
        takes = [_argument(each) for each in one.get("arguments") or ()]
        about = str(one.get("description") or one.get("title") or "")
        yield Choice(f"/{server}:{one.get('name')}", about, hint=" ".join(takes), more=bool(takes))


def begins(choice: Choice, word: str) -> bool:
    """Whether a command, a prompt's name or its server's begins so."""
    return any(name.startswith(word) for name in (choice.text[1:], choice.text.rpartition(":")[2]))


def _argument(one: dict[str, Any]) -> str:
    return f"{one.get('name')}" if one.get("required") else f"[{one.get('name')}]"


async def _arguments(link: Link, word: str, before: str) -> list[Choice]:
    """Names that have no value yet; behind a name the values that the server proposes."""
    chosen = prompt(before)
    if chosen is None:
        return []
    prompts = (await link.lists("prompts")).get(chosen.server, [])
    takes = [one.get("arguments") or [] for one in prompts if one.get("name") == chosen.name]
    name, equals, value = word.partition("=")
    if equals:
        ref = {"type": "ref/prompt", "name": chosen.name}
        values = await _values(link, chosen.server, ref, name, value, chosen.given)
        return [Choice(quoted(name, each)) for each in values]
    free = [
        one
        for one in (takes[0] if takes else [])
        if one.get("name") not in chosen.given and fitting(word or "", one.get("name"))
    ]
    return [
        Choice(
            f"{one.get('name')}=",
            f"{'required · ' if one.get('required') else ''}{one.get('description') or ''}",
            more=True,
        )
        for one in free
    ]


async def _values(link: Link, server: str, ref: dict[str, str], name: str, value: str, given: Any) -> list[str]:
    await anyio.sleep(DEBOUNCE)
    try:
        return await link.complete(server, ref, name, value, given)
    except HostError:
        return []  # it is a help, and its absence is no news


async def _mentions(link: Link, word: str) -> list[Choice]:
    """Resources of servers, then files. Behind `server:` only what this one has, with values for its templates."""
    server, colon, uri = word.partition(":")
    resources, templates = await link.lists("resources"), await link.lists("resource_templates")
    if colon and server in link.view.servers:
        filled = [each for one in templates.get(server, []) for each in await _filled(link, server, one, uri)]
        return [*best(_resources(server, resources.get(server, []), uri)), *filled]
    found = best(pair for name, items in resources.items() for pair in _resources(name, items, word))
    found += best((True, each) for name, items in templates.items() for each in _templates(name, items, word))
    linked = [
        Choice(f"@{name}:{uri}", f"{title} · named in a result") for (name, uri), title in link.view.links.items()
    ]
    found += [each for each in linked if fitting(word, each.text, each.note)]
    room = max(SHOWN - len(found), 2)
    files = [Choice(f"@{name}", "file", more=name.endswith("/")) for name in await link.files(word)]
    return [*found[: SHOWN - min(room, len(files))], *files[:room]]


def _resources(server: str, items: list[Any], word: str) -> Iterator[tuple[bool, Choice]]:
    for one in items:
        uri, name = str(one.get("uri")), str(one.get("title") or one.get("name") or "")
        if fitting(word, f"{server}:{uri}", name):
            about = " · ".join(str(text) for text in (name, one.get("mimeType"), one.get("description")) if text)
            yield uri.startswith(word) or name.lower().startswith(word.lower()), Choice(f"@{server}:{uri}", about)


def _templates(server: str, items: list[Any], word: str) -> Iterator[Choice]:
    for one in items:
        template = str(one.get("uriTemplate"))
        if fitting(word, f"{server}:{template}", one.get("name")):
            fixed = template.partition("{")[0]
            about = str(one.get("description") or one.get("name") or "")
            yield Choice(f"@{server}:{fixed}", f"{about} · {template}", more=True)


async def _filled(link: Link, server: str, one: dict[str, Any], uri: str) -> list[Choice]:
    """A template with a value for the place at which somebody types."""
    template = str(one.get("uriTemplate"))
    place = hole(template, uri)
    if place is None:
        return list(_templates(server, [one], uri)) if template.startswith(uri) else []
    ref = {"type": "ref/resource", "uri": template}
    values = await _values(link, server, ref, place.name, place.value, place.given)
    rest = template.partition(f"{{{place.name}}}")[2]
    return [
        Choice(f"@{server}:{place.before}{value}{rest.partition('{')[0]}", template, more="{" in rest)
        for value in values
    ]
