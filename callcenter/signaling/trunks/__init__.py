"""Trunks: the lines to carriers and other switches: whom we take for one, whether it is there, and the way to it."""
