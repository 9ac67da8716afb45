-- What each agent chose to be (ready, not ready, signed out), kept over a restart; no row: the system chose.
CREATE TABLE agent_intents (
    agent TEXT PRIMARY KEY,
    intent TEXT NOT NULL,
    reason TEXT NOT NULL
);
