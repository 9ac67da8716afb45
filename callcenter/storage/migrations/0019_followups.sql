-- What was promised to customers, or is to be done about them. title, text, number and attempts are customer data and
-- stand here alone. told: what its timer has told since due_at was set (0 nothing, 1 reminded, 2 due, 3 overdue).
CREATE TABLE followups (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    due_at TEXT NOT NULL,
    due_local TEXT NOT NULL,
    zone TEXT NOT NULL,
    customer TEXT NOT NULL,
    number TEXT NOT NULL,
    call_id TEXT NOT NULL,
    queue TEXT NOT NULL,
    agent TEXT NOT NULL,
    made_by TEXT NOT NULL,
    callback TEXT NOT NULL,
    attempts TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    done_by TEXT NOT NULL,
    done_at TEXT,
    revision INTEGER NOT NULL,
    told INTEGER NOT NULL
);
CREATE INDEX followups_by_due ON followups (due_at, id);
CREATE INDEX followups_of_client ON followups (client, due_at, id);
CREATE INDEX followups_open ON followups (id) WHERE state = 'open';
CREATE INDEX followups_of_agent ON followups (agent, due_at) WHERE agent <> '';
CREATE INDEX followups_of_customer ON followups (client, customer, due_at) WHERE customer <> '';
CREATE INDEX followups_of_number ON followups (client, number, due_at) WHERE number <> '';
CREATE INDEX followups_of_call ON followups (call_id) WHERE call_id <> '';
