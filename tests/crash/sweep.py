"""Kill the host at every event of a run, and carry the session on: nothing may happen twice, nothing may be lost.

A real process, a real SIGKILL, a real model wire on loopback, a server whose ledger is fsynced before it answers.
Run alone for more seeds: python tests/crash/sweep.py --seeds 20
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from model_server import Call, ModelServer, Say  # noqa: E402

from host.store.reader import read_log, verify  # noqa: E402

CONFIG = """
model = "test/m"
[providers.test]
wire = "responses"
base_url = "{base_url}"
api_key = "none-needed"
[mcp_servers.shop]
command = {python}
args = [{server}, {ledger}, "{pause}"]
parallel = {parallel}
tools.look = {{ effect = "read", open = false }}
tools.refund = {{ effect = "destructive", open = false }}
tools.give_back = {{ effect = "destructive", open = false }}
[profiles.default]
servers = ["shop"]
[[profiles.default.rules]]
server = "shop"
tool = "give_back"
verdict = "allow"
reason = "returns are routine"
"""


def decide(body: dict) -> list:
    """A model that looks, refunds twice at once, takes goods back, and calls again whatever ended in the unknown."""
    results = [item for item in body["input"] if item.get("type") == "function_call_output"]
    told = [json.dumps(item["output"]) for item in results]
    made = [item for item in body["input"] if item.get("type") == "function_call"]
    repeated = sum("again" in item["call_id"] for item in made)
    unknown = [item for item, words in zip(made, told, strict=False) if "outcome is unknown" in words]
    if unknown and repeated < len(unknown):
        item = unknown[repeated]
        return [Call(item["name"], json.loads(item["arguments"]), f"again-{repeated}-{item['call_id']}")]
    fresh = len(made) - repeated
    if fresh == 0:
        return [Say("I look first."), Call("shop__look", {"id": "o1"}, "c1")]
    if fresh == 1:
        return [
            Call("shop__refund", {"id": "r1"}, "c2"),
            Call("shop__look", {"id": "o2"}, "c3"),
            Call("shop__refund", {"id": "r2"}, "c4"),
        ]
    if fresh == 4:
        return [Call("shop__give_back", {"id": "g1"}, "c5")]
    return [Say("All done.")]


class Host:
    """One host process spoken to by stream-json."""

    def __init__(self, home: Path, *more: str) -> None:
        command = [sys.executable, "-m", "host", "run", "--config", str(home / "servers.toml"), "--trust"]
        command += ["--input-format", "stream-json", "--output-format", "stream-json", *more]
        env = {**os.environ, "AGENT_HOST_HOME": str(home / "state")}
        with (home / "stderr").open("ab") as stderr:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr, env=env, cwd=home)

    def say(self, command: dict) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()

    def events(self) -> Iterator[dict]:
        """Durable events until the process ends; questions are answered as a sensible user would."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if "seq" in event or event["kind"] == "rejected":
                yield event

    def react(self, event: dict) -> None:
        if event["kind"] == "asked" and event["about"] == "form":
            self.say(
                {"kind": "answer", "request_id": event["request_id"], "action": "accept", "content": {"method": "card"}}
            )
        elif event["kind"] == "asked":
            again = "unknown" in event["reason"]
            action = "decline" if again else "accept"
            self.say({"kind": "answer", "request_id": event["request_id"], "action": action})

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        self.close()

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def set_up(home: Path, base_url: str, seed: int) -> None:
    values = {
        "base_url": base_url,
        "python": json.dumps(sys.executable),
        "server": json.dumps(str(HERE / "ledger_server.py")),
        "ledger": json.dumps(str(home / "ledger")),
        "pause": (0, 3, 15, 40)[seed % 4],
        "parallel": ("false", "true")[seed // 4 % 2],
    }
    (home / "servers.toml").write_text(CONFIG.format(**values))


def first_life(home: Path, stop_at: int | None, jitter: float) -> tuple[str, bool, int]:
    """Run until event `stop_at` (None: to the end). Returns session, whether the turn ended, events seen."""
    host = Host(home)
    host.say({"kind": "say", "text": "Refund what is due."})
    session, seen = "", 0
    for event in host.events():
        session, seen = event["session"], seen + 1
        if stop_at is not None and seen >= stop_at:
            time.sleep(jitter)
            host.kill()
            return session, False, seen
        host.react(event)
        if event["kind"] == "turn_ended":
            assert host.process.stdin is not None
            host.process.stdin.close()
            assert host.process.wait(20) == 0
            host.close()
            return session, True, seen
    raise AssertionError(f"the host stopped by itself: {(home / 'stderr').read_text()[-2000:]}")


def second_life(home: Path, session: str) -> list[dict]:
    """Carry the session on to the end of its turn; a session that had no turn yet gets its prompt."""
    host = Host(home, "--resume", session)
    folded = stored(home, session)
    if not any(event["kind"] == "user_said" for event in folded):
        host.say({"kind": "say", "text": "Refund what is due."})
    elif any(event["kind"] == "turn_ended" for event in folded):
        host.say({"kind": "say", "text": "Go on."})
    events = []
    for event in host.events():
        events.append(event)
        host.react(event)
        if event["kind"] == "turn_ended":
            break
    assert host.process.stdin is not None
    host.process.stdin.close()
    code = host.process.wait(20)
    host.close()
    assert code == 0, (code, (home / "stderr").read_text()[-2000:])
    assert events and events[-1]["reason"] == "done", (events, (home / "stderr").read_text()[-2000:])
    return events


def stored(home: Path, session: str) -> list[dict]:
    """The log as it lies on the disk."""
    return [{"kind": row.kind, **json.loads(row.body)} for row in read_log(home / "state", session)]


def judge(home: Path, session: str) -> None:
    """What must be true at the end of any such story."""
    _, damages = verify(home / "state", session)
    assert damages == [], damages
    lines = (home / "ledger").read_text().splitlines() if (home / "ledger").exists() else []
    effects = Counter(line for line in lines if not line.startswith("look"))
    assert all(count == 1 for count in effects.values()), effects
    events = stored(home, session)
    ends = Counter(event["call_id"] for event in events if event["kind"] == "call_finished")
    assert all(count == 1 for count in ends.values()), ends
    outcomes = {event["call_id"]: event["outcome"] for event in events if event["kind"] == "call_finished"}
    started = {event["call_id"]: event for event in events if event["kind"] == "call_started"}
    for id, event in started.items():
        effect = f"{event['remote_name']} {event['arguments']['id']}"
        if outcomes[id] == "ok":
            assert effect in lines, (effect, lines)
    for effect in effects:
        said = [
            outcomes[id]
            for id, event in started.items()
            if effect == f"{event['remote_name']} {event['arguments']['id']}"
        ]
        assert said and set(said) <= {"ok", "unknown"}, (effect, said)


def story(seed: int, stop_at: int) -> None:
    with tempfile.TemporaryDirectory() as folder, ModelServer(decide) as model:
        home = Path(folder)
        set_up(home, model.base_url, seed)
        jitter = random.Random(seed * 1000 + stop_at).choice((0, 0, 0.002, 0.01, 0.03))
        session, ended, _ = first_life(home, stop_at, jitter)
        try:
            if not ended:
                second_life(home, session)
            judge(home, session)
        except Exception as error:
            error.add_note(f"seed {seed}, killed after event {stop_at}")
            raise


def length(seed: int) -> int:
    """How many events the undisturbed run has."""
    with tempfile.TemporaryDirectory() as folder, ModelServer(decide) as model:
        home = Path(folder)
        set_up(home, model.base_url, seed)
        session, ended, seen = first_life(home, None, 0)
        assert ended
        judge(home, session)
        return seen


def sweep(seed: int, workers: int = 2) -> int:
    """Kill after each event of the run of this seed; how many kills that were."""
    events = length(seed)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(partial(story, seed), range(1, events + 1)))
    return events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    began, kills = time.monotonic(), 0
    for seed in range(options.seeds):
        kills += sweep(seed)
        print(f"seed {seed}: {kills} kills so far, nothing twice, no log damaged", flush=True)
    print(f"{kills} kills in {time.monotonic() - began:.0f} s: 0 effects twice, 0 logs damaged")


if __name__ == "__main__":
    main()
