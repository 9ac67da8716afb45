-- Days that are over, as they were published: nothing here is changed later, also when a definition is. What came late,
-- because a clock was set back, is added with a later seq. `versions` are those of the definitions that were in force.
CREATE TABLE metric_days (
    client TEXT NOT NULL,
    day TEXT NOT NULL,
    seq INTEGER NOT NULL,
    zone TEXT NOT NULL,
    versions TEXT NOT NULL,
    PRIMARY KEY (client, day, seq)
);

-- Their figures by the quarter of an hour, which is counted from 1970 in UTC, and by queue: of the queue, of its callbacks,
-- and of each agent there. Rows without a client have who asked for one agent alone, and how agents' time passed.
CREATE TABLE metric_rows (
    client TEXT NOT NULL,
    day TEXT NOT NULL,
    seq INTEGER NOT NULL,
    quarter INTEGER NOT NULL,
    queue TEXT NOT NULL,
    threshold_ms INTEGER NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (client, day, seq, quarter, queue)
) WITHOUT ROWID;
CREATE INDEX metric_rows_by_quarter ON metric_rows (quarter);

-- Where the fold of the facts stood, without the days above, as of fact seq: the next start goes on from there.
CREATE TABLE metric_state (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL
);
