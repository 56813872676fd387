"""`agent-host session`: the sessions of this home."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from host.arguments import UsageError
from host.commands.start import must_exist
from host.config import environment
from host.core.errors import StoreError
from host.core.text import safe, safe_json
from host.core.types import SessionRow
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
            write(safe(export_markdown(recorded), keep_newlines=True), options.output)
    return 0


def _list(home: Path, output: str) -> int:
    store = HostStore(home)
    try:
        rows = store.sessions()
    finally:
        store.close()
    if output == "text":
        write("".join(f"{line(row)}\n" for row in rows) or "no sessions yet\n", None)
    else:
        write(safe_json(json.dumps([asdict(row) for row in rows], ensure_ascii=False)) + "\n", None)
    return 0


def line(row: SessionRow) -> str:
    """A session as a line to choose from."""
    at = row.at[:16].replace("T", " ")
    return f"{safe(row.id)}  {safe(at)}  {row.state:11}  {safe(row.profile, 20):20}  {safe(row.title, 60)}".rstrip()


def _delete(home: Path, ids: Sequence[str]) -> int:
    store = HostStore(home)
    try:
        for id in ids:
            delete_log(home, id)
            store.forget(id)
            sys.stdout.write(f"deleted {id}\n")
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
    """To a file only its owner can read, or to stdout."""
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.touch(mode=0o600)
        output.write_text(text, "utf-8")
    except OSError as error:
        raise StoreError(f"{output}: cannot be written: {error.strerror}") from None
