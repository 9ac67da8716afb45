-- Facts as they happen, who may append to them, and how far each reader of the log has come.
-- INTEGER holds 64 bits here; a server that counts it as 32 bits takes BIGINT.
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    boot TEXT NOT NULL,
    ms INTEGER NOT NULL,
    call_id TEXT,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX facts_of_call ON facts (call_id, seq) WHERE call_id IS NOT NULL;

-- Every append compares epoch and head with this row: a writer that was replaced is refused.
CREATE TABLE writers (
    log TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    head INTEGER NOT NULL
);
INSERT INTO writers (log, epoch, head) VALUES ('facts', 0, 0);

CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
);
