-- Customers of each client, found by number. `tail` is the end of a number, by which a national and an
-- international spelling of one number find each other.
CREATE TABLE customers (
    client TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    account TEXT NOT NULL,
    tier TEXT NOT NULL,
    language TEXT NOT NULL,
    since TEXT NOT NULL,
    notes TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    PRIMARY KEY (client, id)
);

CREATE TABLE customer_numbers (
    client TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    number TEXT NOT NULL,
    tail TEXT NOT NULL,
    PRIMARY KEY (client, customer_id, number),
    FOREIGN KEY (client, customer_id) REFERENCES customers (client, id) ON DELETE CASCADE
);
CREATE INDEX customer_numbers_by_number ON customer_numbers (client, number);
CREATE INDEX customer_numbers_by_tail ON customer_numbers (client, tail);
