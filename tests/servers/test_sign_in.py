"""Signing in at a server, against an issuer on loopback: once by a person, then renewed, by one at a time."""

import json
import stat
import time
from dataclasses import replace

import anyio
import httpx2
import pytest
from issuer import EXCHANGE, issuing
from serving import call, run, serving
from web import web

from host.core.errors import HostError
from host.core.settings import Idp, OAuth
from host.servers.login import login, logout


async def browse(where):
    """A browser: goes there and follows where it is sent."""
    async with httpx2.AsyncClient(trust_env=False) as browser:
        await browser.get(where.url, follow_redirects=True)


async def signed_in(config):
    with anyio.fail_after(20):
        await login(config, browse)


def stored(folder):
    (path,) = folder.glob("*.json")
    return path, json.loads(path.read_bytes())


def entry(folder):
    path, kept = stored(folder)
    return path, kept, kept["issuers"][kept["issuer"]]


def test_who_is_not_signed_in_is_told_how_and_once_signed_in_it_works(tmp_path):
    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            config = server.config(tokens=tmp_path)
            async with serving(config) as servers:
                await servers.settled()
                advice = "it answered 401 Unauthorized: sign in with: agent-host mcp login lean"
                assert servers.statuses["lean"].detail == advice
            await signed_in(config)
            async with serving(config) as servers:
                await servers.settled()
                assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            asked = next(form for path, form in issuer.asked if path == "/authorize")
            assert (asked["code_challenge_method"], asked["resource"], asked["scope"]) == ("S256", server.url, "jugs")
            path, kept, own = entry(tmp_path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert (kept["url"], kept["issuer"]) == (server.url, issuer.url)
            assert own["tokens"]["access_token"] == "access-1"
            assert await logout(config)
            assert not path.exists()

    run(main)


def test_a_browser_on_another_machine_is_served_by_pasting(tmp_path):
    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            sent = []

            async def show(where):
                async with httpx2.AsyncClient(trust_env=False) as browser:
                    sent.append((await browser.get(where.url)).headers["location"])

            async def receive():
                return f" {sent[0]}\n"

            with anyio.fail_after(20):
                await login(server.config(tokens=tmp_path), show, receive)
            assert entry(tmp_path)[2]["tokens"]["access_token"] == "access-1"

    run(main)


def test_a_visit_without_the_one_time_state_or_by_another_name_ends_nothing(tmp_path):
    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            codes = []

            async def show(where):
                url = where.url
                back = httpx2.URL(httpx2.URL(url).params["redirect_uri"])
                state = httpx2.URL(url).params["state"]
                async with httpx2.AsyncClient(trust_env=False) as browser:
                    wrong = back.copy_with(params={"code": "evil", "state": "guessed"})
                    codes.append((await browser.get(wrong)).status_code)
                    right = back.copy_with(params={"code": "evil", "state": state})
                    codes.append((await browser.get(right, headers={"Host": "evil.example"})).status_code)
                await browse(where)
                async with httpx2.AsyncClient(trust_env=False) as browser:
                    codes.append((await browser.get(right)).status_code)

            with anyio.fail_after(20):
                await login(server.config(tokens=tmp_path), show)
            assert codes == [400, 400, 400]
            assert [form["code"] for form in issuer.grants("authorization_code")] == ["c-1"]

    run(main)


def test_a_token_that_the_server_no_longer_takes_is_renewed_before_anybody_is_asked(tmp_path):
    """Also after a restart, where the SDK goes to the browser at once; when it no longer does, `_renew` may shrink."""

    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            config = server.config(tokens=tmp_path)
            await signed_in(config)
            issuer.valid.clear()
            async with serving(config) as servers:
                await servers.settled()
                assert servers.statuses["lean"].state == "ready"
            assert len(issuer.grants("refresh_token")) == 1
            assert issuer.grants("refresh_token")[0]["resource"] == server.url
            assert len([path for path, _ in issuer.asked if path == "/authorize"]) == 1

    run(main)


def test_a_token_that_ended_while_nobody_ran_is_renewed_before_it_is_sent(tmp_path):
    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            config = server.config(tokens=tmp_path)
            await signed_in(config)
            path, kept, own = entry(tmp_path)
            own["expires_at"] = time.time() - 60
            path.write_text(json.dumps(kept))
            server.received.clear()
            async with serving(config) as servers:
                await servers.settled()
                assert servers.statuses["lean"].state == "ready"
            assert {one.headers["authorization"] for one in server.received} == {"Bearer access-2"}

    run(main)


def test_many_calls_and_many_sessions_renew_once(tmp_path):
    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            config = server.config(tokens=tmp_path)
            await signed_in(config)
            async with serving(config) as one, serving(config) as other:
                await one.settled()
                await other.settled()
                issuer.valid.clear()
                results = []

                async def add(servers):
                    results.append((await call(servers, "lean__add", {"a": 1, "b": 1})).outcome)

                async with anyio.create_task_group() as tasks:
                    for servers in [one, other] * 4:
                        tasks.start_soon(add, servers)
                assert results == ["ok"] * 8
            assert len(issuer.grants("refresh_token")) == 1

    run(main)


def test_calls_run_side_by_side_while_signed_in(tmp_path):
    """The SDK holds its lock while a request is in flight; when it no longer does, `async_auth_flow` may be its own."""

    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            config = server.config(tokens=tmp_path)
            await signed_in(config)
            async with serving(config) as servers:
                await servers.settled()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(call, servers, "lean__hang")
                    while not server.asked("tools/call"):
                        await anyio.lowlevel.checkpoint()
                    assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
                    tasks.cancel_scope.cancel()

    run(main)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pkce": None}, "does not say that it protects the code"),
        ({"pkce": ["plain"]}, "does not say that it protects the code"),
        ({"authorize": "http://93.184.216.34/authorize"}, "is not https"),
        ({"authorize": "https://user:pass@127.0.0.1/authorize"}, "carries a name"),
    ],
)
def test_nobody_is_led_to_an_issuer_that_is_not_safe(tmp_path, settings, words):
    async def main():
        async def nowhere(where):
            raise AssertionError(f"led to {where.url}")

        with issuing(**settings) as issuer, web("modern", issuer=issuer) as server:
            with pytest.raises(HostError, match=words), anyio.fail_after(20):
                await login(server.config(tokens=tmp_path), nowhere)

    run(main)


def test_a_client_that_the_user_registered_is_used(tmp_path):
    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            await signed_in(server.config(tokens=tmp_path, oauth=OAuth("mine", scopes=("extra",))))
            assert "/register" not in [path for path, _ in issuer.asked]
            asked = next(form for path, form in issuer.asked if path == "/authorize")
            assert (asked["client_id"], set(asked["scope"].split())) == ("mine", {"jugs", "extra"})

    run(main)


@pytest.mark.parametrize("way", ["secret", "key", "idp"])
def test_a_client_signs_in_by_itself_at_the_issuer_it_was_told_of(tmp_path, way):
    async def main():
        with issuing() as issuer, issuing() as idp, web("modern", issuer=issuer) as server:
            ways = {
                "secret": OAuth("me", "s-1", scopes=("more",), grant="client_credentials", issuer=issuer.url),
                "key": OAuth("me", grant="client_credentials", issuer=issuer.url, private_key="s-1" * 20),
                "idp": OAuth(
                    "me", "s-1", grant="jwt_bearer", issuer=issuer.url, idp=Idp(f"{idp.url}/token", "i", "id")
                ),
            }
            oauth = replace(ways[way], signing_algorithm="HS256") if way == "key" else ways[way]
            async with serving(server.config(tokens=tmp_path, oauth=oauth)) as servers:
                await servers.settled()
                assert servers.statuses["lean"].state == "ready"
                issuer.valid.clear()
                assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            grants = [form for path, form in issuer.asked if path == "/token"]
            assert [form["resource"] for form in grants] == [server.url] * 2
            if way == "idp":
                assert [form["assertion"] for form in grants] == [f"word-for-{issuer.url}"] * 2
                assert {(form["subject_token"], form["client_id"]) for form in idp.grants(EXCHANGE)} == {("id", "i")}
            assert "/authorize" not in [path for path, _ in issuer.asked]

    run(main)


def test_what_a_client_is_known_by_goes_to_no_other_issuer(tmp_path):
    async def main():
        with issuing() as issuer, issuing() as mine, web("modern", issuer=issuer) as server:
            oauth = OAuth("me", "s-1", grant="client_credentials", issuer=mine.url)
            async with serving(server.config(tokens=tmp_path, oauth=oauth)) as servers:
                await servers.settled()
                assert "issuer" in servers.statuses["lean"].detail
            assert "/token" not in [path for path, _ in issuer.asked + mine.asked]

    run(main)


class Slow:
    """A person who takes their time to sign in."""

    def __init__(self, seconds=0.0):
        self.seconds, self.asked = seconds, []

    def knows(self, server, token):
        pass

    def here(self, server, scopes):
        return True

    async def lead(self, where):
        self.asked.append((where.server, where.host, where.scopes))
        await anyio.sleep(self.seconds)
        await browse(where)
        return await where.visited()


def test_while_somebody_signs_in_no_deadline_passes_and_they_are_asked_once(tmp_path):
    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            config = server.config(tokens=tmp_path, startup_timeout=3.0, tool_timeout=1.5)
            person = Slow(4.0)
            async with serving(config, person=person) as servers:
                await servers.settled()
                assert servers.statuses["lean"].state == "ready"
                issuer.valid.clear()
                issuer.refresh, person.seconds = "taken back", 2.0
                results = []

                async def add():
                    results.append((await call(servers, "lean__add", {"a": 1, "b": 1})).outcome)

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(add)
                    tasks.start_soon(add)
                assert results == ["ok", "ok"]
            assert person.asked == [("lean", "127.0.0.1", "jugs")] * 2

    run(main)


def test_who_signed_in_and_is_not_let_in_is_not_led_there_with_each_call(tmp_path):
    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            person = Slow()
            async with serving(server.config(tokens=tmp_path), person=person) as servers:
                await servers.settled()
                issuer.useless = True
                issuer.valid.clear()
                for _ in range(3):
                    issuer.refresh = "taken back"
                    result = await call(servers, "lean__add", {"a": 1, "b": 1})
                    assert (result.outcome, result.cause) == ("error", "server_down")
            assert len(person.asked) == 2

    run(main)
