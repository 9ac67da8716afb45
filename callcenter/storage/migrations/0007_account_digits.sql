-- Accounts as they can be keyed in on a telephone: their digits.
ALTER TABLE customers ADD COLUMN account_digits TEXT NOT NULL DEFAULT '';
UPDATE customers SET account_digits = (
    WITH RECURSIVE letters (place, digits) AS (
        SELECT 0, ''
        UNION ALL
        SELECT place + 1,
            digits || CASE WHEN substr(customers.account, place + 1, 1) GLOB '[0-9]'
                THEN substr(customers.account, place + 1, 1) ELSE '' END
        FROM letters WHERE place < length(customers.account)
    )
    SELECT digits FROM letters ORDER BY place DESC LIMIT 1
);
CREATE INDEX customers_by_account ON customers (client, account_digits) WHERE account_digits <> '';
