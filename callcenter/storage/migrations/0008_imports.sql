-- The file of customers that was imported last, as it was then, when every row of it was taken.
CREATE TABLE imports (
    file TEXT PRIMARY KEY,
    digest TEXT NOT NULL
);
