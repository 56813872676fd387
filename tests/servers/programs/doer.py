#!/usr/bin/env python3
"""An MCP server (2026-07-28, no SDK) with one tool that does what its arguments say: doer.py WHAT [WITH]"""

import json
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path


def does(what, target=""):
    match what:
        case "speak":
            return "spoken"
        case "read":
            return Path(target).read_text()
        case "write":
            Path(target).write_text("written")
            return Path(target).read_text()
        case "sqlite":
            with sqlite3.connect(target) as db:
                db.execute("CREATE TABLE IF NOT EXISTS t(n)")
                db.execute("INSERT INTO t VALUES (42)")
                return str(db.execute("SELECT max(n) FROM t").fetchone()[0])
        case "git":
            return subprocess.check_output(["git", "status", "--porcelain"], text=True)
        case "fetch":
            with urllib.request.urlopen(target, timeout=10) as answer:
                return answer.read().decode()


def reply(id, **result):
    whole = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **result}
    print(json.dumps({"jsonrpc": "2.0", "id": id, "result": whole}), flush=True)


def main():
    for line in sys.stdin:
        match json.loads(line):
            case {"method": "server/discover", "id": id}:
                reply(id, supportedVersions=["2026-07-28"], capabilities={"tools": {}})
            case {"method": "tools/list", "id": id}:
                reply(id, tools=[{"name": "do", "inputSchema": {"type": "object"}}])
            case {"method": "tools/call", "id": id}:
                try:
                    reply(id, content=[{"type": "text", "text": does(*sys.argv[1:])}])
                except Exception as error:
                    reply(id, content=[{"type": "text", "text": f"{type(error).__name__}: {error}"}], isError=True)


if __name__ == "__main__":
    main()
