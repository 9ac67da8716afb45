-- Which way a call went: until now all came to the house.
ALTER TABLE interactions ADD COLUMN direction TEXT NOT NULL DEFAULT 'inbound';
UPDATE interactions SET record = json_set(record, '$.direction', 'inbound', '$.dialled_by', '', '$.outside', json('[]'));
