"""Kill the host at every moment of a run, and carry the session on: nothing may happen twice, nothing may be lost, and
what nobody can know is said.

Real processes, a real SIGKILL exactly before, after or behind an event, a real model wire on loopback, a server whose
ledger is fsynced before it answers. Run alone for more seeds and a table: python tests/crash/sweep.py --seeds 20
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

from model_server import Call, ModelServer, Say  # noqa: E402
from nursery import Death, Moments, Nursery  # noqa: E402

from host.store.reader import read_log, verify  # noqa: E402

CONFIG = """
model = "test/m"
[providers.test]
wire = "responses"
base_url = "{base_url}"
api_key = "none-needed"
[mcp_servers.shop]
command = {python}
args = ["-IS", {server}, {ledger}, "{pause}"]
parallel = {parallel}
sandbox = "off"
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
FIRST, LATER, AGAIN = "Refund what is due.", "Thank you.", "Do again what may not have been done."
SHORT = [{"kind": "say", "text": FIRST}]
LONG = [*SHORT, {"kind": "say", "text": LATER}, {"kind": "compact"}, {"kind": "say", "text": AGAIN}]
ENDS = {"say": "turn_ended", "compact": "compacted"}
LOST = "outcome is unknown"


def decide(body: dict) -> list:
    """A model that looks, refunds twice at once, and takes goods back. What ended in the unknown it calls again: at
    once, or when it is told to, though all it has of it by then are its notes."""
    words = [part["text"] for item in body["input"] if item.get("role") == "user" for part in item["content"]]
    results = {item["call_id"]: item for item in body["input"] if item.get("type") == "function_call_output"}
    made = [item for item in body["input"] if item.get("type") == "function_call"]
    if not body.get("tools"):
        return [Say("Refunds and returns were made, or not.")]
    if words[-1] == LATER:
        return [Say("You are welcome.")]
    unknown = [item for item in made if LOST in json.dumps(results.get(item["call_id"], ""))]
    if words[-1] == AGAIN:
        if any(item["call_id"].startswith("again") for item in made):
            return [Say("It was tried again.")]
        wanted = [id for id in ("r1", "r2") if "called at" in words[0] and f'"id":"{id}"' in words[0]]
        return [Call("shop__refund", {"id": id}, f"again-{id}") for id in wanted] or [Say("Nothing is open.")]
    repeated = sum("again" in item["call_id"] for item in made)
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
    return [Call("shop__give_back", {"id": "g1"}, "c5")] if fresh == 4 else [Say("All done.")]


READS = ("c1", "c3")
STATES = {
    ("model_said", "after"): "proposed",
    ("call_decided", "after"): "decided",
    ("asked", "after"): "asked",
    ("answered", "after"): "answered",
    ("call_started", "after"): "started, before the send",
    ("call_started", "during"): "sent",
    ("call_finished", "before"): "done, its result not kept",
    ("call_paused", "after"): "paused",
    ("call_finished", "after"): "finished, the model not told",
    ("compacted", "before"): "summarised, the summary not kept",
}


@dataclass(frozen=True)
class Story:
    """One life that ends at `death`, and a second that carries on."""

    seed: int
    death: Death | None

    @property
    def pause(self) -> int:
        """Milliseconds that the server thinks, before and after it acts."""
        return (4, 12, 20)[self.seed % 3]

    @property
    def plan(self) -> list[dict]:
        return LONG if self.seed % 2 else SHORT

    @property
    def state(self) -> tuple[str, str]:
        """The state of a call in which the host died, and whether that call reads or writes."""
        assert self.death is not None
        kind, call, nth, when = self.death
        when = "during" if isinstance(when, int) else when
        state = STATES.get((kind, when), f"{when} {kind}")
        if kind in ("asked", "answered") and call == "c5":
            state = f"paused, {kind}"
        if kind == "call_started" and nth > 1:
            state += ", round 2"
        return state, "" if not call else "read" if call in READS else "write"

    def play(self, nursery: Nursery) -> list[dict]:
        """Live, die, live on; what must be true then. Returns the log."""
        with tempfile.TemporaryDirectory() as folder, ModelServer(decide) as model:
            home = Path(folder)
            self.set_up(home, model.base_url)
            try:
                ended = life(nursery, home, self.plan, self.death)
                assert ended == (-9 if self.death else 0), f"it ended with {ended}"
                if self.death:
                    assert life(nursery, home, self.plan) == 0
                judge(home, model)
                return stored(home)
            except Exception as error:
                error.add_note(f"{self}: {(home / 'stderr').read_text()[-2000:]}")
                raise

    def set_up(self, home: Path, base_url: str) -> None:
        values = {
            "base_url": base_url,
            "python": json.dumps(sys.executable),
            "server": json.dumps(str(HERE / "ledger_server.py")),
            "ledger": json.dumps(str(home / "ledger")),
            "pause": self.pause,
            "parallel": ("false", "true")[self.seed // 2 % 2],
        }
        (home / "servers.toml").write_text(CONFIG.format(**values))


def life(nursery: Nursery, home: Path, plan: list[dict], death: Death | None = None) -> int:
    """One process: what is left of the plan, questions answered as a sensible user would. How it ended."""
    streams = ["--input-format", "stream-json", "--output-format", "stream-json"]
    command = ["run", "--config", str(home / "servers.toml"), "--trust", *streams]
    if session := session_in(home):
        command += ["--resume", session]
    events = stored(home)
    left = plan[sum(event["kind"] in ("user_said", "compacted") for event in events) :]
    running = [event["kind"] for event in events if event["kind"] in ("user_said", "turn_ended")][-1:] == ["user_said"]
    host = nursery.start(command, home, {**os.environ, "AGENT_HOST_HOME": str(home / "state")}, death)

    def say(line: dict) -> None:
        with suppress(BrokenPipeError):
            host.stdin.write(json.dumps(line).encode() + b"\n")

    def go_on() -> None:
        if left:
            say(left.pop(0))
        else:
            host.stdin.close()

    if not running:
        go_on()
    try:
        for line in host.stdout:
            event = json.loads(line)
            assert event["kind"] != "rejected" or (death and "full" in str(death.when)), event
            if event["kind"] == "asked":
                say(answer(event))
            elif event["kind"] in ENDS.values():
                assert event.get("reason", "done") == "done", event
                go_on()
    except BaseException:
        os.kill(host.pid, signal.SIGKILL)
        raise
    with (home / "stderr").open("ab") as errors:
        errors.write(host.stderr.read())
    for pipe in host[1:]:
        pipe.close()
    return nursery.wait(host)


def answer(asked: dict) -> dict:
    given = {"kind": "answer", "request_id": asked["request_id"], "action": "accept"}
    if asked["about"] == "form":
        return given | {"content": {"method": "card"}}
    return given | {"action": "decline" if "unknown" in asked["reason"] else "accept"}


def session_in(home: Path) -> str | None:
    return next((path.stem for path in (home / "state" / "sessions").glob("*.db")), None)


def stored(home: Path) -> list[dict]:
    """The log as it lies on the disk."""
    session = session_in(home)
    rows = read_log(home / "state", session) if session else []
    return [{"kind": row.kind, **json.loads(row.body)} for row in rows]


def judge(home: Path, model: ModelServer) -> None:
    """What must be true at the end of any such story."""
    _, damages = verify(home / "state")
    assert damages == [], damages
    lines = (home / "ledger").read_text().splitlines() if (home / "ledger").exists() else []
    effects = Counter(line for line in lines if not line.startswith("look"))
    assert all(count == 1 for count in effects.values()), effects
    events = stored(home)
    ends = Counter(event["call_id"] for event in events if event["kind"] == "call_finished")
    assert all(count == 1 for count in ends.values()), ends
    outcomes = {event["call_id"]: event["outcome"] for event in events if event["kind"] == "call_finished"}
    started = {event["call_id"]: event for event in events if event["kind"] == "call_started"}
    said: dict[str, set[str]] = defaultdict(set)
    for id, event in started.items():
        effect = f"{event['remote_name']} {event['arguments']['id']}"
        said[effect].add(outcomes[id])
        assert outcomes[id] != "ok" or effect in lines, (effect, lines)
        assert event["remote_name"] != "look" or outcomes[id] == "ok", "a read is run again"
    for effect in effects:
        assert said[effect] and said[effect] <= {"ok", "unknown"}, (effect, said)
    requests = [json.dumps(body["input"]) for body in model.requests]
    for id in (id for id, outcome in outcomes.items() if outcome == "unknown"):
        assert any(id in request and LOST in request for request in requests), f"the model was not told of {id}"
        twins = [event for event in events if event["kind"] == "asked" and "again" in (event.get("call_id") or "")]
        same = [t for t in twins if t["arguments"] == started[id]["arguments"]]
        assert same, f"nobody was asked before {id} was called again"
        assert all("unknown" in t["reason"] and outcomes[t["call_id"]] == "declined" for t in same), same


def deaths(events: Iterable[dict], pause: int, chance: random.Random) -> list[Death]:
    """Every moment of an undisturbed run at which a host can die."""
    moments, found = Moments(), []
    for event in events:
        kind, call, nth = moments.name(event["kind"], event)
        found.append(Death(kind, call, nth, "after"))
        if kind == "session_opened":
            found.append(Death(kind, call, nth, "before"))
        if kind == "call_started":
            found.append(Death(kind, call, nth, chance.randint(0, 2 * pause + 3)))
        if kind in ("call_finished", "compacted"):
            found.append(Death(kind, call, nth, "before"))
    return found


def sweep(seed: int, nursery: Nursery, workers: int = 3) -> list[tuple[Story, list[dict]]]:
    """Die at each moment of the run of this seed; the stories and how their logs ended."""
    undisturbed = Story(seed, None)
    moments = deaths(undisturbed.play(nursery), undisturbed.pause, random.Random(seed))
    stories = [Story(seed, death) for death in moments]
    with ThreadPoolExecutor(workers) as pool:
        return list(zip(stories, pool.map(lambda story: story.play(nursery), stories), strict=True))


def table(played: Iterable[tuple[Story, list[dict]]]) -> str:
    """A line for each state of a call, and how often it ended how."""
    kills: Counter[tuple[str, str]] = Counter()
    unknown: Counter[tuple[str, str]] = Counter()
    for story, log in played:
        kills[story.state] += 1
        unknown[story.state] += any(event.get("outcome") == "unknown" for event in log)
    lines = [f"{'state in which the host was killed':36} {'call':6} {'kills':>6} {'unknown, said':>14}"]
    lines += [
        f"{state:36} {effect:6} {n:6} {unknown[state, effect]:14}" for (state, effect), n in sorted(kills.items())
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    began, played = time.monotonic(), []
    with Nursery() as nursery:
        for seed in range(options.seeds):
            played += sweep(seed, nursery)
            print(f"seed {seed}: {len(played)} kills so far, {time.monotonic() - began:.0f} s", flush=True)
    print(f"\n{table(played)}\n\n{len(played)} kills: 0 effects twice, 0 logs damaged, every unknown was said")


if __name__ == "__main__":
    main()
