"""What may stand in servers.toml, section by section. An unknown key is an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from host.core.settings import Grant, Level, LogLevel, OutputKey, Reasoning, SchemaDialect, ToolMode, Wire
from host.core.types import Effect


def _shaped(pattern: str, meaning: str) -> Callable[[str], str]:
    """A check that a text looks like `pattern`; `meaning` tells a person what that is."""

    def check(text: str) -> str:
        if not re.match(pattern, text):
            raise ValueError(f"should be {meaning}")
        return text

    return check


Number = Annotated[Any, WithJsonSchema({"type": "number"})]
Count = Annotated[int, Field(gt=0)]
Amount = Annotated[float, Field(gt=0)]
Price = Annotated[float, Field(ge=0)]
Filled = Annotated[str, Field(min_length=1)]
Approval = Literal["auto", "prompt", "writes", "approve"]
ModelName = Annotated[str, AfterValidator(_shaped(r"[^/]+/.", 'written "provider/model"'))]
Address = Annotated[str, AfterValidator(_shaped(r"https?://[^\s/]", "an address that begins with http:// or https://"))]


class Section(BaseModel):
    """A table of the file. `refused` says, for keys that others know, why they are not taken here."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)
    refused: ClassVar[dict[str, str]] = {}


class ToolSection(Section):
    """[mcp_servers.NAME.tools.TOOL]: what people say of one tool."""

    refused: ClassVar[dict[str, str]] = {"enabled": "use enabled_tools or disabled_tools"}
    approval_mode: Approval | None = None
    effect: Effect | None = None
    open: bool | None = None
    timeout_sec: Amount | None = None


class IdpSection(Section):
    """oauth.idp = { … }: the identity provider that vouches for us: where it exchanges tokens, how it knows us, and the
    token of identity that it gave."""

    token_url: Address
    client_id: Filled
    client_secret: Filled | None = None
    id_token: Filled


class OAuthSection(Section):
    """oauth = { … }: how we are known where we sign in, and what for; without it we introduce ourselves.

    `grant`: authorization_code is a person in a browser; client_credentials is the client itself, with its secret or a
    private key; jwt_bearer is the word of an identity provider (`idp`). The latter two go to `issuer` and to no other.
    """

    grant: Grant = "authorization_code"
    issuer: Address | None = None
    client_id: Filled | None = None
    client_secret: Filled | None = None
    private_key: Filled | None = None
    signing_algorithm: Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"] = "RS256"
    idp: IdpSection | None = None
    client_metadata_url: Annotated[
        str | None, AfterValidator(_shaped(r"https://[^/\s]+/.", "an https:// address with a path"))
    ] = None
    scopes: list[str] = []


class ServerLimitsSection(Section):
    """limits = { … } of a server, for each prompt: how many calls, and how many seconds they take together."""

    calls: Count | None = None
    seconds: Amount | None = None


class SamplingSection(Section):
    """[mcp_servers.NAME.sampling]: that it is there lets the server ask the model, with a person's yes each time."""

    calls: Count = 3
    tokens: Count = 2_000


class ServerSection(Section):
    """[mcp_servers.NAME]: how a server is started or where it is, and what is known of its tools."""

    refused: ClassVar[dict[str, str]] = {
        "http_headers": "this key is called headers here",
        "env_http_headers": 'write headers = { Name = "${VARIABLE}" }',
        "bearer_token": "a token does not stand in a file: name its variable with bearer_token_env_var",
        "oauth_resource": "the address of the server is what is asked for",
        "scopes": "write oauth = { scopes = [...] }",
        "supports_parallel_tool_calls": "this key is called parallel here",
        "startup_timeout_ms": "write startup_timeout_sec, in seconds",
    }
    command: Filled | None = None
    url: Filled | None = None
    headers: dict[str, str] = {}
    bearer_token_env_var: Filled | None = None
    oauth: OAuthSection = OAuthSection()
    args: list[str] = []
    env: dict[str, str] = {}
    env_vars: list[str] = []
    cwd: str = "."
    enabled: bool = True
    required: bool = False
    startup_timeout_sec: Amount = 20.0
    tool_timeout_sec: Amount = 60.0
    enabled_tools: list[str] | None = None
    disabled_tools: list[str] = []
    parallel: bool = False
    sandbox: Level = "strict"
    network: bool = False
    paths: list[Filled] = []
    trust_hints: bool = False
    instructions: bool = True
    log_level: LogLevel | None = None
    default_tools_approval_mode: Approval | None = None
    tools: dict[str, ToolSection] = {}
    limits: ServerLimitsSection = ServerLimitsSection()
    roots: list[Filled] = []
    sampling: SamplingSection | None = None


class ModelSection(Section):
    """[providers.NAME.models."MODEL"]: what the table of known models does not say. Prices for a million tokens.

    `reasoning`: encrypted (Responses: send the model's own thoughts back to it), adaptive or budget (Messages: let it
    think as it sees fit, or with half of max_output). `schema_dialect`: what the endpoint takes of a tool's schema.
    `output_key`: how Chat Completions is told max_output. `stream = false`: the answer is asked for in one piece.
    `late_tools`: tools that were searched for may stand where they were found (Responses, Messages).
    `tool_mode = "schema"`: for small models that make no tool calls; each answer is made to fit a form (Chat).
    """

    context: Count | None = None
    max_output: Count | None = None
    price_in: Price | None = None
    price_out: Price | None = None
    price_cache_read: Price | None = None
    price_cache_write: Price | None = None
    parallel_calls: bool | None = None
    images: bool | None = None
    reasoning: Reasoning | None = None
    schema_dialect: SchemaDialect | None = None
    output_key: OutputKey | None = None
    stream: bool | None = None
    late_tools: bool | None = None
    tool_mode: ToolMode | None = None


class ProviderSection(Section):
    """[providers.NAME]: an endpoint that serves models, and the wire it speaks: OpenAI's Responses, OpenAI's Chat
    Completions (what compatible servers speak), or Anthropic's Messages."""

    wire: Wire | None = None
    base_url: Address | None = None
    api_key: str | None = None
    models: dict[str, ModelSection] = {}

    @model_validator(mode="after")
    def _schema_mode_is_of_chat(self) -> Self:
        if self.wire != "chat" and any(model.tool_mode == "schema" for model in self.models.values()):
            raise ValueError('tool_mode = "schema" needs wire = "chat" in the same table')
        return self


class ConditionSection(Section):
    """Conditions on the value at one path of the arguments; all must hold."""

    equals: Any = None
    not_equals: Any = None
    in_: Annotated[Any, WithJsonSchema({"type": "array"})] = Field(default=None, alias="in")
    min: Number = None
    max: Number = None
    regex: str = ""
    glob: str = ""
    path: str = ""


class RuleSection(Section):
    """[[rules]] or [[profiles.NAME.rules]]: a standing decision about calls."""

    id: Filled | None = None
    server: Filled
    tool: Filled
    args: dict[str, ConditionSection] = {}
    needs: list[str] = []
    verdict: Literal["allow", "ask", "deny"]
    grantable: bool = True
    reason: str = ""
    match: list[dict[str, Any]] = []
    not_match: list[dict[str, Any]] = []


class LimitsSection(Section):
    """limits = { … }: model requests, calls and seconds for each prompt; tokens and usd for a session."""

    turns: Count | None = None
    calls: Count | None = None
    seconds: Amount | None = None
    tokens: Count | None = None
    usd: Amount | None = None
    result_tokens: Count | None = None
    repeats: Count | None = None


class AllowedSection(Section):
    """One of allowed_servers: the command and its arguments, each an exact glob, or a glob on the address."""

    command: list[str] | None = None
    url: Filled | None = None


class FromSection(Section):
    """from = { server, tool, path }: the call whose result sets a fact."""

    server: str
    tool: str
    path: str


class FactSection(Section):
    """[profiles.NAME.facts.FACT]"""

    from_: FromSection | None = Field(default=None, alias="from")


class ProfileSection(Section):
    """[profiles.NAME]: servers, prompt, limits, facts and rules of one use."""

    description: str = ""
    servers: list[str] | None = None
    prompt: str | None = None
    limits: LimitsSection = LimitsSection()
    facts: dict[str, FactSection] = {}
    rules: list[RuleSection] = []
    recording: str | None = None
    fallback: list[ModelName] | None = None


class FileSection(Section):
    """A whole servers.toml.

    `fallback`: models to ask, in this order, when the chosen one fails for good before it has said a word. It stands
    at the top for all profiles, or in one of them in its place.
    """

    refused: ClassVar[dict[str, str]] = {
        "retention_days": "deleting by age is not available in this version; agent-host session delete ID removes one",
        "apis": "API sources are not available in this version",
        "mcpServers": "write [mcp_servers.NAME] tables",
        "approval_policy": "approvals are rules here: write a [[rules]] entry with server, tool and verdict",
        "sandbox_mode": 'write sandbox = "strict", "workspace" or "off" in [mcp_servers.NAME]',
        "model_provider": 'write model = "provider/model"',
        "model_providers": "write [providers.NAME] tables",
    }
    model: ModelName | None = None
    fallback: list[ModelName] | None = None
    forbid_bypass: bool = False
    require_sandbox: bool = False
    allowed_servers: list[AllowedSection] | None = None
    limits: LimitsSection = LimitsSection()
    providers: dict[str, ProviderSection] = {}
    mcp_servers: dict[str, ServerSection] = {}
    profiles: dict[str, ProfileSection] = {}
    rules: list[RuleSection] = []
