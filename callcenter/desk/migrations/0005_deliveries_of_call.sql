-- Of which calls something is kept here: asked when somebody is erased, without a look at each body.
CREATE INDEX deliveries_of_call ON deliveries (client, call_id) WHERE state <> 'erased' AND call_id <> '';
