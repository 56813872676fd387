"""`agent-host audit`: what was decided, by whom, and whether the record is as it was written."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from host.arguments import UsageError
from host.commands.session import EXPORTS, latest, write
from host.commands.start import must_exist
from host.config import environment
from host.core.text import safe_json
from host.frontends.plain import put_json, say
from host.store.audit import Only, audit_rows, load
from host.store.export import export_records, export_spans, masked
from host.store.log import verify
from host.store.shown import show_text

DAMAGED = 8


def main(options: argparse.Namespace) -> int:
    home = environment().state_folder
    if options.action == "verify":
        return _verify(home, options)
    for id in options.ids:
        must_exist(home, id)
    show = _show if options.action == "show" else _export
    told = "".join(show(home, id, options) for id in _wanted(home, options))
    write(told, options.output)
    return 0


def _wanted(home: Path, options: argparse.Namespace) -> list[str]:
    """The sessions that are named, else all or the latest."""
    if options.all:
        return sorted(path.stem for path in (home / "sessions").glob("*.db"))
    return options.ids or [latest(home)]


def _show(home: Path, id: str, options: argparse.Namespace) -> str:
    recorded = load(home, id)
    whole = not verify(home, id)[1]
    only = Only(options.server or "*", options.tool or "*", options.outcome or "")
    if options.json or options.output_format == "json":
        rows = [asdict(row) | {"verified": whole} for row in audit_rows(recorded) if only.takes(row)]
        return "".join(safe_json(json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
    return show_text(recorded, whole, None if only == Only() else only)


def _export(home: Path, id: str, options: argparse.Namespace) -> str:
    recorded = load(home, id)
    if options.mask and options.format != "jsonl":
        raise UsageError("--mask is for --format jsonl")
    if options.format != "jsonl":
        return {**EXPORTS, "otlp": export_spans}[options.format](recorded)
    lines = export_records(recorded)
    return "".join(f"{masked(line)}\n" for line in lines.splitlines()) if options.mask else lines


def _verify(home: Path, options: argparse.Namespace) -> int:
    if len(options.ids) > 1:
        raise UsageError("audit verify takes one ID, or none for all sessions")
    for id in options.ids:
        must_exist(home, id)
    intact, damages = verify(home, options.ids[0] if options.ids else None)
    if options.json or options.output_format == "json":
        found = {"intact": intact, "damaged": [asdict(damage) for damage in damages]}
        put_json(found)
    else:
        for damage in damages:
            say(f"{damage.session} seq {damage.seq}: {damage.kind}: {damage.detail}")
        damaged = {damage.session for damage in damages}
        say(f"{len(intact)} intact, {len(damaged)} damaged")
    return DAMAGED if damages else 0
