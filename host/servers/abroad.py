"""Requests to addresses that a server names: to the public network by https, not to what lies near this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import anyio
import httpx2

from host.core.errors import HostError
from host.servers.bodies import Bounded
from host.servers.http import origin

LARGEST = 1024 * 1024
SECONDS = 15.0
Ip = IPv4Address | IPv6Address
_TRANSLATED = IPv6Network("64:ff9b::/96")


class Abroad(httpx2.AsyncBaseTransport):
    """A server may name any address. It gets us to its own origin and to public ones; one whose address the user wrote
    as a number of a private network also to others there, one on this machine also to others on it. What a name
    stands for does not count for that: its owner may change it between two questions. What the user named, `told`,
    is gone to wherever it is."""

    def __init__(self, home: str, told: Iterable[str] = ()) -> None:
        self._home = httpx2.URL(home)
        self._told = {origin(httpx2.URL(url)) for url in told}
        self._near = _written(self._home.host)
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = request if origin(request.url) in {*self._told, origin(self._home)} else await self._pinned(request)
        response = await self._inner.handle_async_request(sent)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = Bounded(response.stream, LARGEST)
        return response

    async def _pinned(self, request: httpx2.Request) -> httpx2.Request:
        """The request to the very address that was judged: a name may lead elsewhere the next time it is asked."""
        address = await self.permit(request.url)
        return httpx2.Request(
            request.method,
            request.url.copy_with(host=str(address)),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )

    async def judge(self, url: httpx2.URL) -> None:
        """Whether a person may be led there. Raises HostError."""
        if url.userinfo or origin(url) not in self._told:
            await self.permit(url)

    async def permit(self, url: httpx2.URL) -> Ip:
        """The address of a permitted URL. Raises HostError."""
        shown = f"{url.scheme}://{url.host}"
        if url.userinfo or not url.host:
            raise HostError(f"{shown} is not an address to go to: it carries a name or no host")
        found = await addresses(url.host)
        nearest = max(found, key=nearness)
        if nearness(nearest) > self._near:
            raise HostError(
                f"{shown} leads to {nearest}, which is not on the public network; it is not followed "
                "(if it is yours, name it as oauth.issuer)"
            )
        if url.scheme != "https" and not (url.scheme == "http" and all(each.is_loopback for each in found)):
            raise HostError(f"{shown} is not https")
        return found[0]

    async def aclose(self) -> None:
        await self._inner.aclose()


async def addresses(host: str) -> list[Ip]:
    """What a name stands for. Raises HostError."""
    try:
        return [_plain(ip_address(host))]
    except ValueError:
        pass
    try:
        found = await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise HostError(f"{host} cannot be found: {error}") from None
    return [_plain(ip_address(str(place[0]).partition("%")[0])) for *_, place in found]


PUBLIC, PRIVATE, HERE, NEVER = range(4)


def nearness(address: Ip) -> int:
    """How near to this machine an address is. What gives out the keys of a cloud's machine (169.254/16) is followed
    for nobody, nor is what stands for no machine."""
    if address.is_global and not address.is_multicast:
        return PUBLIC
    if address.is_loopback:
        return HERE
    odd = address.is_link_local or address.is_unspecified or address.is_multicast or address.is_reserved
    return NEVER if odd else PRIVATE


def _written(host: str) -> int:
    """How near the host of a server is, by what the user wrote."""
    if host == "localhost":
        return HERE
    try:
        near = nearness(_plain(ip_address(host)))
    except ValueError:
        return PUBLIC
    return PUBLIC if near == NEVER else near


def _plain(address: Ip) -> Ip:
    """An IPv4 address in the clothes of IPv6 is judged as what it is."""
    if not isinstance(address, IPv6Address):
        return address
    inside = IPv4Address(int(address) & 0xFFFF_FFFF) if address in _TRANSLATED else None
    return address.ipv4_mapped or address.sixtofour or inside or address


def client(transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=transport, timeout=SECONDS, trust_env=False, follow_redirects=False)
