-- Who asked on a client's website to be called: kept here until it is confirmed, and a day, for the limits. state:
-- requested, confirmed, cancelled, expired. The code itself is nowhere: only its SHA-256. When one is confirmed or over,
-- reason and name are emptied: they stand with the callback, or nowhere.
CREATE TABLE call_me (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    code BLOB NOT NULL,
    number TEXT NOT NULL,
    reason TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    not_before TEXT NOT NULL,
    not_after TEXT,
    address TEXT NOT NULL,
    state TEXT NOT NULL,
    callback TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX call_me_by_client ON call_me (client, created_at);
CREATE INDEX call_me_by_address ON call_me (address, created_at);
CREATE INDEX call_me_by_number ON call_me (client, number, created_at);
CREATE INDEX call_me_by_age ON call_me (created_at);
