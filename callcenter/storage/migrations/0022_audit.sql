-- Who had what changed, by which door, and what came of it. No text and no number of a customer stands here.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    user TEXT NOT NULL,
    role TEXT NOT NULL,
    via TEXT NOT NULL,
    action TEXT NOT NULL,
    client TEXT NOT NULL DEFAULT '',
    target TEXT NOT NULL DEFAULT '',
    outcome TEXT NOT NULL,
    command TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_by_client ON audit (client, id);
CREATE INDEX audit_by_user ON audit (user, id);
CREATE INDEX audit_by_time ON audit (at);

-- Answers of a day, for who asks the same again behind a restart; all of them go when somebody is erased.
CREATE TABLE answers (
    asked_by TEXT NOT NULL,
    command TEXT NOT NULL,
    digest BLOB NOT NULL,
    result TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (asked_by, command)
) WITHOUT ROWID;
CREATE INDEX answers_by_time ON answers (at);
