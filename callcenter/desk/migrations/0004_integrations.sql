-- Receivers of events that were made by the API; those of the configuration stand there.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    description TEXT NOT NULL,
    secret TEXT NOT NULL,
    former TEXT NOT NULL,
    former_until REAL NOT NULL,
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL
);

-- How it goes with each receiver, also with those of the configuration. It is told what happened after fact `since`.
CREATE TABLE webhook_lanes (
    id TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    failures INTEGER NOT NULL DEFAULT 0,
    failing_since REAL,
    retry_at REAL NOT NULL DEFAULT 0,
    disabled TEXT NOT NULL DEFAULT ''
);

-- What each is told, in the order of `n`. A delivery that is replayed goes to the end, under its id.
CREATE TABLE deliveries (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    webhook TEXT NOT NULL,
    client TEXT NOT NULL,
    seq INTEGER NOT NULL,
    event TEXT NOT NULL,
    call_id TEXT NOT NULL,
    customer TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    queued_at REAL NOT NULL,
    attempted_at REAL,
    status INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    took_ms INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_pending ON deliveries (webhook, n) WHERE state = 'pending';
CREATE INDEX deliveries_of_webhook ON deliveries (webhook, n);
CREATE INDEX deliveries_of_customer ON deliveries (client, customer) WHERE customer <> '';

CREATE TABLE integration_cursors (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
);

-- The last good answers of CRMs, each while it is kept. `key` says what was asked for.
CREATE TABLE crm_answers (
    client TEXT NOT NULL,
    key TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    customer TEXT NOT NULL,
    kept_until REAL NOT NULL,
    PRIMARY KEY (client, key)
);
CREATE INDEX crm_answers_of_customer ON crm_answers (client, customer_id);
