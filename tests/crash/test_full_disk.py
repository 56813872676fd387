"""A disk that is full from any write on stops the run in words; nothing starts without its intent, nothing is damaged,
and with room again the session goes on."""

import random
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import cycle
from pathlib import Path

from model_server import ModelServer
from nursery import FILLER, Death, Nursery
from sweep import Story, deaths, decide, judge, life, session_in, stored

SEED = 6


@contextmanager
def own_disk(folder: Path):
    """A disk of one megabyte."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def mountable() -> bool:
    """Whether this user may; else files that may not grow must do."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with own_disk(Path(folder)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def filled(nursery: Nursery, moment: tuple[Death, bool]) -> None:
    death, own = moment
    with tempfile.TemporaryDirectory() as folder, ModelServer(decide) as model:
        home = Path(folder)
        story = Story(SEED, death)
        story.set_up(home, model.base_url)
        (home / "state").mkdir(0o700)
        with own_disk(home / "state") if own else nullcontext():
            try:
                ended = life(nursery, home, story.plan, death)
                told = (home / "stderr").read_text()
                assert ended == 1, f"it ended with {ended}"
                assert "Traceback" not in told
                assert f"{home}/state/sessions/{session_in(home)}.db: cannot " in told
                assert ("free some space on this disk" if own else "check the disk (is it full?)") in told
                begun = {(e["remote_name"], e["arguments"]["id"]) for e in stored(home) if e["kind"] == "call_started"}
                ledger = home / "ledger"
                done = ledger.read_text().splitlines() if ledger.exists() else []
                assert {tuple(line.split()) for line in done} <= begun
                (home / "state" / FILLER).unlink(missing_ok=True)
                assert life(nursery, home, story.plan) == 0
                judge(home, model)
            except Exception as error:
                error.add_note(f"{death}, {'own disk' if own else 'limit'}: {(home / 'stderr').read_text()[-2000:]}")
                raise


def test_a_disk_that_is_full_from_any_write_on():
    with Nursery() as nursery:
        story = Story(SEED, None)
        moments = [death._replace(when="full") for death in deaths(story.play(nursery), 0, random.Random(0))]
        moments = [*dict.fromkeys(moments), Death("turn_ended", "", 1, "then full")]
        assert len(moments) > 25
        kinds = cycle((True, False) if mountable() else (False,))
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(partial(filled, nursery), zip(moments, kinds, strict=False)))
