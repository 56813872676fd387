"""What the user wrote in servers.toml, checked and resolved: immutable values that every room may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from host.core.policy import Rule
from host.core.types import Effect, Limits, canonical

if TYPE_CHECKING:
    from host.core.pins import Pins

Level = Literal["strict", "workspace", "off"]
Origin = Literal["admin", "user", "project"]
Wire = Literal["responses", "chat", "messages"]
Reasoning = Literal["none", "encrypted", "adaptive", "budget"]
SchemaDialect = Literal["openai", "anthropic", "plain"]
LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
Grant = Literal["authorization_code", "client_credentials", "jwt_bearer"]
OutputKey = Literal["max_tokens", "max_completion_tokens"]
ToolMode = Literal["native", "schema"]


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """What people said of one tool. `effect` and `open` confirm; None is unconfirmed. `timeout` in seconds. `approval`
    is another host's key: a wish that `lock` shows, which allows nothing."""

    effect: Effect | None = None
    open: bool | None = None
    timeout: float | None = None
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class Idp:
    """An identity provider that vouches for us: it exchanges its `id_token` for an assertion at `token_url`."""

    token_url: str
    client_id: str
    id_token: str
    client_secret: str | None = None


@dataclass(frozen=True, slots=True)
class OAuth:
    """How we are known to a server's sign-in, where it does not let us introduce ourselves. `client_metadata_url` is
    the address of a document that does it, `issuer` who gave us what we are known by, which goes nowhere else. Without
    a person (`grant`) it is the secret, the `private_key` or the word of `idp` that lets us in."""

    client_id: str | None = None
    client_secret: str | None = None
    client_metadata_url: str | None = None
    scopes: tuple[str, ...] = ()
    grant: Grant = "authorization_code"
    issuer: str | None = None
    private_key: str | None = None
    signing_algorithm: str = "RS256"
    idp: Idp | None = None


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of one server, for each prompt. None is no bound."""

    calls: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class AllowedServer:
    """A server that an admin lets people have: a command with its arguments, or an address; each text a glob."""

    command: tuple[str, ...] = ()
    url: str | None = None

    def fits(self, server: ServerConfig) -> bool:
        if server.url is not None:
            return self.url is not None and fnmatchcase(server.url, self.url)
        return len(server.argv) == len(self.command) and all(map(fnmatchcase, server.argv, self.command))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How often a server may have the model answer within one call, and how long an answer may be, in tokens."""

    calls: int = 3
    tokens: int = 2_000


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One [mcp_servers.NAME]: a `command` to start or a `url` to talk to. Paths are absolute, times in seconds, `env`
    and `headers` interpolated. What is signed in for is kept in the folder `tokens`. `instructions`: what the server
    says to models reaches them; `log_level`: from where on its own log is asked for, None not at all. `roots` are the
    folders that it is told of; without `sampling` it may ask nothing of the model. A process that is started may do
    what `sandbox` lets it: besides that `network`, and `paths` that it may write; our `home` it never sees."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_vars: tuple[str, ...] = ()
    cwd: Path = Path()
    enabled: bool = True
    required: bool = False
    startup_timeout: float = 20.0
    tool_timeout: float = 60.0
    enabled_tools: tuple[str, ...] | None = None
    disabled_tools: tuple[str, ...] = ()
    parallel: bool = False
    trust_hints: bool = False
    tools: Mapping[str, ToolSettings] = field(default_factory=dict)
    origin: Origin = "user"
    file: Path = Path("servers.toml")
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    oauth: OAuth = OAuth()
    approval: str | None = None
    tokens: Path | None = None
    limits: ServerLimits = ServerLimits()
    instructions: bool = True
    log_level: LogLevel | None = None
    roots: tuple[Path, ...] = ()
    sampling: Sampling | None = None
    sandbox: Level = "strict"
    network: bool = False
    paths: tuple[Path, ...] = ()
    home: Path | None = None

    @property
    def held(self) -> str:
        """What was asked for to hold its process, in words; nothing for a server at an address."""
        if self.url is not None or self.sandbox == "off":
            return "" if self.url is not None else "off"
        return f"{self.sandbox} with network" if self.network else self.sandbox

    @property
    def subject(self) -> str:
        """What people's words about this server are kept under: two files may each have one of the same name."""
        return f"{self.file}: {self.name}"

    @property
    def lock(self) -> Path:
        """The file that pins what this server's tools are."""
        return self.file.with_name("servers.lock")

    @property
    def argv(self) -> tuple[str, ...]:
        """The command and its arguments, or the address alone."""
        return (self.url,) if self.url is not None else (self.command, *self.args)

    @property
    def identity(self) -> str:
        """What this server is, whatever it is called: the digest of what is started where, or of its address."""
        what = [self.url] if self.url is not None else [*self.argv, str(self.cwd)]
        return sha256(canonical(what).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What is known of a model. Prices are US dollars for a million tokens, sizes tokens.

    One without a `window` takes conversations of any length, and is asked for no summary of them.
    `reasoning` is what is asked for (whatever comes goes back to its maker), `schema_dialect` what the provider takes
    of a tool's schema (None: what is usual on its wire), `output_key` how Chat Completions calls the longest answer;
    without `stream` an answer comes in one piece; `late_tools`: tools may stand in the conversation where they were
    found; `tool_mode`: schema for models that make no calls of their own (Chat Completions).
    """

    context: int = 128_000
    max_output: int | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    price_cache_read: float | None = None
    price_cache_write: float | None = None
    parallel_calls: bool = True
    images: bool = False
    reasoning: Reasoning = "none"
    schema_dialect: SchemaDialect | None = None
    output_key: OutputKey = "max_tokens"
    window: bool = True
    stream: bool = True
    late_tools: bool = False
    tool_mode: ToolMode = "native"


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One [providers.NAME]. `base_url` ends with the version on every wire; None is the SDK's own."""

    name: str
    wire: Wire | Literal["offline"]
    base_url: str | None = None
    api_key: str | None = None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FactSource:
    """Where a fact comes from: the result of a tool's successful call, at a JSON path."""

    server: str
    tool: str
    path: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One [profiles.NAME]: servers, system prompt (its text), limits, facts, rules (with the top-level ones),
    `recording` of model turns to play back, one line of `description`, `fallback` models to ask in this order when
    the chosen one cannot answer."""

    name: str
    servers: tuple[str, ...]
    prompt: str = ""
    limits: Limits = Limits()
    facts: Mapping[str, FactSource | None] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    recording: Path | None = None
    description: str = ""
    fallback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """All files, environment and flags as one value. `secrets` maps a name to a value that is never stored;
    `forbid_bypass` refuses --dangerously-bypass-approvals, whoever asks; `require_sandbox` any server outside a
    sandbox; `ceiling` bounds the limits of every profile and flag; `pins` are of servers whose lock is accepted.
    """

    home: Path
    model: str | None = None
    providers: Mapping[str, ProviderConfig] = field(default_factory=dict)
    servers: Mapping[str, ServerConfig] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    retention_days: int | None = None
    forbid_bypass: bool = False
    require_sandbox: bool = False
    ceiling: Mapping[str, Any] = field(default_factory=dict)
    pins: Mapping[str, Pins] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go: `url` takes OTLP over HTTP, `resource` says who we are, `content`: what was said and sent goes
    along."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    resource: Mapping[str, str] = field(default_factory=dict)
    content: bool = False

    @property
    def place(self) -> str:
        """The address without what may be secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
