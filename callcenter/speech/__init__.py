"""Speech: what is said to callers, from text or from a recording, as 8 kHz sound on disk."""
