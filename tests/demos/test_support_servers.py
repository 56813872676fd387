"""The three servers of the support desk, as real processes, seen by the official client in both eras."""

import json
import sqlite3
import tomllib
from contextlib import asynccontextmanager, closing

import anyio
import mcp_types
import pytest
from mcp import Client, MCPError
from support_case import KEY, ROOT, server

ERAS = {"auto": "2026-07-28", "legacy": "2025-11-25"}
LIMIT = 90
FOREIGN = {
    "get_order": {},
    "cancel_order": {"reason": "too_late"},
    "return_items": {"item_ids": ["I-012"]},
    "exchange_items": {"item_id": "I-012", "new_item_id": "I-007"},
    "issue_refund": {"amount": 5, "method": "original"},
}


def run(main):
    async def bounded():
        with anyio.fail_after(LIMIT):
            await main()

    anyio.run(bounded)


@asynccontextmanager
async def connected(name, db, mode="auto", answer=None, user="agent"):
    async def answered(context, params):
        return answer(params)

    asks = {"elicitation_callback": answered} if answer else {}
    async with Client(server(name, db, "--as", user), mode=mode, **asks) as client:
        assert client.protocol_version == ERAS[mode]
        yield client


def ledger(db):
    with closing(sqlite3.connect(db)) as opened:
        return opened.execute("SELECT key, tool, user FROM ledger ORDER BY seq").fetchall()


def one(db, sql):
    with closing(sqlite3.connect(db)) as opened:
        return opened.execute(sql).fetchone()[0]


async def whole(client):
    """Every tool has a schema of its result, honest hints and one page of the truth in servers.toml."""
    info = client.server_info.name
    said = tomllib.loads((ROOT / "servers.toml").read_text())["mcp_servers"][info]["tools"]
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == set(said)
    for name, tool in tools.items():
        hints, effect = tool.annotations, said[name]["effect"]
        assert tool.output_schema and tool.description
        assert bool(hints.read_only_hint) == (effect == "read"), name
        assert effect == "read" or hints.destructive_hint == (effect == "destructive"), name
        assert hints.open_world_hint is said[name]["open"], name
    resources = [
        *(await client.list_resources()).resources,
        *(await client.list_resource_templates()).resource_templates,
    ]
    assert resources
    assert (await client.list_prompts()).prompts


@pytest.mark.parametrize("mode", ERAS)
def test_crm_keeps_customers_apart_and_writes_once(tmp_path, mode):
    db = tmp_path / "shop.sqlite"
    refund = {"order_id": "O-1001", "customer_id": "C-001", "amount": 30, "method": "original"}

    async def main():
        async with connected("crm", db, mode, user="dana") as crm:
            await whole(crm)
            found = await crm.call_tool("identify_customer", {"name": "Mara Lindqvist", "zip": "10437"})
            assert found.structured_content == {"customer_id": "C-001", "name": "Mara Lindqvist"}
            for tool, more in FOREIGN.items():
                foreign = await crm.call_tool(tool, {"order_id": "O-1008", "customer_id": "C-001", **more})
                assert foreign.is_error, tool
                assert "C-001 has no order O-1008" in foreign.content[0].text
                assert "Noah" not in foreign.content[0].text
            first = await crm.call_tool("issue_refund", refund, meta={KEY: "k1"})
            again = await crm.call_tool("issue_refund", refund, meta={KEY: "k1"})
            assert first.structured_content == again.structured_content
            assert not again.is_error
            other = await crm.call_tool("issue_refund", refund | {"amount": 31}, meta={KEY: "k1"})
            assert other.is_error
            too_much = await crm.call_tool("issue_refund", refund | {"amount": 979}, meta={KEY: "k2"})
            assert "978.00 of O-1001 are left" in too_much.content[0].text
            await crm.call_tool("issue_refund", refund, meta={KEY: "k3"})

    run(main)
    assert ledger(db) == [("k1", "issue_refund", "dana"), ("k3", "issue_refund", "dana")]
    assert one(db, "SELECT count(*) FROM refunds") == 2


@pytest.mark.parametrize("mode", ERAS)
def test_a_return_asks_where_the_money_goes_only_if_there_is_a_choice(tmp_path, mode):
    db = tmp_path / "shop.sqlite"
    asked = []

    def answer(params):
        asked.append(params)
        action = "decline" if len(asked) == 1 else "accept"
        content = {"payment_method": "P-001-1" if len(asked) == 2 else "P-004-2"}
        return mcp_types.ElicitResult(action=action, content=content if action == "accept" else None)

    async def main():
        both = {"order_id": "O-1004", "customer_id": "C-004", "item_ids": ["I-005", "I-011"]}
        async with connected("crm", db, mode, answer) as crm:
            declined = await crm.call_tool("return_items", both, meta={KEY: "r1"})
            assert "nothing was returned" in declined.content[0].text
            stranger = await crm.call_tool("return_items", both, meta={KEY: "r2"})
            assert "not a payment method of C-004" in stranger.content[0].text
            assert ledger(db) == []
            done = await crm.call_tool("return_items", both, meta={KEY: "r3"})
            assert done.structured_content["amount"] == 109
            assert done.structured_content["refund_to"] == "PayPal tomas.f"
            again = await crm.call_tool("return_items", both, meta={KEY: "r3"})
            assert again.structured_content == done.structured_content
            single = {"order_id": "O-1001", "customer_id": "C-001", "item_ids": ["I-004"]}
            assert (await crm.call_tool("return_items", single)).structured_content["refund_to"] == "Visa ending 4242"

    run(main)
    assert len(asked) == 3
    labels = [choice["title"] for choice in asked[0].requested_schema["properties"]["payment_method"]["oneOf"]]
    assert labels == ["Visa ending 0077", "PayPal tomas.f"]


def test_lists_come_in_pages_that_hold_each_order_once(tmp_path):
    db = tmp_path / "shop.sqlite"

    async def main():
        async with connected("ticketing", db) as tickets, connected("crm", db) as crm:
            cursor, seen = None, []
            while True:
                page = await tickets.call_tool("list_tickets", {"cursor": cursor} if cursor else {})
                seen += [row["ticket_id"] for row in page.structured_content["tickets"]]
                if not (cursor := page.structured_content["next_cursor"]):
                    break
            assert seen == [f"T-{n:02}" for n in range(1, 61)]
            bad = await crm.call_tool("list_orders", {"customer_id": "C-001", "cursor": "-1"})
            assert bad.is_error
            assert "next_cursor" in bad.content[0].text

    run(main)


def test_the_knowledge_base_finds_links_reads_and_completes(tmp_path):
    async def main():
        async with connected("kb", tmp_path / "shop.sqlite") as kb:
            await whole(kb)
            found = await kb.call_tool("search", {"query": "How long is the warranty on my coffee machine?", "k": 2})
            best = found.structured_content["hits"][0]
            assert best["uri"] == "kb://article/kb-061"
            assert [link.type for link in found.content] == ["resource_link", "resource_link"]
            assert best["text"] in (await kb.read_resource(best["uri"])).contents[0].text
            with pytest.raises(MCPError, match="no article kb-999"):
                await kb.read_resource("kb://article/kb-999")
            nothing = await kb.call_tool("search", {"query": "zzz"})
            assert nothing.structured_content == {"hits": []}
            template = mcp_types.ResourceTemplateReference(uri="kb://article/{id}")
            completed = (await kb.complete(template, {"name": "id", "value": "warr"})).completion
            assert completed.values == [f"kb-{n:03}" for n in range(61, 71)]
            prompt = await kb.get_prompt("answer_from_kb", {"question": "Which size?"})
            assert "Which size?" in prompt.messages[0].content.text

    run(main)


@pytest.mark.parametrize("mode", ERAS)
def test_ticketing_speaks_both_eras_without_a_library(tmp_path, mode):
    db = tmp_path / "shop.sqlite"
    own = {"ticket_id": "T-01", "customer_id": "C-001"}

    async def main():
        async with connected("ticketing", db, mode) as tickets:
            await whole(tickets)
            before = await tickets.call_tool("get_ticket", {"ticket_id": "T-01"})
            assert before.structured_content["email"] == "mara.lindqvist@example.com"
            assert (
                json.loads((await tickets.read_resource("ticket://T-01")).contents[0].text) == before.structured_content
            )
            note = {**own, "text": "called back"}
            for _ in range(2):
                assert not (await tickets.call_tool("add_note", note, meta={KEY: "n1"})).is_error
            moved = await tickets.call_tool("escalate", {**own, "team": "finance", "reason": "x"})
            assert moved.structured_content == {"ticket_id": "T-01", "status": "escalated", "team": "finance"}
            for wrong in ({**note, "customer_id": "C-002"}, own, {**note, "text": 5}, {**note, "more": "x"}):
                assert (await tickets.call_tool("add_note", wrong)).is_error
            with pytest.raises(MCPError, match="Unknown tool"):
                await tickets.session.call_tool("drop", {})
            assert "T-05" in (await tickets.get_prompt("handle_ticket", {"ticket_id": "T-05"})).messages[0].content.text

    run(main)
    assert [tool for _, tool, _ in ledger(db)] == ["add_note", "escalate"]
    assert one(db, "SELECT count(*) FROM messages WHERE text = 'called back'") == 1


def test_ticketing_answers_noise_and_strange_versions_as_the_protocol_says(tmp_path):
    version = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2099-01-01"}}
    lines = [
        "not json",
        '{"jsonrpc":"2.0","method":"notifications/initialized"}',
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": version}),
        '{"jsonrpc":"2.0","id":"two","method":"no/such"}',
        '{"jsonrpc":"2.0","id":3,"method":"ping"}',
    ]

    async def main():
        command = server("ticketing", tmp_path / "shop.sqlite")
        done = await anyio.run_process([command.command, *command.args], input="\n".join(lines).encode())
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [(a["id"], a.get("error", {}).get("code")) for a in answers] == [
            (None, -32700), (1, -32022), ("two", -32601), (3, None),
        ]  # fmt: skip

    run(main)
