-- Since when a receiver stands in the configuration no more: what it was still to be told is kept for a while.
ALTER TABLE webhook_lanes ADD COLUMN removed_at REAL;
