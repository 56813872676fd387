"""Customers and orders of the shop, as an MCP server on the official SDK. `python crm_server.py --db FILE --as USER`"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal, TypeVar

from crm_types import (
    Customer,
    CustomerId,
    Exchange,
    Found,
    ItemId,
    Line,
    Order,
    OrderId,
    OrderRow,
    Orders,
    OrderStatus,
    Refund,
    RefundChoice,
    Return,
)
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, MCPServer, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field
from shop import Refused, Row, Shop, opened, options

READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
SET = ToolAnnotations(destructive_hint=False, idempotent_hint=True, open_world_hint=False)
CHANGE = ToolAnnotations(destructive_hint=True, open_world_hint=False)


@asynccontextmanager
async def lifespan(_: MCPServer[Shop]) -> AsyncIterator[Shop]:
    yield opened(options())


server = MCPServer(
    "crm",
    version="1.0",
    instructions="Identify the customer first; every other tool takes that customer_id.",
    lifespan=lifespan,
    log_level="WARNING",
)
Answer = TypeVar("Answer", bound=BaseModel)


def shop(ctx: Context[Shop]) -> Shop:
    return ctx.request_context.lifespan_context


def write(ctx: Context[Shop], answer: type[Answer], effect: Callable[[sqlite3.Connection], Row]) -> Answer:
    """Run a write once for the request's idempotency key; what the shop refuses is the tool's error."""
    try:
        return answer(**shop(ctx).write(ctx.request_context.params or {}, effect))
    except Refused as error:
        raise ToolError(str(error)) from None


def own_order(db: sqlite3.Connection, order_id: str, customer_id: str) -> Row:
    """The order, if it is this customer's: whose another one is, is not told."""
    row: Row | None = db.execute(
        "SELECT * FROM orders JOIN payment_methods USING (method_id, customer_id) "
        "WHERE order_id = ? AND customer_id = ?",
        (order_id, customer_id),
    ).fetchone()
    if row is None:
        raise ToolError(f"Customer {customer_id} has no order {order_id}. list_orders shows the ones there are.")
    return row


def lines(db: sqlite3.Connection, order_id: str) -> list[Row]:
    return db.execute(
        "SELECT l.*, product, variant FROM order_lines l JOIN items USING (item_id) WHERE order_id = ? ORDER BY line",
        (order_id,),
    ).fetchall()


def line_of(db: sqlite3.Connection, order: Row, item_id: str) -> Row:
    """A line that can still go back. Raises ToolError."""
    order_id = order["order_id"]
    if order["status"] != "delivered":
        raise ToolError(f"{order_id} is {order['status']}; only delivered orders can be returned or exchanged.")
    line = next((line for line in lines(db, order_id) if line["item_id"] == item_id), None)
    if line is None:
        raise ToolError(f"{item_id} is not in {order_id}. get_order shows its items.")
    if line["status"] != "ordered":
        raise ToolError(f"{item_id} of {order_id} is already {line['status']}.")
    return line


@server.tool(annotations=READ)
def identify_customer(
    ctx: Context[Shop], email: str | None = None, name: str | None = None, zip: str | None = None
) -> Found:
    """Find the customer by e-mail address, or by full name together with zip code."""
    if email:
        found = shop(ctx).rows("SELECT customer_id, name FROM customers WHERE email = lower(?)", email.strip())
    elif name and zip:
        found = shop(ctx).rows("SELECT customer_id, name FROM customers WHERE name = ? AND zip = ?", name, zip)
    else:
        raise ToolError("Give an email, or a name and a zip.")
    if len(found) != 1:
        hint = "Ask for the full name and zip code." if email else "Ask for the e-mail address."
        raise ToolError(f"{len(found) or 'No'} customers are found by that. {hint}")
    return Found(**found[0])


@server.tool(annotations=READ)
def get_customer(customer_id: CustomerId, ctx: Context[Shop]) -> Customer:
    """Name, e-mail and address of the customer."""
    row = shop(ctx).one("SELECT * FROM customers WHERE customer_id = ?", customer_id)
    if row is None:
        raise ToolError(f"There is no customer {customer_id}.")
    return Customer(**row)


@server.tool(annotations=READ)
def get_order(order_id: OrderId, customer_id: CustomerId, ctx: Context[Shop]) -> Order:
    """One order with its items, what was paid and refunded, and the variants that are in stock."""
    with shop(ctx).open() as db:
        order = own_order(db, order_id, customer_id)
        found = lines(db, order_id)
        stock = db.execute("SELECT item_id, product, variant FROM items WHERE available > 0").fetchall()
        refunded = refunded_cents(db, order_id)
    items = [
        Line(
            **line,
            price=line["cents"] / 100,
            other_variants={
                s["variant"]: s["item_id"]
                for s in stock
                if s["product"] == line["product"] and s["item_id"] != line["item_id"]
            },
        )
        for line in found
    ]
    total = sum(line["cents"] for line in found) / 100
    return Order(**order, paid_with=order["label"], total=total, refunded=refunded / 100, items=items)


@server.tool(annotations=READ)
def list_orders(customer_id: CustomerId, ctx: Context[Shop], cursor: str | None = None) -> Orders:
    """The customer's orders, newest first, a page at a time."""
    sql = (
        "SELECT order_id, orders.status, ordered_on, sum(cents) / 100.0 AS total "
        "FROM orders JOIN order_lines USING (order_id) WHERE customer_id = ? "
        "GROUP BY order_id ORDER BY ordered_on DESC, order_id"
    )
    try:
        rows, following = shop(ctx).page(sql, (customer_id,), cursor)
    except Refused as error:
        raise ToolError(str(error)) from None
    return Orders(orders=[OrderRow(**row) for row in rows], next_cursor=following)


@server.tool(annotations=SET)
def update_address(customer_id: CustomerId, street: str, city: str, zip: str, ctx: Context[Shop]) -> Customer:
    """Set the customer's address; orders not shipped yet go there."""

    def effect(db: sqlite3.Connection) -> Row:
        db.execute("UPDATE customers SET street=?, city=?, zip=? WHERE customer_id=?", (street, city, zip, customer_id))
        row: Row | None = db.execute("SELECT * FROM customers WHERE customer_id = ?", (customer_id,)).fetchone()
        if row is None:
            raise ToolError(f"There is no customer {customer_id}.")
        return row

    return write(ctx, Customer, effect)


@server.tool(annotations=CHANGE)
def cancel_order(
    order_id: OrderId,
    customer_id: CustomerId,
    reason: Literal["no_longer_needed", "ordered_by_mistake", "too_late"],
    ctx: Context[Shop],
) -> OrderStatus:
    """Cancel an order that is still pending. It cannot be undone."""

    def effect(db: sqlite3.Connection) -> Row:
        order = own_order(db, order_id, customer_id)
        if order["status"] != "pending":
            raise ToolError(
                f"{order_id} is {order['status']}; only pending orders can be cancelled. "
                "A shipped order can be stopped by the logistics team: escalate the ticket to them."
            )
        db.execute("UPDATE orders SET status = 'cancelled', cancel_reason = ? WHERE order_id = ?", (reason, order_id))
        return {"order_id": order_id, "status": "cancelled"}

    return write(ctx, OrderStatus, effect)


def refund_choice(order_id: str, customer_id: str, ctx: Context[Shop]) -> Elicit[RefundChoice] | RefundChoice:
    """Where the money of a return goes: asked of a person if the customer has several ways to pay."""
    with shop(ctx).open() as db:
        own = own_order(db, order_id, customer_id)["method_id"]
        methods = db.execute(
            "SELECT method_id, label FROM payment_methods WHERE customer_id = ? ORDER BY method_id", (customer_id,)
        ).fetchall()
    if len(methods) == 1 or shop(ctx).done(ctx.request_context.params or {}):
        return RefundChoice(payment_method=own)

    class RefundTo(RefundChoice):
        payment_method: str = Field(
            default=own,
            title="Refund to",
            json_schema_extra={"oneOf": [{"const": m["method_id"], "title": m["label"]} for m in methods]},
        )

    return Elicit(f"Where should the money for the returned items of {order_id} go?", RefundTo)


@server.tool(annotations=CHANGE)
def return_items(
    order_id: OrderId,
    customer_id: CustomerId,
    item_ids: Annotated[list[ItemId], Field(min_length=1)],
    choice: Annotated[ElicitationResult[RefundChoice], Resolve(refund_choice)],
    ctx: Context[Shop],
) -> Return:
    """Take items of a delivered order back; the money is paid when they arrive. Give all items at once."""
    if choice.action != "accept":
        raise ToolError("Nobody chose where the money goes, so nothing was returned.")
    method = choice.data.payment_method

    def effect(db: sqlite3.Connection) -> Row:
        order = own_order(db, order_id, customer_id)
        label = db.execute(
            "SELECT label FROM payment_methods WHERE method_id = ? AND customer_id = ?", (method, customer_id)
        ).fetchone()
        if label is None:
            raise ToolError(f"{method} is not a payment method of {customer_id}.")
        found = [line_of(db, order, item_id) for item_id in dict.fromkeys(item_ids)]
        db.executemany(
            "UPDATE order_lines SET status = 'return requested', refund_to = ? WHERE order_id = ? AND line = ?",
            [(method, order_id, line["line"]) for line in found],
        )
        amount = sum(line["cents"] for line in found) / 100
        names = [line["product"] for line in found]
        return {"order_id": order_id, "items": names, "amount": amount, "refund_to": label["label"]}

    return write(ctx, Return, effect)


@server.tool(annotations=CHANGE)
def exchange_items(
    order_id: OrderId, customer_id: CustomerId, item_id: ItemId, new_item_id: ItemId, ctx: Context[Shop]
) -> Exchange:
    """Exchange an item of a delivered order for another variant of the same product that is in stock."""

    def effect(db: sqlite3.Connection) -> Row:
        line = line_of(db, own_order(db, order_id, customer_id), item_id)
        new: Row | None = db.execute("SELECT * FROM items WHERE item_id = ?", (new_item_id,)).fetchone()
        if new is None or new["product"] != line["product"] or new_item_id == item_id:
            raise ToolError(f"{new_item_id} is not another variant of {line['product']}.")
        if not new["available"]:
            raise ToolError(f"{line['product']}, {new['variant']} is out of stock; get_order shows what is there.")
        db.execute("UPDATE items SET available = available - 1 WHERE item_id = ?", (new_item_id,))
        db.execute(
            "UPDATE order_lines SET item_id = ?, status = 'exchanged' WHERE order_id = ? AND line = ?",
            (new_item_id, order_id, line["line"]),
        )
        return {"order_id": order_id, "item_id": item_id, "new_item_id": new_item_id, "variant": new["variant"]}

    return write(ctx, Exchange, effect)


@server.tool(annotations=CHANGE)
def issue_refund(
    order_id: OrderId,
    customer_id: CustomerId,
    amount: Annotated[float, Field(gt=0, description="In euros")],
    method: Annotated[
        Literal["original", "store_credit", "gift_card"], Field(description="original is how the order was paid")
    ],
    ctx: Context[Shop],
) -> Refund:
    """Pay money for an order back at once. It cannot be undone."""
    cents = round(amount * 100)

    def effect(db: sqlite3.Connection) -> Row:
        order = own_order(db, order_id, customer_id)
        if order["status"] in ("pending", "cancelled"):
            raise ToolError(f"{order_id} is {order['status']}; there is nothing to refund.")
        left = sum(line["cents"] for line in lines(db, order_id)) - refunded_cents(db, order_id)
        if not 0 < cents <= left:
            raise ToolError(f"{amount:.2f} cannot be refunded: {left / 100:.2f} of {order_id} are left.")
        made = db.execute(
            "INSERT INTO refunds (order_id, cents, method) VALUES (?, ?, ?)", (order_id, cents, method)
        ).lastrowid
        return {"refund_id": made, "order_id": order_id, "amount": cents / 100, "method": method}

    return write(ctx, Refund, effect)


def refunded_cents(db: sqlite3.Connection, order_id: str) -> int:
    row = db.execute("SELECT coalesce(sum(cents), 0) AS cents FROM refunds WHERE order_id = ?", (order_id,)).fetchone()
    cents: int = row["cents"]
    return cents


@server.resource("crm://rules", mime_type="text/markdown")
def shop_rules() -> str:
    """What the shop does and does not do."""
    return (
        "- Pending orders can be cancelled, delivered ones returned or exchanged.\n"
        "- An exchange is for another variant of the same product that is in stock.\n"
        "- Money goes back the way it came. Tier 1 refunds up to 50 alone, up to 500 with a supervisor's word.\n"
    )


@server.prompt()
def summarize_customer(email: str) -> str:
    """Look a customer up and sum up what is open."""
    return f"Identify the customer {email}, list their orders, and sum up in three sentences what is open."


def main() -> None:
    args: Any = options()
    if args.http is None:
        server.run()
    else:
        server.run("streamable-http", host="127.0.0.1", port=args.http)


if __name__ == "__main__":
    main()
