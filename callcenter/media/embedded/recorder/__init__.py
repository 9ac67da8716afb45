"""Recordings: taps in the media worker, and a process of its own beside each worker that writes the files."""
