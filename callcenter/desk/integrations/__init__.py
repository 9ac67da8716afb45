"""Integrations: other systems that know our callers, or want to hear of our calls."""
