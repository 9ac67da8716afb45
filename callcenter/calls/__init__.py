"""The business: what happens to a call. Start reading at ``inbound.py``."""
