-- What was recorded: where the file is, what is in it, who keeps it, and what became of it. A row stays when its file is
-- deleted. state: recording, kept, cut (it ended before the talk did), failed (there is no file), deleted.
CREATE TABLE recordings (
    recording TEXT PRIMARY KEY,
    call_id TEXT NOT NULL,
    client TEXT NOT NULL,
    queue TEXT NOT NULL,
    agents TEXT NOT NULL,
    started_by TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    length_ms INTEGER NOT NULL,
    channels INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    key_id TEXT NOT NULL,
    path TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    held_by TEXT,
    held_why TEXT,
    held_at TEXT,
    deleted_by TEXT,
    deleted_why TEXT,
    deleted_at TEXT
);
CREATE INDEX recordings_of_client ON recordings (client, started_at);
CREATE INDEX recordings_of_call ON recordings (call_id);
CREATE INDEX recordings_under_way ON recordings (started_at) WHERE state = 'recording';
CREATE INDEX recordings_there ON recordings (client, ended_at) WHERE state IN ('kept', 'cut', 'failed') AND held_at IS NULL;
