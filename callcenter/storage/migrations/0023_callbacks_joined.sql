-- Under which ids callbacks were asked for that became one with another: asked for again, they are that one.
CREATE TABLE callbacks_joined (
    asked_as TEXT PRIMARY KEY,
    callback TEXT NOT NULL REFERENCES callbacks (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX callbacks_joined_of ON callbacks_joined (callback);
