-- Numbers that a client is not to call. number is in E.164; expires_at NULL: for good. call_id: where the caller asked
-- for it. A row stays after it has expired until the next start.
CREATE TABLE do_not_call (
    client TEXT NOT NULL,
    number TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    source TEXT NOT NULL,
    call_id TEXT NOT NULL,
    added_by TEXT NOT NULL,
    added_at TEXT NOT NULL,
    expires_at TEXT,
    PRIMARY KEY (client, number)
) WITHOUT ROWID;
