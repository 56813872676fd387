"""Signing in at a server: its token goes with each request, is renewed when due, and asked of a person when it must be.

The SDK has the flow: discovery, registration, PKCE, exchange, renewal. What it lacks is around it: a lock that is not
held while a request runs, one renewal at a time over all processes, renewal before a person is asked also after a
restart, a check that the issuer can do PKCE, and care where a server sends us.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.utils import extract_field_from_www_auth, extract_scope_from_www_auth, union_scopes
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from pydantic import AnyUrl

from host.core.errors import HostError
from host.core.settings import OAuth, ServerConfig
from host.core.source import Guest, SignIn
from host.servers.abroad import Abroad, client
from host.servers.bodies import said
from host.servers.callback import Callback
from host.servers.http import Credentials
from host.servers.machine import unattended
from host.servers.tokens import Tokens

NAME = "agent-host"
ELSEWHERE = "http://127.0.0.1/callback"


class SignedIn(Credentials):
    """The sign-in of one server."""

    def __init__(self, config: ServerConfig, person: Guest | None = None) -> None:
        assert config.url is not None and config.tokens is not None
        self._name, self._url, self._settings, self._person = config.name, config.url, config.oauth, person
        self.tokens = Tokens(config.tokens, config.url, registered(config.oauth))
        self._told = tuple(
            each for each in (config.oauth.issuer, config.oauth.idp and config.oauth.idp.token_url) if each
        )
        self._lock = anyio.Lock()
        self._led, self._refused = 0, False

    @property
    def _alone(self) -> bool:
        """Whether it takes no person to sign in."""
        return self._settings.grant != "authorization_code"

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        await self.tokens.load()
        if self.tokens.due and not self._alone:
            await self._renewed(request, self.tokens.access)
        sent, led = self._stamp(request), self._led
        response = yield request
        if not refuses(response):
            self.trouble = ""
        elif await self._granted(request, response, sent):
            self._stamp(request)
            response = yield request
            # A person who signed in, and was not let in all the same, is not led there with each call.
            self._refused = self._refused or (self._led > led and refuses(response))

    def _stamp(self, request: httpx2.Request) -> str | None:
        token = self.tokens.access
        if token is not None:
            if self._person is not None:
                for secret in self.tokens.secret:
                    self._person.knows(self._name, secret)
            request.headers["Authorization"] = f"Bearer {token}"
        return token

    async def _renewed(self, request: httpx2.Request, old: str | None) -> bool:
        """Renew the token, unless someone else just did; whether there is a new one."""
        try:
            async with self._lock, self.tokens.locked():
                return self.tokens.access != old or await self._renew(request)
        except Exception as error:
            # Raised here it would end the connection; the old token may still do, and else the server says so.
            self.trouble = f"its token could not be renewed: {said(error)}"
            return False

    async def _granted(self, request: httpx2.Request, response: httpx2.Response, sent: str | None) -> bool:
        """Do what lets the refused request pass; whether it is worth another try."""
        try:
            async with self._lock:
                async with self.tokens.locked():
                    if self.tokens.access not in (None, sent):
                        return True
                    if response.status_code == 401 and await self._renew(request):
                        return True
                    if self._alone:
                        return await self._sign_in_alone(request, response)
                # Other processes do not wait for a person here: one of them may be where they sign in.
                return await self._sign_in(request, response)
        except Exception as error:
            self._refused = True
            # Whatever discovery and exchange come upon ends this sign-in; raised here it would end the connection.
            self.trouble = f"the sign-in failed: {said(error)}"
            return False

    async def _renew(self, request: httpx2.Request) -> bool:
        old = self.tokens.access
        if self._alone or not self.tokens.renewable:
            return False
        provider = self._provider(None, None)
        context = provider.context
        context.oauth_metadata, context.protected_resource_metadata = self.tokens.metadata()
        context.token_expiry_time = 1.0  # long ago: the flow begins with the renewal
        await self._drive(provider, request, None)
        return self.tokens.access != old

    async def _sign_in(self, request: httpx2.Request, refusal: httpx2.Response) -> bool:
        """Have a person sign in, if there is one who was not asked in vain before."""
        scopes = (extract_scope_from_www_auth(refusal) or "")[:200]
        rights = f"it asks for more rights ({scopes}); " if refusal.status_code == 403 else ""
        advice = f"{rights}sign in with: agent-host mcp login {self._name}"
        if self._refused:
            self.trouble = self.trouble or advice
            return False
        if self._person is None or not self._person.here(self._name, scopes):
            self.trouble, self._refused = advice, True
            return False
        self._led += 1
        async with Callback.open(self.tokens.redirect_uri) as callback:
            if callback.redirect_uri != self.tokens.redirect_uri:
                await self.tokens.forget("client")  # it is registered for one address to be called back at
            provider = self._provider(self._person, callback)
            await self._drive(provider, request, wanting(refusal, self._settings.scopes))
        return True

    async def _sign_in_alone(self, request: httpx2.Request, refusal: httpx2.Response) -> bool:
        old = self.tokens.access
        async with client(Abroad(self._url, self._told)) as abroad:
            flow = unattended(self._url, self._settings, self.tokens, abroad.send)
            await self._drive(flow, request, wanting(refusal, self._settings.scopes))
        return self.tokens.access != old

    async def _drive(self, provider: httpx2.Auth, request: httpx2.Request, refusal: httpx2.Response | None) -> None:
        """Run the SDK's flow without the request that it is about, of which only the refusal is told."""
        about = httpx2.Request(request.method, request.url, headers=request.headers)
        flow = provider.async_auth_flow(about)
        answers = [refusal] if refusal is not None else []
        try:
            async with client(Abroad(self._url, self._told)) as abroad:
                outgoing = await anext(flow)
                while outgoing is not about or answers:
                    answer = answers.pop() if outgoing is about else await abroad.send(outgoing)
                    outgoing = await flow.asend(answer)
        except StopAsyncIteration:
            pass
        finally:
            await flow.aclose()

    def _provider(self, person: Guest | None, callback: Callback | None) -> OAuthClientProvider:
        redirect = callback.redirect_uri if callback else self.tokens.redirect_uri or ELSEWHERE
        ended = ""

        async def lead(url: str) -> None:
            nonlocal ended
            about, context = httpx2.URL(url), provider.context
            methods = context.oauth_metadata.code_challenge_methods_supported if context.oauth_metadata else ["S256"]
            if "S256" not in (methods or ()):
                raise HostError("its issuer does not say that it protects the code on its way (PKCE with S256)")
            await Abroad(self._url, self._told).judge(about)
            await self.tokens.remember(context.oauth_metadata, context.protected_resource_metadata)
            assert person is not None and callback is not None
            callback.expect(url)
            scopes = context.client_metadata.scope or ""
            host = about.raw_host.decode("ascii")
            ended = await person.lead(SignIn(self._name, str(about), host, scopes, callback.visited))

        async def hear() -> AuthorizationCodeResult:
            return read_redirect(ended)

        provider = OAuthClientProvider(
            self._url,
            OAuthClientMetadata(
                client_name=NAME,
                redirect_uris=[AnyUrl(redirect)],
                grant_types=["authorization_code", "refresh_token"],
                response_types=["code"],
                application_type="native",
            ),
            self.tokens,
            lead,
            hear,
            self._settings.client_metadata_url,
        )
        return provider


def sign_in_of(config: ServerConfig, person: Guest | None) -> SignedIn | None:
    """The sign-in of a server that is not given its token otherwise."""
    given = any(name.lower() == "authorization" for name in config.headers)
    return None if given or config.tokens is None else SignedIn(config, person)


def registered(settings: OAuth) -> OAuthClientInformationFull | None:
    """The client that the user registered beforehand."""
    if settings.client_id is None:
        return None
    method = "client_secret_basic" if settings.client_secret else "none"
    return OAuthClientInformationFull(
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        token_endpoint_auth_method=method,
        issuer=settings.issuer,
    )


def refuses(response: httpx2.Response) -> bool:
    return response.status_code == 401 or lacks_scope(response)


def lacks_scope(response: httpx2.Response) -> bool:
    return response.status_code == 403 and extract_field_from_www_auth(response, "error") == "insufficient_scope"


def wanting(refusal: httpx2.Response, scopes: tuple[str, ...]) -> httpx2.Response:
    """The refusal, asking also for the scopes that the user wants."""
    if not scopes:
        return refusal
    wanted = union_scopes(extract_scope_from_www_auth(refusal), " ".join(scopes))
    old = re.sub(r'\bscope="?[^",]*"?,?\s*', "", refusal.headers.get("www-authenticate", "Bearer")).rstrip(", ")
    header = f'{old}{"," if "=" in old else ""} scope="{wanted}"'
    return httpx2.Response(refusal.status_code, headers={"WWW-Authenticate": header}, request=refusal.request)


def read_redirect(url: str) -> AuthorizationCodeResult:
    """What the issuer says by the address that it sends a person to. Raises HostError where that is no code."""
    said = {name: values[0] for name, values in parse_qs(urlsplit(url.strip()).query).items()}
    if "code" not in said:
        error = re.sub(r"[^a-z_]", "", said.get("error", ""))[:40]
        raise HostError(f"the issuer refused: {error}" if error else "there is no code in that address")
    return AuthorizationCodeResult(code=said["code"], state=said.get("state"), iss=said.get("iss"))
