"""The support demo's modules and servers, for tests: nothing of it stays behind in the interpreter."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

from mcp import StdioServerParameters

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "scripts" / "demos" / "customer_support"
KEY = "io.agent-host/idempotency-key"


def demo_module(name):
    """A module of the demo. Its neighbours have everyday names, so they are forgotten again."""
    own = {path.stem for path in DEMO.glob("*.py")}
    sys.path.insert(0, str(DEMO))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(DEMO))
        for other in own:
            sys.modules.pop(other, None)


def server(name, db, *options):
    args = [str(DEMO / f"{name}_server.py"), "--db", str(db), *options]
    return StdioServerParameters(command=sys.executable, args=args)


def replace_db(fresh, db):
    """A fresh database in the place of a used one, while no call is running."""
    for end in ("", "-wal", "-shm"):
        db.with_name(db.name + end).unlink(missing_ok=True)
    shutil.copy(fresh, db)
