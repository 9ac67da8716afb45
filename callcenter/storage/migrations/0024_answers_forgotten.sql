-- What stays of an answer when somebody is erased: which command it was, and that it was done. Answers of before, which
-- do not say that, go then.
ALTER TABLE answers ADD COLUMN do TEXT NOT NULL DEFAULT '';
ALTER TABLE answers ADD COLUMN skeleton TEXT NOT NULL DEFAULT '{}';
