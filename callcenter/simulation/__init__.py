"""A world without an outside: virtual time, a network, phones; for tests and what-if runs."""
