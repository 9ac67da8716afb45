-- Lists by state and by queue, which would look at every row otherwise: of 100,000 open ones some tenths of a second.
CREATE INDEX followups_by_state ON followups (client, state, due_at, id);
CREATE INDEX followups_of_queue ON followups (queue, state, due_at, id) WHERE queue <> '';
