-- Whom a customer would rather talk to; and who answered a number last is asked before the greeting.
ALTER TABLE customers ADD COLUMN agent TEXT NOT NULL DEFAULT '';
CREATE INDEX interactions_of_number ON interactions (client, from_number, arrived_at) WHERE from_number <> '';
