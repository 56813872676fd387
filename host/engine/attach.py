"""What a person may put beside their words: resources and prompts of servers, files. It is read before it is said."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from host.core.errors import HostError
from host.core.outline import Outline, Rest, read
from host.core.told import content_parts
from host.core.types import Attached, Blob, Contents, Large, Text

if TYPE_CHECKING:
    from host.engine.session import Session

TEXT, BYTES = 1_000_000, 4_000_000
"""The longest text and the largest picture that can be attached."""
SHOWN = 200
PICTURES = {b"\x89PNG\r\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}
Read = tuple[Attached, tuple[Text | Blob, ...]]


async def attachment(session: Session, what: Mapping[str, Any]) -> Read:
    """What is named by {server, uri}, {server, prompt, arguments} or {file}, and its parts. Raises HostError."""
    match what:
        case {"server": str(server), "uri": str(uri)}:
            parts = resource_parts(await session.servers.read_resource(server, uri), server, uri)
            return Attached("resource", uri, server, len(parts)), parts
        case {"server": str(server), "prompt": str(name)}:
            given = {str(key): str(value) for key, value in (what.get("arguments") or {}).items()}
            parts = prompt_parts(await session.servers.get_prompt(server, name, given))
            return Attached("prompt", name, server, len(parts), given or None), parts
        case {"file": str(path)}:
            return Attached("file", path), (await to_thread.run_sync(file_part, path),)
    raise HostError("what is attached is named by server and uri, by server and prompt, or by file")


def resource_parts(contents: Contents, server: str, uri: str) -> tuple[Text | Blob, ...]:
    """What was read of a resource. Of one too large to be parsed here, its beginning and end. Raises HostError."""
    if isinstance(contents, Large):
        more = f'host__read_resource(server="{server}", uri="{uri}") reads it whole'
        return tuple(_abridged(part, more) for part in read(contents.outline) if not isinstance(part, Rest))
    return small(content_parts(tuple({"type": "resource", "resource": each} for each in contents), None), uri)


def _abridged(part: Text | Blob | Outline, more: str) -> Text | Blob:
    if isinstance(part, Outline):
        hidden = part.characters - len(part.head) - len(part.tail)
        return Text(f"{part.head}\n[… {hidden} characters not shown; {part.shape}; {more} …]\n{part.tail}")
    return part


def prompt_parts(filled: Mapping[str, Any]) -> tuple[Text | Blob, ...]:
    """The messages of a prompt in their order; who is to have said one is told where it is not the user."""
    parts: list[Text | Blob] = []
    for message in filled["messages"]:
        for part in content_parts((message["content"],), None):
            spoken = isinstance(part, Text) and message.get("role") != "user"
            parts.append(Text(f"{message.get('role')}: {part.text}") if spoken and isinstance(part, Text) else part)
    return small(parts, "the prompt")


def small(parts: list[Text | Blob], what: str) -> tuple[Text | Blob, ...]:
    """The same parts. Raises HostError where one is too large to be said."""
    for part in parts:
        size, most = (len(part.text), TEXT) if isinstance(part, Text) else (len(part.data) * 3 // 4, BYTES)
        if size > most:
            raise HostError(f"{what} is too large to be attached: {size} of at most {most} bytes")
    return tuple(parts)


def file_part(path: str) -> Text | Blob:
    """A text file or a picture. Raises HostError."""
    try:
        place = Path(path).expanduser()
        if not place.is_file():  # a pipe would be waited for
            raise HostError(f"{path} is no file")
        with place.open("rb") as file:
            data = file.read(BYTES + 1)
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from None
    kind = next((kind for magic, kind in PICTURES.items() if data.startswith(magic)), None)
    if kind is not None:
        return small([Blob(kind, base64.b64encode(data).decode())], path)[0]
    try:
        return small([Text(data.decode())], path)[0]
    except UnicodeDecodeError:
        raise HostError(f"{path} is neither text nor a picture; a server can read it") from None


def files(prefix: str) -> list[str]:
    """The files and folders (which end in a slash) that begin so, a folder at a time; hidden ones only if asked for."""
    folder, _, start = prefix.rpartition("/")
    try:
        found = sorted(_entries(Path(f"{folder}/" if folder or prefix.startswith("/") else ".").expanduser(), start))
    except OSError:
        return []
    return [f"{folder}/{name}" if folder or prefix.startswith("/") else name for name in found[:SHOWN]]


def _entries(folder: Path, start: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(start) and (start or not entry.name.startswith(".")):
                yield f"{entry.name}/" if entry.is_dir() else entry.name
