"""Servers that mean no harm work where they are held, with the level that their kind needs."""

import os
from pathlib import Path

import pytest
from kinds import kinds
from serving import run, serving
from test_sandbox import LINUX, means

from host.servers.probe import machine


@LINUX
@pytest.mark.parametrize("held", [means("bubblewrap and Landlock"), means("Landlock")])
def test_every_kind_of_harmless_server_works_where_it_is_held(tmp_path, monkeypatch, held):
    if held == "Landlock":
        (tmp_path / "path").mkdir()
        for folder in map(Path, reversed(os.environ["PATH"].split(":"))):
            for name in ("node", "git"):
                if (folder / name).exists():
                    (tmp_path / "path" / name).unlink(missing_ok=True)
                    (tmp_path / "path" / name).symlink_to((folder / name).resolve())
        monkeypatch.setenv("PATH", str(tmp_path / "path"))
        assert machine().bwrap == ""

    async def main():
        with kinds(tmp_path) as every:
            async with serving(*(kind.config for kind in every.values())) as servers:
                await servers.settled()
                assert len(every) >= 7
                assert {name: wrong for name, kind in every.items() if (wrong := await kind.works(servers))} == {}
                levels = {status.sandbox.split()[0] for status in servers.statuses.values()}
                assert levels == {"strict", "workspace"}

    run(main)
