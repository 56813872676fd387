"""What the pages of this repository promise is there, and works as it is written."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from model_server import Call, ModelServer, Say

from host.arguments import parse
from host.config import environment, merge, sections
from host.config.read import read_file
from host.core import events as ev

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")
AGENTS = (ROOT / "AGENTS.md").read_text("utf-8")
REFERENCE = (ROOT / "docs" / "servers-toml.md").read_text("utf-8")
PROTOCOL = (ROOT / "docs" / "json-protocol.md").read_text("utf-8")
PAGES = [path for folder in ("", "docs", "docs/decisions") for path in sorted((ROOT / folder).glob("*.md"))]
SCRIPTS = [path for path in sorted((ROOT / "scripts").iterdir()) if path.is_file()]

# Put together here so that this file does not name them.
REGISTRIES = [".".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("ghcr", "io"))]
PLACES = [f"/{first}/{rest}" for first, rest in (("work", "main"), ("work", "shared"), ("tmp", "w/"), ("root", ""))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def tracked():
    """The repository's text files: those under version control and those about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def shell_lines():
    return [line for page in (README, AGENTS) for block in blocks(page, "sh") for line in block.splitlines()]


def test_every_script_is_executable_and_says_what_it_does():
    assert SCRIPTS
    for script in [*SCRIPTS, ROOT / ".ci" / "run"]:
        assert os.access(script, os.X_OK), f"{script} is not executable"
        first, second = script.read_text("utf-8").splitlines()[:2]
        assert first.startswith("#!"), script
        assert re.match(r"# \w.{15,}", second), f"{script}: its second line is no comment that says what it does"


@pytest.mark.parametrize("line", [line for line in shell_lines() if line.startswith("agent-host")])
def test_the_program_takes_the_commands_of_the_readme(line):
    words = shlex.split(line.partition(" < ")[0], comments=True)[1:]
    parse(words)  # exits where it does not know them


def test_the_scripts_that_the_pages_name_are_there():
    named = {name for page in PAGES for name in re.findall(r"(?:^|[\s`(])scripts/(\w+)\b(?![/.\w])", page.read_text())}
    assert {"demo", "test"} <= named
    assert named <= {script.name for script in SCRIPTS} | {"demos"}
    assert {script.name for script in SCRIPTS} - {"venv"} <= named, "a script that no page names"


def test_links_between_the_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_map_is_short_and_names_only_what_exists():
    assert len(AGENTS.splitlines()) <= 60
    for line in AGENTS.splitlines():
        named = re.findall(r"`([\w./-]+)`", line)
        whole = [name for name in named if "/" in name and (ROOT / name.split("/")[0]).exists()]
        rooms = [ROOT / name for name in whole if (ROOT / name).is_dir()] or [ROOT]
        for name in whole:
            assert (ROOT / name).exists() or any((room / name).exists() for room in rooms), f"AGENTS.md names {name}"
        for name in named:
            if "/" not in name and name.endswith((".py", ".toml", ".md")):
                found = any(
                    path for room in [*rooms, ROOT] for path in [room / name, *room.glob(f"*/{name}")] if path.exists()
                )
                assert found, f"AGENTS.md names {name} in {rooms}"
    for room in [path for path in (ROOT / "host").iterdir() if (path / "__init__.py").exists()]:
        assert f"host/{room.name}/" in AGENTS, f"the map lacks host/{room.name}/"


def test_nothing_names_a_registry_or_a_place_of_one_machine():
    for path in tracked():
        text = path.read_text("utf-8", "replace")
        for word in [*REGISTRIES, *PLACES]:
            assert word not in text, f"{path.relative_to(ROOT)} names {word}"


def test_the_host_names_no_use_case():
    demos = [path for path in (ROOT / "scripts" / "demos").iterdir() if path.is_dir() and path.name != "__pycache__"]
    servers = [server.stem.removesuffix("_server") for demo in demos for server in demo.glob("*_server.py")]
    words = {re.sub("_", "[ _-]", demo.name) for demo in demos} | {rf"\b{server}(\b|__)" for server in servers}
    assert len(words) > 3
    # "kB" is a thousand bytes, not a server.
    use_case = re.compile("|".join(sorted(words - {r"\bkb(\b|__)"})), re.IGNORECASE)
    for path in (ROOT / "host").rglob("*"):
        if path.suffix in (".py", ".tcss") and "_share" not in path.parts:
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                assert not use_case.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


@pytest.mark.parametrize("text", blocks(README, "toml") + blocks(REFERENCE, "toml"))
def test_the_configurations_of_the_pages_are_taken(text, tmp_path):
    path = tmp_path / "servers.toml"
    path.write_text(text, "utf-8")
    file = read_file(path, "user", {})
    assert file.problems.texts() == []
    assert merge([file], environment()).servers
    tool = re.compile(r"^(tool = .*)$", re.MULTILINE)
    path.write_text(tool.sub(r"\1\nverdic = 1", text), "utf-8")
    assert "verdict" in "".join(read_file(path, "user", {}).problems.texts())


def section_classes(section=sections.FileSection, seen=None):
    seen = {section} if seen is None else seen
    for field in section.model_fields.values():
        for inner in re.findall(r"\w+Section", str(field.annotation)):
            if (found := getattr(sections, inner)) not in seen:
                seen.add(found)
                section_classes(found, seen)
    return seen


def test_the_reference_tells_every_key_that_is_taken_and_every_key_that_is_refused():
    assert len(section_classes()) > 8
    told = "\n".join(re.findall(r"`([^`\n]+)`", REFERENCE.partition("## Not in this version")[0]))
    for section in section_classes():
        for name, field in section.model_fields.items():
            key = field.alias or name
            assert re.search(rf"(^|[ .{{]){key}\b", told, re.MULTILINE), (
                f"docs/servers-toml.md lacks {section.__name__}.{key}"
            )
        for key in section.refused:
            assert f"`{key}`" in REFERENCE, f"{section.__name__} refuses {key}; docs/servers-toml.md does not say so"


def test_the_protocol_page_shows_real_messages():
    lines = [line for block in blocks(PROTOCOL, "json") for line in block.splitlines()]
    events = [line for line in lines if '"seq"' in line]
    assert len(events) > 5
    for line in events:
        kind, at = re.findall(r'"kind":"(\w+)"', line)[0], re.findall(r'"at":"([^"]+)"', line)[0]
        head, _, body = line.partition(f'"kind":"{kind}",')
        session, seq = re.findall(r'"session":"([^"]+)","seq":(\d+)', head)[0]
        event = ev.decode(kind, f"{{{body}".encode())
        assert ev.envelope(ev.Recorded(session, int(seq), at, event)).decode() == line
    commands = [line for line in lines if '"v"' not in line]
    assert {ev.command(line).kind for line in commands} == set(ev.COMMANDS), "docs/json-protocol.md shows each command"
    for kind in [*ev.EVENTS, ev.Delta.kind, ev.Rejected.kind]:
        assert f"`{kind}`" in PROTOCOL


def test_the_server_of_the_readme_works_as_it_is_written(tmp_path):
    (server,), (config,) = blocks(README, "python"), blocks(README, "toml")
    project = tmp_path / "notes"
    project.mkdir()
    (project / "notes_server.py").write_text(server)
    (project / "servers.toml").write_text(config)
    (line,) = [line for line in shell_lines() if line.startswith("agent-host run --trust")]

    def model(body):
        done = [item for item in body["input"] if item.get("type") == "function_call_output"]
        wishes = [Call("notes__add_note", {"text": text}) for text in ("milk", "my password is x")]
        return [Say("It is noted.")] if done else [*wishes, Call("notes__list_notes", {})]

    with ModelServer(model) as provider:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        env |= {"OPENAI_API_KEY": "a key for nobody", "OPENAI_BASE_URL": provider.base_url}
        command = [sys.executable, "-m", "host", *shlex.split(line)[1:]]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "It is noted.\n"), done.stderr
    assert "no passwords in notes" in done.stderr
    assert (project / "notes.txt").read_text() == "milk\n"
    assert "milk" in str(provider.requests[-1]["input"])


def test_the_lock_files_agree_with_each_other_and_with_what_the_package_needs():
    def pins(name):
        lines = (ROOT / name).read_text().splitlines()
        return dict(re.match(r"([\w.-]+)==(\S+)", line).groups() for line in lines if line[:1].isalnum())

    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert run.items() <= dev.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    for needs, pinned in ((project["project"]["dependencies"] + groups["build"], run), (groups["dev"], dev)):
        assert {re.match(r"[\w.-]+", need)[0] for need in needs} <= set(pinned)
