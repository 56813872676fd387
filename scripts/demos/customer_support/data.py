"""The shop's data, made from a seed: the same seed makes the same rows. `python data.py FILE [--seed N]`"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import unicodedata
from contextlib import closing, suppress
from datetime import date, timedelta
from itertools import product
from pathlib import Path

from cast import CASES, PRODUCTS, Case

SEED = 2026
CUSTOMERS, ORDERS, TICKETS = 500, 1000, 60
TODAY = date(2026, 11, 20)

FIRST = (
    "Ada", "Ben", "Clara", "David", "Emma", "Finn", "Grace", "Hugo", "Ines", "Jan", "Kira", "Leo", "Mia", "Nils",
    "Olga", "Paul", "Rosa", "Sven", "Tara", "Uwe",
)  # fmt: skip
LAST = (
    "Adler", "Berg", "Costa", "Dahl", "Evans", "Fischer", "Garcia", "Hansen", "Ivanov", "Jensen", "Keller",
    "Larsen", "Moreau", "Novak", "Olsen", "Peters", "Quinn", "Rossi", "Schmidt", "Torres", "Unger", "Vogel",
    "Wagner", "Ximenes", "Young", "Zimmer",
)  # fmt: skip
STREETS = ("Main Street", "Station Road", "Church Lane", "Park Avenue", "Mill Road", "High Street", "Garden Way")
CITIES = (("Berlin", "10115"), ("Paris", "75011"), ("Vienna", "1020"), ("Oslo", "0150"), ("Madrid", "28004"))
THINGS = {
    "coffee": "kettle", "kitchen": "pan", "outdoor": "tent", "shoes": "sneaker", "jackets": "parka",
    "lighting": "lamp", "audio": "speaker", "luggage": "backpack", "toys": "puzzle", "garden": "shears",
}  # fmt: skip
GOODS = {
    "coffee": "coffee machines and kettles", "kitchen": "pots and pans", "outdoor": "tents", "shoes": "shoes",
    "jackets": "jackets", "lighting": "lamps", "audio": "headphones and speakers", "luggage": "suitcases and backpacks",
    "toys": "toys", "garden": "garden tools",
}  # fmt: skip
MAKERS = ("Alba", "Borea", "Corda", "Dorn", "Elba")
VARIANTS = ("black, S", "black, L", "sand, S", "sand, L")
STATUSES = ("pending", "shipped", "delivered", "delivered", "cancelled")
SUBJECTS = {
    "Parcel is late": "My parcel {order} should have been here last week. Where is it?",
    "Wrong colour": "In {order} I got another colour than the one I ordered.",
    "Invoice, please": "Could you send me the invoice of {order} again?",
    "Broken on arrival": "Something in {order} was broken when I opened it.",
}
TOPICS = {
    "returns": ("Returning {it}", "{It} can be returned within {days} days of delivery, unused and in the box."),
    "exchanges": ("Exchanging {it}", "{It} can be exchanged for another variant in stock within {days} days, once."),
    "refunds": ("When the money for {it} comes back", "A refund goes to the original payment method in {few} days."),
    "cancellations": ("Cancelling an order of {it}", "An order is cancelled for free until it is shipped; after "
                      "that it can only be returned."),
    "delivery": ("Delivery of {it}", "{It} arrive {few} to {more} working days after they are shipped."),
    "address": ("Changing the address for {it}", "The address can be changed until the order is shipped."),
    "warranty": ("Warranty on {it}", "{It} have a warranty of {years} years from delivery. It covers faults of "
                 "material and making, not wear, falls or lime."),
    "care": ("Caring for {it}", "Clean {it} every {few} weeks with a damp cloth, without solvents."),
    "sizes": ("Which size of {it} fits", "{It} come in two sizes; between two, take the larger one."),
    "payment": ("Paying for {it}", "We take cards, PayPal and bank transfer; {it} can be paid in {few} parts."),
    "gift-cards": ("Gift cards and {it}", "A gift card pays for {it}. Money for an order is never put on one."),
    "repairs": ("Repairing {it}", "Spare parts for {it} are kept for {more} years; a repair takes {few} weeks."),
}  # fmt: skip


def ensure(file: Path, seed: int = SEED) -> None:
    """Make the database unless it is there. Of several processes that start at once, one wins; none sees half."""
    if file.exists():
        return
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with closing(sqlite3.connect(fresh)) as db:
        fill(db, seed)
        db.execute("PRAGMA journal_mode = WAL")
    with suppress(FileExistsError):
        os.link(fresh, file)
    fresh.unlink()


def fill(db: sqlite3.Connection, seed: int = SEED) -> None:
    """Tables and rows into an empty database."""
    dice = random.Random(seed)
    db.executescript(Path(__file__).with_name("schema.sql").read_text())
    with db:
        _items(db, dice)
        for number, case in enumerate(CASES, 1):
            _case(db, number, case)
        _customers(db, dice)
        _orders(db, dice)
        _tickets(db, dice)
        _articles(db, dice)


def _items(db: sqlite3.Connection, dice: random.Random) -> None:
    rows = [(p.name, variant, p.category, p.cents, left) for p in PRODUCTS for variant, left in p.variants.items()]
    for (category, thing), maker in product(THINGS.items(), MAKERS):
        cents = dice.randrange(1500, 30000, 100)
        rows += [(f"{maker} {thing}", variant, category, cents, dice.randrange(20)) for variant in VARIANTS]
    db.executemany(
        "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", [(f"I-{n:03}", *row) for n, row in enumerate(rows, 1)]
    )


def _case(db: sqlite3.Connection, number: int, case: Case) -> None:
    customer, order, ticket = f"C-{number:03}", f"O-{1000 + number}", f"T-{number:02}"
    _customer(db, number, case.name, (case.street, case.city, case.zip), case.paid)
    db.execute(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, NULL)",
        (order, customer, case.status, str(TODAY - timedelta(days=6 + number % 5)), f"P-{number:03}-1"),
    )
    for line, item in enumerate(case.lines, 1):
        found = db.execute("SELECT item_id, cents FROM items WHERE product = ? AND variant = ?", item).fetchone()
        db.execute("INSERT INTO order_lines VALUES (?, ?, ?, ?, 'ordered', NULL)", (order, line, *found))
    _ticket(db, ticket, customer, case.subject, "open", case.text)


def _customer(
    db: sqlite3.Connection, number: int, name: str, address: tuple[str, str, str], paid: tuple[str, ...], tag: str = ""
) -> None:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    email = f"{ascii_name.replace(' ', '.')}{tag}@example.com"
    db.execute("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", (f"C-{number:03}", name, email, *address))
    methods = [(f"P-{number:03}-{n}", f"C-{number:03}", label) for n, label in enumerate(paid, 1)]
    db.executemany("INSERT INTO payment_methods VALUES (?, ?, ?)", methods)


def _customers(db: sqlite3.Connection, dice: random.Random) -> None:
    for number in range(len(CASES) + 1, CUSTOMERS + 1):
        name = f"{dice.choice(FIRST)} {dice.choice(LAST)}"
        city, code = dice.choice(CITIES)
        paid = [f"Visa ending {dice.randrange(1000, 10000)}"]
        if dice.random() < 0.25:
            paid.append("PayPal")
        address = (f"{dice.choice(STREETS)} {dice.randrange(1, 120)}", city, code)
        _customer(db, number, name, address, tuple(paid), tag=f".{number}")


def _orders(db: sqlite3.Connection, dice: random.Random) -> None:
    items = db.execute("SELECT item_id, cents FROM items ORDER BY item_id").fetchall()
    for number in range(1001 + len(CASES), 1001 + ORDERS):
        customer = dice.randrange(len(CASES) + 1, CUSTOMERS + 1)
        status, day = dice.choice(STATUSES), TODAY - timedelta(days=dice.randrange(1, 300))
        reason = "no_longer_needed" if status == "cancelled" else None
        db.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)",
            (f"O-{number}", f"C-{customer:03}", status, str(day), f"P-{customer:03}-1", reason),
        )
        for line, item in enumerate(dice.sample(items, dice.randrange(1, 5)), 1):
            db.execute("INSERT INTO order_lines VALUES (?, ?, ?, ?, 'ordered', NULL)", (f"O-{number}", line, *item))


def _tickets(db: sqlite3.Connection, dice: random.Random) -> None:
    known = len(CASES)
    orders = db.execute("SELECT order_id, customer_id FROM orders WHERE customer_id > ?", (f"C-{known:03}",)).fetchall()
    for number, (order, customer) in enumerate(dice.sample(orders, TICKETS - known), known + 1):
        subject = dice.choice(list(SUBJECTS))
        status = dice.choice(("open", "open", "pending", "resolved"))
        _ticket(db, f"T-{number:02}", customer, subject, status, SUBJECTS[subject].format(order=order))


def _ticket(db: sqlite3.Connection, ticket: str, customer: str, subject: str, status: str, text: str) -> None:
    db.execute("INSERT INTO tickets VALUES (?, ?, ?, ?, 'tier 1')", (ticket, customer, subject, status))
    db.execute("INSERT INTO messages (ticket_id, kind, text) VALUES (?, 'customer', ?)", (ticket, text))


def _articles(db: sqlite3.Connection, dice: random.Random) -> None:
    rows = []
    for number, ((topic, (title, body)), category) in enumerate(product(TOPICS.items(), THINGS), 1):
        it = GOODS[category]
        words = {"it": it, "It": it.capitalize(), "days": dice.choice((14, 30, 60)), "few": dice.randrange(2, 5),
                 "more": dice.randrange(5, 9), "years": dice.choice((2, 3, 5))}  # fmt: skip
        rows.append((f"kb-{number:03}", title.format(**words), f"{topic} {category}", body.format(**words)))
    db.executemany("INSERT INTO articles VALUES (?, ?, ?, ?)", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    if args.file.exists():
        parser.error(f"{args.file} exists; remove it first")
    ensure(args.file, args.seed)


if __name__ == "__main__":
    main()
