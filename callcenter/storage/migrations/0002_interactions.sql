-- What each call came to: the columns that are asked for, and the whole record as JSON.
CREATE TABLE interactions (
    call_id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    from_number TEXT NOT NULL,
    to_number TEXT NOT NULL,
    arrived_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT,
    intent TEXT NOT NULL,
    queue TEXT NOT NULL,
    agent TEXT NOT NULL,
    wait_ms INTEGER NOT NULL,
    talk_ms INTEGER NOT NULL,
    hold_ms INTEGER NOT NULL,
    wrap_up_ms INTEGER NOT NULL,
    ended_by TEXT,
    cause TEXT,
    record TEXT NOT NULL
);
CREATE INDEX interactions_of_client ON interactions (client, arrived_at);
CREATE INDEX interactions_of_customer ON interactions (client, customer_id, arrived_at) WHERE customer_id <> '';

-- Calls that arrived and whose final record is not written yet: what a restart has to close.
CREATE TABLE open_calls (
    call_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
);
INSERT INTO open_calls (call_id, seq)
    SELECT call_id, MIN(seq) FROM facts WHERE kind = 'CallArrived' AND call_id IS NOT NULL GROUP BY call_id;
