-- How many deliveries of a receiver are in which state is asked for whenever somebody looks at how all goes: without this
-- every body is read for it.
CREATE INDEX deliveries_by_state ON deliveries (webhook, state);
