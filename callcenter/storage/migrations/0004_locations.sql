-- Registrations: where each address of record can be reached, kept over a restart. `expires_at` is UTC.
CREATE TABLE locations (
    aor TEXT NOT NULL,
    contact TEXT NOT NULL,
    instance TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    binding TEXT NOT NULL,
    PRIMARY KEY (aor, contact, instance)
);
