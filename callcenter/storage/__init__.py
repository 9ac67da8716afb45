"""Storage: facts, interactions, customers and registrations in SQLite, with one writer."""
