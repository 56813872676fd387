"""Where a server leads us while we sign in: nowhere near, and with a token nowhere but to itself."""

import socket
import threading
from contextlib import contextmanager

import anyio
import httpx2
import pytest
from issuer import issuing
from serving import call, run, serving
from web import web

from host.core.errors import HostError
from host.servers.abroad import Abroad, client
from host.servers.login import login

PUBLIC = "https://93.184.216.34/mcp"
HOMES = (PUBLIC, "https://10.0.0.1/mcp", "http://127.0.0.1:8/mcp")
NEVER = ("169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]", "0.0.0.0")
PRIVATE = ("10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "[fd00::1]")


@contextmanager
def listening():
    """A listener on this machine, and who came."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def accept():
            while True:
                try:
                    stream, peer = server.accept()
                except OSError:
                    return
                came.append(peer)
                stream.close()

        threading.Thread(target=accept, daemon=True).start()
        yield port, came
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("home", [PUBLIC, "https://10.1.2.3/mcp", "https://mcp.example/mcp"])
def test_a_server_elsewhere_makes_no_connection_to_this_machine_in_any_spelling(home, scheme):
    hosts = ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0.0.0.0", "[::1]"]
    hosts += ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "127.0.0.1."]

    async def main():
        with listening() as (port, came):
            async with client(Abroad(home)) as abroad:
                for host in hosts:
                    with pytest.raises((HostError, httpx2.InvalidURL, httpx2.TransportError)):
                        await abroad.get(f"{scheme}://{host}:{port}/x")
            assert came == []

    run(main)


@pytest.mark.parametrize(
    ("home", "url"),
    [
        *[
            (home, "http://169.254.169.254/latest")
            for home in (PUBLIC, "http://127.0.0.1:8/mcp", "https://10.0.0.1/mcp")
        ],
        *[
            ("http://127.0.0.1:8/mcp", f"https://{host}/x")
            for host in ("[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0")
        ],
        *[
            (PUBLIC, f"https://{host}/x")
            for host in ("10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "[fd00::1]")
        ],
        (PUBLIC, "file:///etc/passwd"),
        (PUBLIC, "http://93.184.216.35/x"),
        (PUBLIC, "https://me@93.184.216.35/x"),
    ],
)
def test_some_addresses_are_for_nobody_and_private_ones_for_their_neighbours(home, url):
    async def main():
        with pytest.raises((HostError, httpx2.InvalidURL)):
            await Abroad(home).permit(httpx2.URL(url))

    run(main)


def test_what_is_near_is_followed_for_what_is_as_near_and_what_the_user_named_always():
    async def main():
        assert str(await Abroad("https://10.0.0.1/mcp").permit(httpx2.URL("https://10.0.0.2/x"))) == "10.0.0.2"
        assert str(await Abroad("http://127.0.0.1:8/mcp").permit(httpx2.URL("http://127.0.0.1:9/x"))) == "127.0.0.1"
        await Abroad(PUBLIC, ["https://10.0.0.9"]).judge(httpx2.URL("https://10.0.0.9/authorize"))

    run(main)


def test_a_redirect_is_not_followed_to_another_place(tmp_path):
    async def main():
        with listening() as (port, came), issuing() as issuer, web("modern", issuer=issuer) as server:
            issuer.redirects = f"http://127.0.0.1:{port}/metadata"
            with pytest.raises(HostError), anyio.fail_after(20):
                await login(server.config(tokens=tmp_path), never)
            assert came == []

    run(main)


def test_a_token_goes_to_the_server_that_it_is_for_and_nowhere_else(tmp_path):
    async def main():
        with issuing() as issuer, web("modern", issuer=issuer) as server:
            config = server.config(tokens=tmp_path)
            with anyio.fail_after(20):
                await login(config, browse)
            issuer.valid.clear()
            async with serving(config) as servers:
                await servers.settled()
                assert (await call(servers, "lean__add", {"a": 1, "b": 1})).outcome == "ok"
            with web("modern") as other:
                async with serving(other.config(tokens=tmp_path)) as servers:
                    await servers.settled()
                assert other.received and not [one for one in other.received if "authorization" in one.headers]
            assert not [one for one in issuer.headers if "access-" in str(one)]
            found = [one for one in server.received if one.path != "/mcp"]
            assert found and not [one for one in found if "authorization" in one.headers]
            assert {form["resource"] for form in issuer.grants("refresh_token")} == {server.url}

    run(main)


@pytest.mark.parametrize(
    "authorize",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "--help",
        "http://$(touch ran)/",
        "https://a@127.0.0.1/",
        "http://93.184.216.34/authorize",
        "https://169.254.169.254/authorize",
    ],
)
def test_a_person_is_led_to_web_addresses_only(tmp_path, authorize):
    led = []

    async def main():
        async def show(where):
            led.append(where)

        with issuing(authorize=authorize) as issuer, web("modern", issuer=issuer) as server:
            with pytest.raises(HostError), anyio.fail_after(20):
                await login(server.config(tokens=tmp_path), show)
            assert led == []

    run(main)


async def never(where):
    raise AssertionError(f"led to {where.url}")


async def browse(where):
    async with httpx2.AsyncClient(trust_env=False) as browser:
        await browser.get(where.url, follow_redirects=True)
