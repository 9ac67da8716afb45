-- What people write of calls and customers: the text as it is now, a draft while it is typed; and every text that was
-- told, the last one too. Values of wrap-up fields: the one of the highest revision holds, NULL is none.
CREATE TABLE notes (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    call_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    revision INTEGER NOT NULL,
    draft INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX notes_of_call ON notes (call_id) WHERE call_id <> '';
CREATE INDEX notes_of_customer ON notes (client, customer_id, created_at) WHERE customer_id <> '';
CREATE INDEX notes_being_typed ON notes (id) WHERE draft = 1;

CREATE TABLE note_revisions (
    note TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    why TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (note, revision)
);

CREATE TABLE wrap_up_fields (
    call_id TEXT NOT NULL,
    offer TEXT NOT NULL,
    field TEXT NOT NULL,
    revision INTEGER NOT NULL,
    client TEXT NOT NULL,
    agent TEXT NOT NULL,
    value TEXT,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (call_id, offer, field, revision)
);
