"""A model server found on this machine: asked for once on a terminal, never used unasked."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from model_server import ModelServer, Say

ROOT = Path(__file__).parent.parent.parent
NOWHERE = "http://127.0.0.1:1/v1"
QUESTION = b"you will not be asked again: "


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path


def configured(folder, address):
    """The user's file with the usual places moved to where the test knows what is there."""
    places = dict.fromkeys(("ollama", "lmstudio", "llamacpp", "jan", "vllm"), NOWHERE) | {"jan": address}
    entries = [f'[providers.{name}]\nwire = "chat"\nbase_url = "{at}"\n' for name, at in places.items()]
    (folder / "home" / "servers.toml").write_text("".join(entries))


def command(folder, *arguments):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "AGENT_HOST_HOME": str(folder / "home")}
    return {"args": [sys.executable, "-m", "host", *arguments], "cwd": folder, "env": env | {"PYTHONPATH": str(ROOT)}}


def headless(folder, *arguments):
    return subprocess.run(
        **command(folder, "run", "hello", *arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def in_terminal(folder, answer):
    """What a run in a terminal printed, and whether it asked."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen(**command(folder, "run", "hello"), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, asked, until = b"", False, time.monotonic() + 60
    while time.monotonic() < until and select.select([mine], [], [], 60)[0]:
        try:
            seen += os.read(mine, 4096)
        except OSError:  # the other end is closed
            break
        if not asked and seen.endswith(QUESTION):
            os.write(mine, answer)
            asked = True
    os.close(mine)
    assert process.wait(60) == 0, seen.decode()
    return seen.decode(), asked


def test_without_a_terminal_it_is_named_and_not_used(folder):
    with ModelServer(lambda body: [Say("I am local.")]) as model:
        configured(folder, model.base_url)
        ran = headless(folder)
        assert model.requests == []
    assert ran.returncode == 0
    assert f"Jan answers at {model.base_url}; to use it: --model jan/test-model" in ran.stderr
    assert "model offline/planner" in ran.stderr
    assert "offline planner" in ran.stdout


def test_the_named_model_is_used_when_it_is_asked_for(folder):
    with ModelServer(lambda body: [Say("I am local.")]) as model:
        configured(folder, model.base_url)
        ran = headless(folder, "--model", "jan/test-model")
    assert (ran.returncode, ran.stdout.strip()) == (0, "I am local.")


def test_a_yes_in_the_terminal_holds_from_then_on(folder):
    with ModelServer(lambda body: [Say("I am local.")]) as model:
        configured(folder, model.base_url)
        seen, asked = in_terminal(folder, b"yes\n")
        assert asked and "test-model" in seen and "I am local." in seen
        seen, asked = in_terminal(folder, b"")
        assert not asked and "I am local." in seen
        assert headless(folder).stdout.strip() == "I am local."
        assert len(model.requests) == 3


def test_a_no_is_not_asked_again_and_nothing_is_sent(folder):
    with ModelServer(lambda body: [Say("I am local.")]) as model:
        configured(folder, model.base_url)
        seen, asked = in_terminal(folder, b"\n")
        assert asked and "offline planner" in seen
        seen, asked = in_terminal(folder, b"")
        assert not asked and "offline planner" in seen
        assert model.requests == []
    assert "to use it" not in headless(folder).stderr
