-- What each client notes of its customers by fields of its own (JSON), and how often a customer has changed.
ALTER TABLE customers ADD COLUMN fields TEXT NOT NULL DEFAULT '{}';
ALTER TABLE customers ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
CREATE INDEX customers_by_name ON customers (client, name COLLATE NOCASE);

-- Further accounts; the first one stands with the customer.
CREATE TABLE customer_accounts (
    client TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    account TEXT NOT NULL,
    account_digits TEXT NOT NULL,
    PRIMARY KEY (client, customer_id, account),
    FOREIGN KEY (client, customer_id) REFERENCES customers (client, id) ON DELETE CASCADE
);
CREATE INDEX customer_accounts_by_digits ON customer_accounts (client, account_digits) WHERE account_digits <> '';

-- Records that became one with another: the id goes on to mean that one. `record` is what it was, `conflicts` where the
-- two contradicted each other.
CREATE TABLE customer_merges (
    client TEXT NOT NULL,
    id TEXT NOT NULL,
    into_id TEXT NOT NULL,
    merged_at TEXT NOT NULL,
    merged_by TEXT NOT NULL,
    record TEXT NOT NULL,
    conflicts TEXT NOT NULL,
    PRIMARY KEY (client, id)
);
CREATE INDEX customer_merges_into ON customer_merges (client, into_id);

-- Who was erased on request and had an id of the client's own: a file that still has it does not bring them back.
CREATE TABLE customers_erased (
    client TEXT NOT NULL,
    id TEXT NOT NULL,
    erased_at TEXT NOT NULL,
    PRIMARY KEY (client, id)
);

-- Calls of which nothing names the caller any more.
ALTER TABLE interactions ADD COLUMN erased_at TEXT;
CREATE INDEX interactions_not_erased ON interactions (client, arrived_at) WHERE erased_at IS NULL;
CREATE INDEX interactions_by_dialled ON interactions (client, to_number) WHERE direction <> 'inbound';
