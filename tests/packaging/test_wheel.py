"""The package as a user gets it: built, installed into an empty environment, run from an empty folder. No network."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DEPENDENCIES = next(path for path in map(Path, sys.path) if (path / "hatchling").is_dir())
JUNK = ("__pycache__", ".pyc", ".sqlite", ".db", ".mypy_cache", ".ruff_cache", ".hypothesis", ".venv")
SHARED = ("servers.toml", "prompts", "scripts/demos")


def ran(*command, timeout=120, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=timeout, check=False, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def build(kind, source, folder):
    ran(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source)
    return next(folder.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The repository's files as they stand, after a demo was run among them by hand."""
    folder = tmp_path_factory.mktemp("source")
    names = ran("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    demo = next((folder / "scripts" / "demos").iterdir())
    (demo / "left.sqlite").touch()
    (demo / "left.sqlite-wal").touch()
    (demo / "__pycache__").mkdir()
    (demo / "__pycache__" / "left.cpython-311.pyc").touch()
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return build("wheel", source, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of the programs of an environment that has the wheel; its dependencies are borrowed from ours."""
    env = tmp_path_factory.mktemp("empty env")
    venv.create(env, symlinks=True)
    site = next(env.glob("lib/python*/site-packages"))
    (site / "borrowed.pth").write_text(f"{DEPENDENCIES}\n")
    pip = (sys.executable, "-m", "pip", "--python", env / "bin" / "python", "--disable-pip-version-check")
    ran(*pip, "install", "--quiet", "--no-index", "--no-deps", "--ignore-installed", wheel)
    return env / "bin"


@pytest.fixture
def nowhere(tmp_path):
    """Options for a process in an empty folder, with an environment that knows nothing of the repository."""
    folder = tmp_path / "empty"
    folder.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AGENT_HOST_HOME": str(tmp_path / "home")}
    return {"cwd": folder, "env": env}


def test_the_wheel_carries_what_the_program_needs_and_nothing_else(wheel, source):
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if any(junk in name for junk in JUNK)] == []
    assert {name.split("/")[0] for name in names} == {"host", names[-1].split("/")[0]}
    assert {"host/py.typed", "host/frontends/tui/style.tcss", "host/_share/servers.toml"} <= set(names)
    packed = {name.removeprefix("host/_share/") for name in names if name.startswith("host/_share/")}
    theirs = [path for one in SHARED for path in [source / one, *(source / one).rglob("*")] if path.is_file()]
    kept = {path.relative_to(source).as_posix() for path in theirs}
    assert packed == {name for name in kept if not any(junk in name for junk in JUNK)}
    modules = {path.relative_to(source).as_posix() for path in (source / "host").rglob("*.py")}
    assert modules <= set(names)


def test_a_wheel_made_from_the_source_distribution_is_the_same(wheel, source, tmp_path):
    archive = build("sdist", source, tmp_path)
    names = ran("tar", "-xzvf", archive, "-C", tmp_path).stdout.splitlines()
    assert [name for name in names if any(junk in name for junk in JUNK)] == []
    again = build("wheel", tmp_path / archive.name.removesuffix(".tar.gz"), tmp_path)
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def test_the_installed_program_tells_its_version_and_its_demos(installed, nowhere):
    version = ran(installed / "agent-host", "--version", **nowhere).stdout
    assert version == ran(installed / "python", "-m", "host", "--version", **nowhere).stdout
    assert version.startswith("agent-host 0.")
    assert "customer-support" in ran(installed / "agent-host", "demo", "--list", **nowhere).stdout
    where = ran(installed / "python", "-c", "import host; print(host.__file__)", **nowhere).stdout
    assert Path(where).is_relative_to(installed.parent), "the test runs the checkout, not the wheel"


def test_a_demo_of_the_installed_program_runs_without_key_and_network(installed, nowhere):
    done = ran(installed / "agent-host", "demo", "customer-support", "--headless", "Show me ticket T-01", **nowhere)
    assert "T-01" in done.stdout
    assert "Mara Lindqvist" in done.stdout
    assert list(nowhere["cwd"].iterdir()) == []
