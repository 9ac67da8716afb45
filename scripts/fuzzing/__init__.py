"""Fuzzing for hours: see ./scripts/fuzz --help; what is tried is in tests/unit/sip/fuzzing."""
