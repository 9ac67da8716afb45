-- Of who asked to be called stays, for the limits of a day, what tells them from others and says of nobody who it is: a
-- hash of the number and of the address, keyed by a secret of the installation. The number itself stands here until it
-- is confirmed or over. Those of before are counted no more.
ALTER TABLE call_me ADD COLUMN number_key TEXT NOT NULL DEFAULT '';
ALTER TABLE call_me ADD COLUMN address_key TEXT NOT NULL DEFAULT '';
DROP INDEX call_me_by_address;
DROP INDEX call_me_by_number;
ALTER TABLE call_me DROP COLUMN address;
UPDATE call_me SET number = '' WHERE state <> 'requested';
CREATE INDEX call_me_by_address_key ON call_me (address_key, created_at);
CREATE INDEX call_me_by_number_key ON call_me (number_key, created_at);
