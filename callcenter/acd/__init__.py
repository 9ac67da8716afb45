"""Automatic call distribution, pure: who gets which call, when."""
