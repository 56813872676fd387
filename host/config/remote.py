"""What a server at an address is told in servers.toml: the address, headers, a token, how we sign in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from host.config.sections import OAuthSection, ServerSection
from host.core.settings import Idp, OAuth

LOCAL = ("command", "args", "env", "env_vars", "cwd", "sandbox", "network", "paths")
REMOTE = ("headers", "bearer_token_env_var", "oauth")
_OURS = re.compile(r"(?i)host|connection|content-.*|accept.*|transfer-encoding|mcp-.*|cookie|proxy-.*")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SECRET = re.compile(r"(?i)authorization|.*(key|token|secret|password).*")
Problem = tuple[tuple[str, ...], str]


@dataclass(slots=True)
class Remote:
    """What was read: the headers that go with every request, which of them are secrets, and what is wrong."""

    headers: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_remote(section: ServerSection, environ: Mapping[str, str], secret: Collection[str] = ()) -> Remote:
    """Read the keys of a server that has a `url`; `secret` are the headers whose values refer to a secret."""
    read = Remote()
    url = section.url or ""
    if problem := address_problem(url):
        read.problems.append((("url",), problem))
    for key in LOCAL:
        if key in section.model_fields_set:
            read.problems.append(((key,), "belongs to a server that is started; this one has a url"))
    for name, value in section.headers.items():
        read.headers[name] = value
        read.problems += [(("headers", name), what) for what in _header_problems(name, value)]
        if _SECRET.fullmatch(name) or name in secret:
            read.secrets[name] = value.removeprefix("Bearer ")
    read.problems += _oauth_problems(section.oauth)
    if variable := section.bearer_token_env_var:
        _bearer(read, variable, environ)
    if read.secrets and urlsplit(url).scheme == "http" and not loopback(urlsplit(url).hostname or ""):
        read.problems.append((("url",), "a secret would travel readable for all on its way: write https://"))
    return read


def _bearer(read: Remote, variable: str, environ: Mapping[str, str]) -> None:
    token = environ.get(variable, "").strip()
    at = ("bearer_token_env_var",)
    if any(name.lower() == "authorization" for name in read.headers):
        read.problems.append((at, "headers has Authorization already; one of the two"))
    if not token:
        read.problems.append((at, f"the variable {variable} is not set"))
    elif not token.isascii() or not token.isprintable():
        read.problems.append((at, f"what {variable} holds cannot be a token"))
    read.headers["Authorization"] = f"Bearer {token}"
    read.secrets[variable] = token


def _header_problems(name: str, value: str) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield "not a name for a header"
    elif _OURS.fullmatch(name):
        yield "this header is set by the program itself"
    if not value.isascii() or not value.isprintable():
        yield "a header's value is one line of ASCII"


def address_problem(url: str) -> str | None:
    """What keeps a text from being the address of a server."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "should be an address that begins with https:// or http://, in ASCII"
    if parts.username is not None or parts.password is not None:
        return "a name or password in an address is shown and stored: use headers or bearer_token_env_var"
    if parts.fragment:
        return "an address of a server has no part after #"
    return None


def loopback(host: str) -> bool:
    """Whether this name is the machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def oauth_of(section: ServerSection) -> OAuth:
    said = section.oauth
    idp = Idp(**said.idp.model_dump()) if said.idp else None
    return OAuth(**said.model_dump(exclude={"idp", "scopes"}), idp=idp, scopes=tuple(said.scopes))


def _oauth_problems(said: OAuthSection) -> Iterator[Problem]:
    """What is missing for a sign-in without a person, what is of no use, and what would travel readable."""
    needs = {
        "authorization_code": (),
        "client_credentials": ("issuer", "client_id"),
        "jwt_bearer": ("issuer", "client_id", "client_secret", "idp"),
    }[said.grant]
    for key in needs:
        if getattr(said, key) is None:
            yield ("oauth", key), f'is missing; grant = "{said.grant}" needs it'
    if said.grant == "client_credentials" and (said.client_secret is None) == (said.private_key is None):
        yield ("oauth",), 'grant = "client_credentials" needs client_secret or private_key, one of the two'
    for key, grant in (("private_key", "client_credentials"), ("idp", "jwt_bearer")):
        if getattr(said, key) is not None and said.grant != grant:
            yield ("oauth", key), f'belongs to grant = "{grant}"'
    for at, url in (
        (("oauth", "issuer"), said.issuer),
        (("oauth", "idp", "token_url"), said.idp and said.idp.token_url),
    ):
        if url and (problem := address_problem(url)):
            yield at, problem
        elif url and urlsplit(url).scheme == "http" and not loopback(urlsplit(url).hostname or ""):
            yield at, "a secret would travel readable for all on its way: write https://"
