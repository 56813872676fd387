"""What an accepted servers.lock saves: scripts/bench locked [--reps N]

From the spawn to the first model request in milliseconds, without a lock and with one, for a server that begins at
once and for one that takes a second. Medians of runs in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from compare import CONFIG, SERVER
from model_server import ModelServer, Say

SLOW = ["/bin/sh", "-c", 'sleep 1; exec "$@"', "sh", *SERVER]


def prepared(folder: Path, base_url: str, server: list[str], locked: bool) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of a run in a new home."""
    config = folder / "servers.toml"
    values = {
        "wire": "responses",
        "base_url": base_url,
        "command": json.dumps(server[0]),
        "args": json.dumps(server[1:]),
    }
    config.write_text(CONFIG.format(**values))
    env = {**os.environ, "AGENT_HOST_HOME": str(folder / "state")}
    program = [sys.executable, "-m", "host"]
    options = ["--config", str(config), "--trust"]
    if locked:
        subprocess.run([*program, "lock", *options], env=env, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return [*program, "run", "go", *options], env


def cold(server: list[str], locked: bool) -> float:
    with tempfile.TemporaryDirectory() as folder, ModelServer(lambda body: [Say("done")]) as model:
        command, env = prepared(Path(folder), model.base_url, server, locked)
        began = time.monotonic()
        subprocess.run(command, env=env, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return (model.times[0][0] - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=5, help="counted runs of each kind (default 5)")
    options = parser.parse_args()
    kinds = {"at once": SERVER, "after 1 s": SLOW}
    found: dict[tuple[str, bool], list[float]] = {}
    for rep in range(options.reps + 1):
        for name, server in kinds.items():
            for locked in (False, True):
                figure = cold(server, locked)
                if rep:  # the first round warms files up
                    found.setdefault((name, locked), []).append(figure)
    print(f"{'server begins':16}{'no lock':>10}{'locked':>10}")
    for name in kinds:
        print(f"{name:16}{median(found[name, False]):10.0f}{median(found[name, True]):10.0f}")


if __name__ == "__main__":
    main()
