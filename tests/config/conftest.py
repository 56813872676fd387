import os

import pytest


@pytest.fixture(autouse=True)
def own_environment(tmp_path, monkeypatch):
    """A home of the test's own, and no variable of the machine that the host would heed."""
    for name in list(os.environ):
        if name.startswith(("AGENT_HOST_", "OPENAI_", "ANTHROPIC_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AGENT_HOST_HOME", str(tmp_path / "home"))
