"""How often the offline planner ends right on requests in people's own words: `scripts/bench planner [-v]`.

Real servers, the real rules, a person who approves exactly what was asked for and declines all else. Each domain of
tests/planner/paraphrases.toml is told in two halves: one was looked at while the planner was made, the other was not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from host.config import environment, merge, read_files  # noqa: E402
from host.core.conditions import lookup  # noqa: E402
from host.core.events import CallFinished  # noqa: E402
from host.core.policy import Context, Verdict, decide  # noqa: E402
from host.core.settings import Profile, ServerConfig  # noqa: E402
from host.core.source import Round  # noqa: E402
from host.core.told import told  # noqa: E402
from host.core.types import CallResult, Message, Text, ToolCall, ToolSpec  # noqa: E402
from host.providers.base import Request  # noqa: E402
from host.providers.offline import Offline  # noqa: E402
from host.servers.pool import Pool, SessionServers  # noqa: E402

PARAPHRASES = ROOT / "tests" / "planner" / "paraphrases.toml"
STEPS = 12


@dataclass
class Ran:
    """What came of one request. `by` is who let a call through: its being a read, the person, or only the rules."""

    calls: list[tuple[ToolSpec, dict[str, Any], str, str]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    proposed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)

    @property
    def asked(self) -> bool:
        return bool(self.answers) and "?" in self.answers[-1]

    @property
    def unconfirmed(self) -> list[str]:
        """Writes that ran though no person was asked."""
        return [spec.name for spec, _, _, by in self.calls if by == "rules" and not reads(spec)]


@dataclass(frozen=True)
class Outcome:
    case: Mapping[str, Any]
    ran: Ran
    wrong: str | None
    tuned: bool


def reads(spec: ToolSpec) -> bool:
    return spec.confirmed and spec.effect == "read"


class Trial:
    """One request, from its words to its end."""

    def __init__(self, case: Mapping[str, Any], profile: Profile, servers: SessionServers) -> None:
        self.case, self.profile, self.servers = case, profile, servers
        self.messages: list[Message] = []
        self.facts: dict[str, Any] = {}
        self.ran = Ran()

    async def run(self) -> Ran:
        for words in [self.case["say"], *self.case.get("then", ())]:
            if self.messages and not self.ran.asked:
                break
            await self.turn(words)
        return self.ran

    async def turn(self, words: str) -> None:
        self.say("user", Text(words))
        for _ in range(STEPS):
            # A new model each time: nothing but the messages may matter.
            request = Request("planner", "", tuple(self.messages), self.servers.tools())
            reply = await Offline(self.profile.recording).ask(request, lambda delta: None)
            self.say("assistant", *reply.parts)
            calls = self.messages[-1].calls
            if not calls:
                self.ran.answers.append(self.messages[-1].text)
                return
            tentative = bool(reply.notes.get("tentative"))
            self.say("tool", *[await self.settled(call, tentative) for call in calls])
        self.ran.answers.append("It did not come to an end.")

    def say(self, role: Any, *parts: Any) -> None:
        self.messages.append(Message(role, parts, len(self.messages) + 1))

    async def settled(self, call: ToolCall, tentative: bool) -> Any:
        spec = self.servers.spec(call.name)
        assert spec is not None, f"{call.name} is not offered"
        context = Context("ask", self.facts, tentative=tentative)
        decision = decide(self.profile.rules, [], spec, call.arguments, context)
        if not reads(spec):
            self.ran.proposed.append((spec.name, call.arguments))
        if decision.verdict is Verdict.DENY:
            self.ran.denied.append(decision.reason)
            finished = CallFinished(call.id, "denied", True, cause="denied", reason=decision.reason)
        elif decision.verdict is Verdict.ASK and not self.is_expected(spec.name, call.arguments):
            finished = CallFinished(call.id, "declined", True, cause="declined", reason="that is not what I meant")
        else:
            by = "person" if decision.verdict is Verdict.ASK else "rules"
            finished = await self.called(call, spec, by)
        return told(finished, call, None, 8000, "r1")

    def is_expected(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        write = self.case.get("write")
        return write is not None and fits(write, tool, arguments)

    async def called(self, call: ToolCall, spec: ToolSpec, by: str) -> CallFinished:
        source = self.servers.source(spec.server)
        assert source is not None
        moved, round = (lambda *_: None), Round(1, f"{id(self)}-{len(self.messages)}")
        result = await source.call(spec, call.arguments, round, moved, declined)
        if not isinstance(result, CallResult):
            responses = {key: chosen(one) for key, one in result.requests.items()}
            result = await source.call(
                spec, call.arguments, Round(2, round.key, responses, result.state), moved, declined
            )
        assert isinstance(result, CallResult)
        self.ran.calls.append((spec, call.arguments, result.outcome, by))
        for name, fact in self.profile.facts.items():
            if fact and (fact.server, fact.tool, result.outcome) == (spec.server, spec.remote_name, "ok"):
                self.facts.setdefault(name, lookup(result.structured, fact.path)[0])
        return CallFinished(
            call.id, result.outcome, result.is_error, tuple(result.content), result.structured,
            cause=result.cause, reason=result.reason,
        )  # fmt: skip


async def declined(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"action": "decline"}


def chosen(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """A form is answered with what it proposes."""
    properties = asked["params"]["requestedSchema"]["properties"]
    return {"action": "accept", "content": {name: one["default"] for name, one in properties.items()}}


def fits(expected: Mapping[str, Any], tool: str, arguments: Mapping[str, Any]) -> bool:
    return tool == expected["tool"] and all(
        name in arguments and same(wanted, arguments[name]) for name, wanted in expected["arguments"].items()
    )


def same(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, Mapping):
        return str(wanted["has"]).casefold() in str(value).casefold()
    return bool(wanted == value)


def judged(case: Mapping[str, Any], ran: Ran) -> str | None:
    """What is wrong with the end; None if it is the right one."""
    if "write" in case:
        if not ran.proposed:
            return f"proposed nothing, said: {ran.answers[-1]}"
        if not fits(case["write"], *ran.proposed[0]):
            return f"proposed {ran.proposed[0]}"
        if case.get("denied"):
            return None if ran.denied else f"was not denied: {ran.answers[-1]}"
        went = any(spec.name == case["write"]["tool"] and end == "ok" for spec, _, end, _ in ran.calls)
        return None if went else f"the call did not go well: {ran.answers[-1]}"
    if ran.proposed:
        return f"proposed {ran.proposed[0]}"
    if "read" in case:
        if not any(fits(case["read"], spec.name, given) and end == "ok" for spec, given, end, _ in ran.calls):
            return f"called {[(spec.name, given, end) for spec, given, end, _ in ran.calls]}, said: {ran.answers[-1]}"
        lacking = [words for words in case["shows"] if words not in ran.answers[-1]]
        return f"{lacking} is not in: {ran.answers[-1]}" if lacking else None
    return None if ran.asked else f"did not ask: {ran.answers[-1]}"


async def tried(
    name: str, profile: Profile, configs: Sequence[ServerConfig], cases: Sequence[Any], folder: Path
) -> list[Outcome]:
    """All requests of a domain, each over data as it was at the start."""
    found = []
    async with Pool() as pool:
        servers = pool.servers(name, configs, lambda status: None, lambda *_: None, {})
        await servers.settled()
        for status in servers.statuses.values():
            assert status.state == "ready", status
        fresh = kept(folder)
        for number, case in enumerate(cases):
            ran = await Trial(case, profile, servers).run()
            found.append(Outcome(case, ran, judged(case, ran), number % 2 == 0))
            renew(folder, fresh)
    return found


def kept(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("*.sqlite*")}


def renew(folder: Path, fresh: Mapping[Path, bytes]) -> None:
    """Put the database back as it was; the servers open it for each call."""
    for path in folder.glob("*.sqlite*"):
        path.unlink()
    for path, content in fresh.items():
        path.write_bytes(content)


def prepared(domain: str, folder: Path) -> Path:
    """The domain's files in a folder of their own."""
    if PROFILES[domain] == "customer-support":
        demo = Path("scripts/demos/customer_support")
        shutil.copytree(ROOT / demo, folder / demo, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "prompts", folder / "prompts")
        return Path(shutil.copy(ROOT / "servers.toml", folder))
    shutil.copy(ROOT / "tests" / "planner" / "house_server.py", folder)
    return Path(shutil.copy(ROOT / "tests" / "planner" / "house.toml", folder))


PROFILES = {"support": "customer-support", "house": "house", "demo": "customer-support"}
CASES = {"demo": "support"}
"""As `support`, but beside the demo's recording, as people meet the planner there: a recorded scene goes first."""


async def outcomes(domain: str) -> list[Outcome]:
    cases = tomllib.loads(PARAPHRASES.read_text("utf-8"))[CASES.get(domain, domain)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = merge(read_files(environment(), folder, [prepared(domain, folder)]), environment())
        profile = config.profiles[PROFILES[domain]]
        profile = profile if domain == "demo" else replace(profile, recording=None)
        return await tried(domain, profile, [config.servers[server] for server in profile.servers], cases, folder)


def report(domain: str, found: Sequence[Outcome]) -> str:
    lines = []
    for title, part in (
        ("tuned on", [one for one in found if one.tuned]),
        ("not seen", [one for one in found if not one.tuned]),
        ("all", list(found)),
    ):
        right = sum(one.wrong is None for one in part)
        asks = sum(one.wrong is not None and one.ran.asked for one in part)
        declined = sum(1 for one in part if one.wrong is not None and one.ran.proposed)
        unconfirmed = sum(len(one.ran.unconfirmed) for one in part)
        lines.append(
            f"{domain:8} {title:9} {len(part):3} requests   right {right / len(part):4.0%}   "
            f"asks instead {asks / len(part):4.0%}   wrong write proposed, declined {declined / len(part):4.0%}   "
            f"wrong in silence {(len(part) - right - asks - declined) / len(part):4.0%}   "
            f"writes without confirmation {unconfirmed}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench planner", description=__doc__.partition("\n")[0])
    parser.add_argument("-v", "--verbose", action="store_true", help="tell each request that ended wrong")
    parser.add_argument("--tuned-only", action="store_true", help="tell only those of the half that may be looked at")
    options = parser.parse_args()
    unconfirmed = 0
    for domain in PROFILES:
        found = anyio.run(outcomes, domain)
        sys.stdout.write(report(domain, found) + "\n")
        unconfirmed += sum(len(one.ran.unconfirmed) for one in found)
        for one in found:
            if one.wrong and options.verbose and (one.tuned or not options.tuned_only):
                sys.stdout.write(f"  {one.case['say']}\n      {one.wrong}\n")
    return 1 if unconfirmed else 0


if __name__ == "__main__":
    sys.exit(main())
