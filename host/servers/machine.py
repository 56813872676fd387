"""Signing in without a person: by the client's own secret or key, or on the word of an identity provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider

from host.core.errors import HostError
from host.core.settings import Idp, OAuth
from host.servers.tokens import Tokens

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"

Send = Callable[[httpx2.Request], Awaitable[httpx2.Response]]


def unattended(url: str, settings: OAuth, tokens: Tokens, send: Send) -> httpx2.Auth:
    """The SDK's flow for a grant that needs nobody; `send` reaches the identity provider."""
    id, secret, issuer = settings.client_id or "", settings.client_secret or "", settings.issuer or ""
    scope = " ".join(settings.scopes) or None
    if settings.idp is not None:
        vouched = Vouched(settings.idp, send)
        return IdentityAssertionOAuthProvider(
            url, tokens, id, secret, issuer, vouched.assertion, scope, "client_secret_basic"
        )
    if settings.private_key is None:
        return ClientCredentialsOAuthProvider(url, tokens, id, secret, scope=scope, issuer=issuer)
    signed = SignedJWTParameters(
        issuer=id, subject=id, signing_key=settings.private_key, signing_algorithm=settings.signing_algorithm
    )
    return PrivateKeyJWTOAuthProvider(url, tokens, id, signed.create_assertion_provider(), scope, issuer)


class Vouched:
    """What an identity provider says of us: it exchanges its own token of identity for one that another issuer takes
    (RFC 8693, an ID-JAG)."""

    def __init__(self, idp: Idp, send: Send) -> None:
        self._idp, self._send = idp, send

    async def assertion(self, audience: str, resource: str) -> str:
        """The word for `audience`, to be let in at `resource`. Raises HostError."""
        idp = self._idp
        form = {
            "grant_type": EXCHANGE,
            "requested_token_type": ID_JAG,
            "subject_token": idp.id_token,
            "subject_token_type": ID_TOKEN,
            "audience": audience,
            "resource": resource,
            "client_id": idp.client_id,
        }
        secret = {"client_secret": idp.client_secret} if idp.client_secret else {}
        answer = await self._send(httpx2.Request("POST", idp.token_url, data=form | secret))
        said = await _object(answer)
        if said.get("issued_token_type") != ID_JAG or not isinstance(said.get("access_token"), str):
            why = said.get("error") if isinstance(said.get("error"), str) else f"{answer.status_code}"
            raise HostError(f"the identity provider does not vouch for us ({str(why)[:60]})")
        token: str = said["access_token"]
        return token


async def _object(answer: httpx2.Response) -> dict[str, Any]:
    await answer.aread()
    try:
        said = answer.json()
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}
