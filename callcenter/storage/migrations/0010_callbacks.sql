-- Who is to be called back; a row goes when the callback has ended.
CREATE TABLE callbacks (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    queue TEXT NOT NULL,
    number TEXT NOT NULL,
    first_joined_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    record TEXT NOT NULL
);
