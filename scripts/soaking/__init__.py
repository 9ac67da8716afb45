"""Reloads under load: a switch as a program, phones that talk through it, and files that change all the time."""
