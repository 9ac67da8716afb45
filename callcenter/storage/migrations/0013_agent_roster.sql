-- What was changed of an agent at run time, by whom, until it is reset. NULL: as configured.
CREATE TABLE agent_roster (
    agent TEXT PRIMARY KEY,
    skills TEXT,
    clients TEXT,
    queues TEXT,
    changed_by TEXT NOT NULL,
    changed_at TEXT NOT NULL
);

-- The breaks of these days, for what a break may last and all of a day together; ended_at NULL: it goes on.
CREATE TABLE agent_breaks (
    agent TEXT NOT NULL,
    reason TEXT NOT NULL,
    began_at TEXT NOT NULL,
    ended_at TEXT,
    PRIMARY KEY (agent, began_at)
);
