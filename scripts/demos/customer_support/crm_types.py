"""What the tools of the CRM take and give: the SDK makes their schemas from these."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

CustomerId = Annotated[str, Field(pattern=r"^C-\d{3}$", description="The identified customer, such as C-001")]
OrderId = Annotated[str, Field(pattern=r"^O-\d{4}$", description="An order of that customer, such as O-1001")]
ItemId = Annotated[str, Field(pattern=r"^I-\d{3}$")]


class Found(BaseModel):
    customer_id: str
    name: str


class Customer(Found):
    email: str
    street: str
    city: str
    zip: str


class Line(BaseModel):
    item_id: str
    product: str
    variant: str
    price: float
    status: str
    other_variants: dict[str, str]
    """Item ids of the product's variants in stock, for an exchange."""


class Order(BaseModel):
    order_id: str
    status: str
    ordered_on: str
    paid_with: str
    total: float
    refunded: float
    items: list[Line]


class OrderRow(BaseModel):
    order_id: str
    status: str
    ordered_on: str
    total: float


class Orders(BaseModel):
    orders: list[OrderRow]
    next_cursor: str | None


class OrderStatus(BaseModel):
    order_id: str
    status: str


class Return(BaseModel):
    order_id: str
    items: list[str]
    amount: float
    refund_to: str


class Exchange(BaseModel):
    order_id: str
    item_id: str
    new_item_id: str
    variant: str


class Refund(BaseModel):
    refund_id: int
    order_id: str
    amount: float
    method: str


class RefundChoice(BaseModel):
    """The form of a return; the ways to pay are filled in for each customer."""

    payment_method: str
