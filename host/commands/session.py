"""`agent-host session`: the sessions of this home."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from host.arguments import UsageError
from host.commands.start import must_exist
from host.config import environment
from host.core.errors import StoreError
from host.core.text import safe
from host.core.types import SessionRow
from host.frontends.plain import put_json, put_words, say
from host.store import audit
from host.store.export import export_json, export_jsonl, export_markdown
from host.store.host import HostStore
from host.store.log import delete_log

EXPORTS = {"md": export_markdown, "json": export_json, "jsonl": export_jsonl}


def main(options: argparse.Namespace) -> int:
    home = environment().state_folder
    if options.action == "list":
        return _list(home, options.output_format)
    ids = options.ids or ([latest(home)] if options.action != "delete" else [])
    if not ids:
        raise UsageError("session delete needs an ID; agent-host session list shows them")
    for id in ids:
        must_exist(home, id)
    if options.action == "delete":
        return _delete(home, ids)
    for id in ids:
        recorded = audit.load(home, id)
        if options.action == "export":
            write(EXPORTS[options.format](recorded), options.output)
        else:
            write(export_markdown(recorded), options.output)
    return 0


def _list(home: Path, output: str) -> int:
    store = HostStore(home)
    try:
        rows = store.sessions()
    finally:
        store.close()
    if output == "text":
        say(*map(line, rows) if rows else ["no sessions yet"])
    else:
        put_json([asdict(row) for row in rows])
    return 0


def line(row: SessionRow) -> str:
    """A session as a line to choose from."""
    at = row.at[:16].replace("T", " ")
    return f"{row.id}  {at}  {row.state:11}  {safe(row.profile, 20):20}  {safe(row.title, 60)}".rstrip()


def _delete(home: Path, ids: Sequence[str]) -> int:
    store = HostStore(home)
    try:
        for id in ids:
            delete_log(home, id)
            store.forget(id)
            say(f"deleted {id}")
    finally:
        store.close()
    return 0


def latest(home: Path) -> str:
    """The newest session. Raises UsageError where there is none."""
    store = HostStore(home)
    try:
        found = store.latest()
    finally:
        store.close()
    if found is None:
        raise UsageError("there is no session yet")
    return found


def write(text: str, output: Path | None) -> None:
    """To a file only its owner can read, or to stdout; made safe once more, which changes nothing that was."""
    text = safe(text, keep_newlines=True)
    if output is None:
        put_words(text)
        return
    try:
        output.touch(mode=0o600)
        output.write_text(text, "utf-8")
    except OSError as error:
        raise StoreError(f"{output}: cannot be written: {error.strerror}") from None
