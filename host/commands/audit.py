"""`agent-host audit`: what was decided, by whom, and whether the record is as it was written."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from host.arguments import UsageError
from host.commands.session import EXPORTS, loaded, write
from host.commands.start import must_exist
from host.config import environment
from host.core.text import safe
from host.store import audit
from host.store.log import verify

DAMAGED = 8


def main(options: argparse.Namespace) -> int:
    home = environment().state_folder
    if options.action == "verify":
        return _verify(home, options)
    for recorded in loaded(home, options.ids):
        if options.action == "export":
            write(EXPORTS[options.format](recorded), options.output)
        else:
            whole = not verify(home, recorded[0].session)[1] if recorded else None
            write(audit.show_text(recorded, whole), options.output)
    return 0


def _verify(home: Path, options: argparse.Namespace) -> int:
    if len(options.ids) > 1:
        raise UsageError("audit verify takes one ID, or none for all sessions")
    for id in options.ids:
        must_exist(home, id)
    intact, damages = verify(home, options.ids[0] if options.ids else None)
    if options.json or options.output_format == "json":
        found = {"intact": intact, "damaged": [asdict(damage) for damage in damages]}
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    else:
        for damage in damages:
            sys.stdout.write(f"{safe(damage.session)} seq {damage.seq}: {damage.kind}: {safe(damage.detail)}\n")
        damaged = {damage.session for damage in damages}
        sys.stdout.write(f"{len(intact)} intact, {len(damaged)} damaged\n")
    return DAMAGED if damages else 0
