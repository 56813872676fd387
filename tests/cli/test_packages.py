"""Servers that come out of a package: fetched once with a yes, pinned, and started from where they lie."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from host.core.packages import package_of

ROOT = Path(__file__).parent.parent.parent
SERVER = ROOT / "tests" / "run" / "turning_server.py"
# Both registries' clients, as far as they are used: the latest version stands in a file.
NPM = """#!{python}
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
with open(here / "asked", "a") as asked:
    asked.write(" ".join(sys.argv[1:2]) + "\\n")
if sys.argv[1] == "view":
    print(json.dumps((here / "latest").read_text()))
else:
    folder, (name, _, version) = Path(sys.argv[3]) / "node_modules", sys.argv[-1].rpartition("@")
    (folder / name).mkdir(parents=True)
    (folder / ".bin").mkdir()
    (folder / name / "package.json").write_text(json.dumps({{"bin": {{"some-server": "cli.js"}}}}))
    program = folder / ".bin" / "some-server"
    program.write_text("#!{python}\\nimport os, runpy\\n"
        f"os.environ['VERSION'] = '{{version}}'\\nrunpy.run_path('{server}', run_name='__main__')\\n")
    program.chmod(0o755)
"""


class Desk:
    """A home, a registry's client, and the program."""

    def __init__(self, folder):
        self.folder, self.bin, self.home = folder, folder / "bin", folder / "home"
        self.bin.mkdir()
        self.file = self.home / "servers.toml"
        (self.bin / "npm").write_text(NPM.format(python=sys.executable, server=SERVER))
        (self.bin / "npm").chmod(0o755)
        (folder / "tools").write_text(json.dumps([{"name": "look", "inputSchema": {"type": "object"}}]))
        self.latest("1.4.0")

    def latest(self, version):
        (self.bin / "latest").write_text(version)

    def asked(self):
        return (self.bin / "asked").read_text().split() if (self.bin / "asked").exists() else []

    def run(self, *words, code=0):
        env = {"PATH": f"{self.bin}:/bin:/usr/bin", "HOME": str(self.folder), "AGENT_HOST_HOME": str(self.home)}
        done = subprocess.run(
            [sys.executable, "-m", "host", *words], cwd=self.folder, env=env | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def env_of(desk):
    return [f"--env={name}={desk.folder / name.lower()}" for name in ("TOOLS", "NOTES")]


def test_a_package_is_fetched_once_after_a_yes_and_started_at_that_version_from_where_it_lies(desk):
    words = ("mcp", "add", "some", *env_of(desk), "--", "npx", "-y", "@x/some-server", "--flag")
    desk.run(*words, code=3)
    assert desk.asked() == []
    told = desk.run(*words[:2], "--trust", *words[2:])
    assert "fetched @x/some-server 1.4.0" in told.stderr
    entry = tomllib.loads(desk.file.read_text())["mcp_servers"]["some"]
    assert (entry["command"], entry["args"]) == ("npx", ["-y", "@x/some-server@1.4.0", "--flag"])
    desk.file.write_text(desk.file.read_text().replace("[mcp_servers.some]", '[mcp_servers.some]\nsandbox = "off"'))
    desk.latest("2.0.0")
    found = json.loads(desk.run("mcp", "inspect", "some", "--json").stdout)
    assert [tool["name"] for tool in found["tools"]] == ["look"]
    assert desk.asked() == ["view", "install"]


def test_a_lock_holds_the_version_and_another_one_asks(desk):
    desk.home.mkdir()
    values = ", ".join(f'{name} = "{desk.folder / name.lower()}"' for name in ("TOOLS", "NOTES"))
    desk.file.write_text(
        f'[mcp_servers.some]\ncommand = "npx"\nargs = ["-y", "some-server"]\nsandbox = "off"\nenv = {{ {values} }}\n'
    )
    desk.run("lock", "--trust")
    lock = desk.home / "servers.lock"
    assert json.loads(lock.read_text())["files"]["servers.toml"]["some"]["package"] == "npm:some-server@1.4.0"
    assert desk.run("lock", "--check").returncode == 0
    desk.latest("2.0.0")
    before = desk.asked()
    desk.run("mcp", "inspect", "some", "--json")
    assert desk.asked() == before
    told = desk.run("lock", "--check", code=3).stdout
    assert told == "some: its package was npm:some-server@1.4.0 and is npm:some-server@2.0.0 now\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("npx -y @x/a@latest z", ("npm", "@x/a", None, "latest")),
        ("/usr/bin/npx pkg", ("npm", "pkg", None, "")),
        ("npx pkg@1.2.3-beta.1", ("npm", "pkg", "1.2.3-beta.1", "")),
        ("npx pkg@1", ("npm", "pkg", None, "1")),
        ("uvx a[x]@1.2", ("PyPI", "a[x]", "1.2", "")),
        ("uvx --from a==2 run --x", ("PyPI", "a", "2", "")),
        ("npx -p x y", None),
        ("npx ./x", None),
        ("npx git+https://x.invalid/y", None),
        ("uvx --python 3 a", None),
        ("npx", None),
        ("python -m a", None),
    ],
)
def test_what_a_line_fetches(line, found):
    command, *args = line.split()
    package = package_of(command, args)
    assert (package and (package.registry, package.name, package.version, package.wish)) == found
    if package:
        again = package_of(command, package.arguments(args, "9.9.9"))
        assert again and (again.name, again.version, again.own(args)) == (package.name, "9.9.9", package.own(args))
