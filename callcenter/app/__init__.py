"""Builds the house: the only files that know every concrete class."""
