-- Callbacks that have ended are kept: with what was tried, and what came of it.
ALTER TABLE callbacks ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE callbacks ADD COLUMN ended_at TEXT;
ALTER TABLE callbacks ADD COLUMN customer TEXT NOT NULL DEFAULT '';
ALTER TABLE callbacks ADD COLUMN source TEXT NOT NULL DEFAULT 'caller';
ALTER TABLE callbacks ADD COLUMN requested_at TEXT NOT NULL DEFAULT '';
UPDATE callbacks SET requested_at = coalesce(json_extract(record, '$.requested_at'), '');
CREATE INDEX callbacks_of_client ON callbacks (client, requested_at, id);
CREATE INDEX callbacks_of_number ON callbacks (number);
CREATE INDEX callbacks_of_customer ON callbacks (customer) WHERE customer != '';
CREATE INDEX callbacks_pending ON callbacks (first_joined_at, id) WHERE outcome = '';
CREATE INDEX callbacks_ended ON callbacks (ended_at) WHERE outcome != '';
