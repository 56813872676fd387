"""The shop's knowledge base as an MCP server on the official SDK. `python kb_server.py --db FILE --as USER`"""

from __future__ import annotations

import re
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp_types import (
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceLink,
    ResourceTemplateReference,
    ToolAnnotations,
)
from pydantic import BaseModel, Field
from shop import Row, Shop, opened, options

TITLE, TAGS, BODY = 3, 4, 1
COMPLETIONS = 100


class Hit(BaseModel):
    uri: str
    title: str
    tags: list[str]
    text: str


class Hits(BaseModel):
    hits: list[Hit]


def words(text: str) -> set[str]:
    """Lower-case words without their plural s."""
    return {word.removesuffix("s") for word in re.findall(r"[a-z]{3,}", text.lower())}


def score(wanted: set[str], row: Row) -> int:
    fields = ((TITLE, row["title"]), (TAGS, row["tags"]), (BODY, row["body"]))
    return sum(weight * len(wanted & words(text)) for weight, text in fields)


def build(shop: Shop) -> MCPServer:
    server = MCPServer("kb", version="1.0", instructions="Cite articles by their URI.", log_level="WARNING")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    def search(query: str, k: Annotated[int, Field(ge=1, le=10)] = 3) -> Annotated[CallToolResult, Hits]:
        """Find the articles that answer a question, best first."""
        wanted = words(query)
        ranked = sorted(((score(wanted, row), row) for row in shop.rows("SELECT * FROM articles")), key=lambda s: -s[0])
        hits = [
            Hit(uri=f"kb://article/{row['article_id']}", title=row["title"], tags=row["tags"].split(), text=row["body"])
            for points, row in ranked[:k]
            if points
        ]
        links = [ResourceLink(type="resource_link", uri=h.uri, name=h.title) for h in hits]
        return CallToolResult(content=list(links), structured_content=Hits(hits=hits).model_dump())

    @server.resource("kb://article/{id}", mime_type="text/markdown")
    def article(id: str) -> str:
        """One article: its title, tags and text."""
        row = shop.one("SELECT * FROM articles WHERE article_id = ?", id)
        if row is None:
            raise ResourceNotFoundError(f"There is no article {id}; search finds the ones there are.")
        return f"# {row['title']}\n\nTags: {row['tags']}\n\n{row['body']}\n"

    @server.prompt()
    def answer_from_kb(question: str) -> str:
        """Answer a question from the knowledge base only, with citations."""
        return (
            f"Answer this question from the knowledge base only: {question}\n"
            "Search first. Cite the URI of each article you use. If no article answers it, say so."
        )

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK leaves it untyped
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        """Article ids whose id or one of whose tags begins with what was typed."""
        if not isinstance(ref, ResourceTemplateReference) or argument.name != "id":
            return None
        typed = argument.value.lower()
        ids = [
            row["article_id"]
            for row in shop.rows("SELECT * FROM articles ORDER BY article_id")
            if any(word.startswith(typed) for word in (row["article_id"], *row["tags"].split()))
        ]
        return Completion(values=ids[:COMPLETIONS], total=len(ids), has_more=len(ids) > COMPLETIONS)

    return server


def main() -> None:
    args = options()
    server = build(opened(args))
    if args.http is None:
        server.run()
    else:
        server.run("streamable-http", host="127.0.0.1", port=args.http)


if __name__ == "__main__":
    main()
