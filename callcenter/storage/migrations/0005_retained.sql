-- Topics that hold a retained message of ours: a later run clears those that it does not speak for any more.
CREATE TABLE retained (
    topic TEXT PRIMARY KEY
);
