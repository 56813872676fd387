"""One life of one server: a process or an address, the SDK's session on it, and the one task that enters, serves and
leaves both.
What a server does wrong becomes a result or a reason, never an exception."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio
import mcp_types as types
from mcp import ClientSession, MCPError
from mcp.client.session import ClientRequestContext
from mcp.shared.inbound import find_invalid_x_mcp_header
from pydantic import FileUrl, RootModel, ValidationError

from host import __version__
from host.core.catalog import definition_digest
from host.core.errors import HostError
from host.core.policy import presumed_effect
from host.core.schema import schema_problem, unenforced
from host.core.settings import ServerConfig, ToolSettings
from host.core.source import ELICITATION, ROOTS, ROUNDS, Ask, Era, Person, Progress, Round, What
from host.core.types import CallResult, Contents, InputRequired, ToolSpec
from host.servers.apart import broken_promise
from host.servers.auth import SignedIn, sign_in_of
from host.servers.bodies import said
from host.servers.era import era_of, settle
from host.servers.http import FAILED, REFUSED, UNSENT, HttpServer
from host.servers.legacy import Questions
from host.servers.logs import ServerLog, Tap, Wants, hush
from host.servers.news import News
from host.servers.patience import Deadlines, Patience
from host.servers.stdio import ServerProcess
from host.servers.wire import UNREADABLE, first_problem, large_result

KEY = "io.agent-host/idempotency-key"
PAGES = 100
RELIST_SECONDS = 30.0
FRESH_SECONDS = 5.0
INSTRUCTIONS = 8_000
CLOSED = "Connection closed"

Raw = RootModel[dict[str, Any]]


class Connection:
    """`given` is what the server gets: variables, or headers if it is at an address. `ready` is whether it ever was.
    `tools` have no exposed name yet: names are given over all servers of a session."""

    def __init__(
        self,
        config: ServerConfig,
        given: Mapping[str, str],
        log: ServerLog,
        known: Era | None = None,
        tap: Tap | None = None,
        auth: SignedIn | None = None,
        person: Person | None = None,
        deadlines: Deadlines | None = None,
        wants: Wants | None = None,
        news: Callable[[What, str | None], None] = lambda what, uri: None,
    ) -> None:
        self.process: ServerProcess | HttpServer
        if config.url is not None:
            self.process = HttpServer(config.url, given, log, tap, auth or sign_in_of(config, person))
        else:
            self.process = ServerProcess(config, given, log, tap)
        self.tools: list[ToolSpec] = []
        self.quarantined: dict[str, str] = {}
        self.trouble = ""
        self.protocol: str | None = None
        self.about = self.says = self.instructions = ""
        self.kept: dict[str, tuple[float, list[Any]]] = {}
        self.probe = ""
        self.offers = types.ServerCapabilities()
        self.ready = False
        self.took = 0.0
        self._config, self._known, self._log, self._person = config, known, log, person
        self._questions, self._deadlines = Questions(), deadlines or Deadlines()
        self._stale, self._fresh = anyio.Event(), anyio.Event()
        self._wants, self._tell = wants or Wants(), news
        self._news = News(self._wants, log, self._told)
        self._client: ClientSession

    @property
    def client(self) -> ClientSession:
        """The SDK's end of it, once it is ready."""
        return self._client

    @property
    def era(self) -> Era:
        return era_of(self.protocol or "")

    async def run(self, changed: Callable[[], None]) -> str:
        """Live until the process ends, or until cancelled; says `changed` when ready and at each new listing.
        Returns why it ended."""
        hush()
        self._began = anyio.current_time()
        try:
            async with self.process.transport() as (read, write):
                client = ClientSession(
                    read,
                    write,
                    client_info=types.Implementation(name="agent-host", version=__version__),
                    elicitation_callback=self._questions.elicited,
                    sampling_callback=self._questions.sampled if self._config.sampling else None,
                    list_roots_callback=self._listed_roots if self._config.roots else None,
                    message_handler=self._news.heard,
                )
                async with client:
                    self.probe = await settle(client, self._known)
                    self._settled(client)
                    await self._serve(changed)
        except Exception as error:
            # Whatever the server made the SDK raise ends this life and nothing else.
            if self.process.closing or not self.process.spawned:
                return words(error)
        return self.process.reason

    def _settled(self, client: ClientSession) -> None:
        info = client.server_info
        self._client, self.protocol, self.about = client, client.protocol_version, about(client)
        self.says = f"{info.name} {info.version}" if info else ""
        self.offers = client.server_capabilities or self.offers
        self.instructions = (client.instructions or "")[:INSTRUCTIONS]

    async def _serve(self, changed: Callable[[], None]) -> None:
        await self._list()
        if self.process.ended.is_set():
            return
        self._fresh.set()
        self.ready, self.took = True, anyio.current_time() - self._began
        changed()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_listed, changed)
            tasks.start_soon(self._news.follow, self._client, self.offers, self._ask)
            await self.process.ended.wait()
            tasks.cancel_scope.cancel()

    # --- the listing

    async def _list(self) -> None:
        """Ask for all pages of the tools. A listing that fails keeps the one before it and says so."""
        if self.offers.tools is None:
            return
        pages: list[Any] = []
        cursors: set[str | None] = {None}
        cursor: str | None = None
        self.trouble = ""
        for _ in range(PAGES):
            params = types.PaginatedRequestParams(cursor=cursor) if cursor is not None else None
            try:
                page = await self._ask(types.ListToolsRequest(params=params))
            except (MCPError, ValidationError) as error:
                self.trouble = f"tools/list failed: {words(error)}"
                return
            pages += page["tools"]
            cursor = page.get("nextCursor")
            if cursor in cursors:
                break
            cursors.add(cursor)
        if cursor is not None:
            self.trouble = f"tools/list does not end: stopped after {len(pages)} tools"
        self._take(pages)

    def _take(self, listed: list[Any]) -> None:
        """Judge each tool: what cannot be offered is set aside, with why."""
        tools: dict[str, ToolSpec] = {}
        aside = dict(self.process.wire.dropped)
        for raw in listed:
            spec = spec_of(self._config, raw)
            if spec.remote_name in tools:
                aside[spec.remote_name] = "listed twice; the first is used"
            elif problem := schema_problem(spec.input_schema) or (
                (spec.output_schema is not None and schema_problem(spec.output_schema)) or self._bad_header(spec)
            ):
                aside[spec.remote_name] = problem
            else:
                tools[spec.remote_name] = spec
                for pattern in unenforced(spec.input_schema):
                    self._log.heard(f"[{spec.remote_name}: the pattern {pattern} is not checked]".encode())
        self.tools, self.quarantined = list(tools.values()), aside
        if self._mirrors and isinstance(self.process, HttpServer):
            self.process.offers(tools)
        promised = {name: spec.output_schema for name, spec in tools.items()}
        self.process.wire.schemas = {name: schema for name, schema in promised.items() if schema is not None}

    @property
    def _mirrors(self) -> bool:
        """Whether arguments are mirrored in headers."""
        return self._config.url is not None and self.era == "modern"

    def _bad_header(self, spec: ToolSpec) -> str | None:
        return find_invalid_x_mcp_header(spec.input_schema) if self._mirrors else None

    async def _keep_listed(self, changed: Callable[[], None]) -> None:
        while True:
            await self._stale.wait()
            self._stale = anyio.Event()
            with anyio.move_on_after(RELIST_SECONDS):
                await self._list()
                changed()
            if not self._stale.is_set():
                self._fresh.set()

    async def listed(self) -> None:
        """Wait, where the server said that its list changed, until it is known how."""
        with anyio.move_on_after(FRESH_SECONDS):
            await self._fresh.wait()

    def _outdated(self) -> None:
        if self._fresh.is_set():
            self._fresh = anyio.Event()
        self._stale.set()

    def _told(self, what: What, uri: str | None) -> None:
        """Something changed: tools are listed again at once, the other lists when somebody asks for them."""
        if what == "tools":
            self._outdated()
        elif what != "resource":
            self.kept = {}
        self._tell(what, uri)

    # --- calls

    @property
    def level(self) -> str | None:
        """The level of the server's log to ask for with a call: since 2026-07-28 that is how it is asked for."""
        return self._wants.level if self.era == "modern" else None

    async def _ask(self, request: types.Request[Any, Any], progress: Any = None) -> dict[str, Any]:
        """Send a request, take the result as the server wrote it."""
        return (await self._client.send_request(request, Raw, progress_callback=progress)).root

    async def call(
        self, spec: ToolSpec, arguments: Mapping[str, Any], round: Round, progress: Progress, ask: Ask
    ) -> CallResult | InputRequired:
        """One round. Whoever cancels it, or the deadline, makes the server get one `notifications/cancelled`."""
        self.process.wire.limit = round.limit
        name = spec.remote_name
        own = self._config.tools.get(name, ToolSettings()).timeout
        patience = Patience(own or self._config.tool_timeout)

        async def moved(done: float, total: float | None, message: str | None) -> None:
            patience.moved()
            progress(done, total, message)

        try:
            with patience.scope, self._deadlines.of(patience), self._questions.of(ask, patience):
                raw = await self._ask(request_of(spec, arguments, round, self.level), moved)
                return self._required(raw) if raw.get("resultType") == "input_required" else result_of(raw, spec)
        except MCPError as error:
            return await self._failed(error)
        except ValidationError as error:
            return CallResult("error", is_error=True, cause="bad_result", reason=first_problem(error))
        except Exception as error:
            # The SDK could not send it or could not read the reply; the call fails, the connection stays.
            return CallResult("error", is_error=True, cause="bad_result", reason=words(error))
        key = "tool_timeout_sec" if own is None else f"tools.{name}.timeout_sec"
        return CallResult("error", is_error=True, cause="timeout", reason=f"{patience.reason}; {key} gives it longer")

    def _required(self, raw: Mapping[str, Any]) -> InputRequired:
        """The round ended with requests. Which folders it may know of, the server is told without a question."""
        requests: dict[str, dict[str, Any]] = {}
        for key, request in (raw.get("inputRequests") or {}).items():
            method = request.get("method")
            requests[key] = {"method": method, "params": request.get("params") or {}}
            if method == ROOTS:
                requests[key]["answer"] = roots_of(self._config).model_dump(
                    by_alias=True, mode="json", exclude_none=True
                )
        return InputRequired(requests, raw.get("requestState"))

    async def _listed_roots(self, context: ClientRequestContext) -> types.ListRootsResult:
        return roots_of(self._config)

    async def _failed(self, error: MCPError) -> CallResult:
        """An error reply, or the end of the connection, which the SDK reports in the same way."""
        if error.data in (UNSENT, REFUSED):
            return CallResult("error", is_error=True, cause="server_down", reason=error.message)
        if error.data == FAILED or (error.code == types.CONNECTION_CLOSED and error.message != CLOSED):
            return CallResult("unknown", is_error=True, reason=error.message)
        if error.code == types.HEADER_MISMATCH:
            self._outdated()
            return CallResult("error", is_error=True, cause="definition_changed", reason=error.message)
        if error.code == types.CONNECTION_CLOSED and error.message == CLOSED:
            with anyio.move_on_after(5):
                await self.process.ended.wait()
            return CallResult("error", is_error=True, cause="server_lost", reason=self.process.reason)
        if error.data == UNREADABLE:
            return CallResult("error", is_error=True, cause="bad_result", reason=error.message)
        text = {"type": "text", "text": error.message}
        return CallResult("error", content=(text,), is_error=True, reason=f"error {error.code}")

    async def request(self, request: types.Request[Any, Any], what: str) -> dict[str, Any]:
        """The result of a request that is no call, as the server wrote it; `what` it is for. Raises HostError."""
        name = self._config.name
        patience = Patience(self._config.tool_timeout)
        try:
            with patience.scope, self._deadlines.of(patience):
                return await self._ask(request)
        except (MCPError, ValidationError) as error:
            raise HostError(f"{name} cannot {what}: {words(error)}") from None
        raise HostError(f"{name} did not answer within {patience.seconds:g} s")

    async def given(self, request: types.ReadResourceRequest | types.GetPromptRequest, what: str) -> dict[str, Any]:
        """As `request`, for what a server may ask a person before it gives it. Raises HostError."""
        for _ in range(ROUNDS):
            result = await self.request(request, what)
            if result.get("resultType") != "input_required":
                return result
            needed = self._required(result)
            answers = {key: await self._answered(wanted) for key, wanted in needed.requests.items()}
            more = {"input_responses": answers or None, "request_state": needed.state}
            params = type(request.params).model_validate({**request.params.model_dump(), **more}, by_name=True)
            request = request.model_copy(update={"params": params})
        raise HostError(f"{self._config.name} cannot {what}: it still asked for input after {ROUNDS} rounds")

    async def _answered(self, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        if "answer" in wanted:
            return dict(wanted["answer"])
        if self._person is None or wanted["method"] != ELICITATION:
            return {"action": "cancel"}
        return await self._person.answers(self._config.name, wanted)

    async def read_resource(self, uri: str) -> Contents:
        """The contents of a resource as the server wrote them. Raises HostError."""
        name, params = self._config.name, types.ReadResourceRequestParams(uri=uri)
        result = await self.given(types.ReadResourceRequest(params=params), f"read {uri}")
        if (found := large_result(result)) and found.large is not None:
            return found.large
        if "contents" not in result:
            raise HostError(f"{name} cannot read {uri}: its answer has no contents")
        contents: list[dict[str, Any]] = result["contents"]
        return contents


def about(client: ClientSession) -> str:
    """What a server says it is for, in its own words."""
    info = client.server_info
    return (info.description if info else None) or client.instructions or (info.title if info else None) or ""


def spec_of(config: ServerConfig, raw: Mapping[str, Any]) -> ToolSpec:
    """A listed tool as the house knows it, with what people said of its effect."""
    name, title, text = raw["name"], raw.get("title"), raw.get("description") or ""
    schema, output, claims = raw["inputSchema"], raw.get("outputSchema"), raw.get("annotations") or {}
    own = config.tools.get(name, ToolSettings())
    effect, opened, confirmed = presumed_effect(claims, (own.effect, own.open), config.trust_hints)
    digest = definition_digest(name, title, text, schema, output, claims)
    return ToolSpec("", config.name, name, text, schema, output, title, claims, digest, effect, opened, confirmed)


def roots_of(config: ServerConfig) -> types.ListRootsResult:
    """The folders that the entry of a server names for it."""
    return types.ListRootsResult(
        roots=[types.Root(uri=FileUrl(root.as_uri()), name=root.name) for root in config.roots]
    )


def request_of(
    spec: ToolSpec, arguments: Mapping[str, Any], round: Round, level: str | None = None
) -> types.CallToolRequest:
    """The request of one round; the state goes back byte for byte."""
    meta = {KEY: round.key} | ({types.LOG_LEVEL_META_KEY: level} if level else {})
    if round.trace:
        meta["traceparent"] = round.trace
    params: dict[str, Any] = {
        "name": spec.remote_name,
        "arguments": dict(arguments),
        "_meta": meta,
        "requestState": round.state,
        "inputResponses": dict(round.responses) if round.responses is not None else None,
    }
    return types.CallToolRequest(params=types.CallToolRequestParams.model_validate(params, by_name=False))


def result_of(raw: dict[str, Any], spec: ToolSpec) -> CallResult:
    """What the server answered. A result that breaks the tool's own output schema is kept, with a warning."""
    if (large := large_result(raw)) is not None:
        return large
    kind = raw.get("resultType", "complete")
    if kind != "complete":
        return CallResult("error", is_error=True, cause="bad_result", reason=f"its type is {str(kind)[:50]!r}")
    content, structured = tuple(raw.get("content") or ()), raw.get("structuredContent")
    if raw.get("isError"):
        return CallResult("error", content, structured, True)
    if spec.output_schema is not None and (problem := broken_promise(spec.output_schema, raw)):
        return CallResult("error", content, structured, True, "bad_result", problem)
    return CallResult("ok", content, structured, checked=True if spec.output_schema is not None else None)


def words(error: BaseException) -> str:
    """What an error says, on one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return first_problem(error) if isinstance(error, ValidationError) else said(error)
