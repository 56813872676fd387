CREATE TABLE customers (
    customer_id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE,
    street TEXT NOT NULL, city TEXT NOT NULL, zip TEXT NOT NULL
);
CREATE TABLE payment_methods (
    method_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers, label TEXT NOT NULL
);
CREATE TABLE items (
    item_id TEXT PRIMARY KEY, product TEXT NOT NULL, variant TEXT NOT NULL, category TEXT NOT NULL,
    cents INTEGER NOT NULL, available INTEGER NOT NULL
);
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers, status TEXT NOT NULL,
    ordered_on TEXT NOT NULL, method_id TEXT NOT NULL REFERENCES payment_methods, cancel_reason TEXT
);
CREATE INDEX orders_of_customer ON orders (customer_id);
CREATE TABLE order_lines (
    order_id TEXT NOT NULL REFERENCES orders, line INTEGER NOT NULL, item_id TEXT NOT NULL REFERENCES items,
    cents INTEGER NOT NULL, status TEXT NOT NULL, refund_to TEXT REFERENCES payment_methods,
    PRIMARY KEY (order_id, line)
);
CREATE TABLE refunds (
    refund_id INTEGER PRIMARY KEY, order_id TEXT NOT NULL REFERENCES orders, cents INTEGER NOT NULL,
    method TEXT NOT NULL
);
CREATE TABLE tickets (
    ticket_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers, subject TEXT NOT NULL,
    status TEXT NOT NULL, team TEXT NOT NULL
);
CREATE TABLE messages (
    message_id INTEGER PRIMARY KEY, ticket_id TEXT NOT NULL REFERENCES tickets, kind TEXT NOT NULL, text TEXT NOT NULL
);
CREATE TABLE articles (
    article_id TEXT PRIMARY KEY, title TEXT NOT NULL, tags TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY, key TEXT UNIQUE, tool TEXT NOT NULL, arguments TEXT NOT NULL, result TEXT NOT NULL,
    user TEXT NOT NULL, at TEXT NOT NULL
);
