"""Speech: what is said to callers, from text or from a recording, as sound for the line on disk."""
