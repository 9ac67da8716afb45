-- A client's calls by what a page of them is asked by: each filter enters an index, and reads no call that it does not show.
CREATE INDEX interactions_of_queue ON interactions (client, queue, arrived_at) WHERE queue <> '';
CREATE INDEX interactions_of_agent ON interactions (client, agent, arrived_at) WHERE agent <> '';
CREATE INDEX interactions_of_outcome ON interactions (client, outcome, arrived_at);
CREATE INDEX interactions_to_number ON interactions (client, to_number, arrived_at) WHERE direction <> 'inbound';
