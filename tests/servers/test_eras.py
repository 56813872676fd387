"""How a server speaks is found out once, by asking it, and remembered."""

from contextlib import closing, contextmanager

import pytest
from serving import call, lean, ledger, run, serving
from web import web

from host.core.source import Spoken
from host.servers.memory import identity
from host.store.host import HostStore


@contextmanager
def remembering(tmp_path):
    with closing(HostStore(tmp_path / "state")) as store:
        yield store


async def started(config, eras):
    """Start it, use it, and tell what it spoke and what is odd about it."""
    async with serving(config, eras=eras) as servers:
        await servers.settled()
        status = servers.statuses[config.name]
        assert status.state == "ready", status.detail
        assert (await call(servers, f"{config.name}__add", {"a": 1, "b": 1})).outcome == "ok"
        return status.protocol, (await servers.inspect(config.name))["quirks"]


def quirk(quirks, words):
    return [each for each in quirks if words in each]


def test_a_server_that_dies_of_the_question_is_asked_only_once(tmp_path):
    wrote = tmp_path / "ledger"

    async def main():
        config = lean("legacy", "dies_on_discover", env={"LEDGER": str(wrote)})
        with remembering(tmp_path) as eras:
            for _ in range(2):
                protocol, quirks = await started(config, eras)
                assert protocol == "2025-11-25"
                assert quirk(quirks, "does not survive server/discover")
            assert len(ledger(wrote, "server/discover")) == 1
            assert len(ledger(wrote, "initialize")) == 2
            assert eras.spoken(identity(config)).probe == "died"

    run(main)


def test_silence_is_not_waited_for_and_remembered_and_lateness_is_no_era(tmp_path):
    """The SDK waits ten seconds for an answer to its question."""
    wrote = tmp_path / "ledger"

    async def main():
        with remembering(tmp_path) as eras, web("legacy", "silent_on_discover") as server:
            process = lean("legacy", "silent_on_discover", env={"LEDGER": str(wrote)}, startup_timeout=9)
            address = server.config("address", startup_timeout=9)
            late = lean("modern", "sleepy", name="late", startup_timeout=9)
            async with serving(process, address, late, eras=eras) as servers:
                await servers.settled()
                spoke = {name: status.protocol for name, status in servers.statuses.items()}
                assert spoke == {"lean": "2025-11-25", "address": "2025-11-25", "late": "2026-07-28"}
                for name in spoke:
                    assert (await call(servers, f"{name}__add", {"a": 1, "b": 1})).outcome == "ok"
                    said = quirk((await servers.inspect(name))["quirks"], "says nothing to server/discover")
                    assert bool(said) == (name != "late")
            for config in (process, address):
                assert (await started(config, eras))[0] == "2025-11-25"
            assert len(ledger(wrote, "server/discover")) == len(server.asked("server/discover")) == 1
            assert eras.spoken(identity(late)).era == "modern"

    run(main)


def test_a_server_of_the_handshake_era_is_asked_only_once_at_an_address(tmp_path):
    async def main():
        with remembering(tmp_path) as eras, web("legacy") as server:
            for _ in range(2):
                assert (await started(server.config(), eras))[0] == "2025-11-25"
            assert len(server.asked("server/discover")) == 1

    run(main)


@pytest.mark.parametrize(("before", "after"), [("legacy", "modern"), ("modern", "legacy")])
def test_a_server_that_changed_its_era_is_noticed(tmp_path, before, after):
    async def main():
        with remembering(tmp_path) as eras:
            first, quirks = await started(lean("SPEAKS", env={"SPEAKS": before}), eras)
            assert not quirk(quirks, "when it was last seen")
            second, quirks = await started(lean("SPEAKS", env={"SPEAKS": after}), eras)
            assert sorted([first, second]) == ["2025-11-25", "2026-07-28"]
            assert first != second
            assert quirk(quirks, "when it was last seen")
            third, quirks = await started(lean("SPEAKS", env={"SPEAKS": after}), eras)
            assert third == second
            assert not quirk(quirks, "when it was last seen")

    run(main)


def test_a_new_version_of_a_server_is_asked_again(tmp_path):
    wrote = tmp_path / "ledger"

    async def main():
        with remembering(tmp_path) as eras:
            for version, asked in (("1", 1), ("1", 1), ("2", 1), ("2", 2), ("2", 2)):
                await started(lean("legacy", env={"LEDGER": str(wrote), "VERSION": version}), eras)
                assert len(ledger(wrote, "server/discover")) == asked

    run(main)


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
def test_a_server_that_starts_later_than_the_sdk_waits_is_of_its_own_era(tmp_path, known):
    async def main():
        with remembering(tmp_path) as eras:
            late = lean("modern", "sleepy", env={"SLEEP": "11"})
            if known:
                eras.remember(identity(late), Spoken("modern", "", "answered"))
            assert (await started(late, eras))[0] == "2026-07-28"

    run(main)


def test_a_memory_that_cannot_be_used_harms_nothing(tmp_path):
    async def main():
        with remembering(tmp_path) as eras:
            eras.close()
            async with serving(lean("legacy"), eras=eras) as servers:
                await servers.settled()
                assert servers.statuses["lean"].protocol == "2025-11-25"
                assert "how it spoke is not known" in "\n".join(servers.logs("lean"))

    run(main)
