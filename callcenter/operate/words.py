"""Words that are said in several places: spans of time."""

from __future__ import annotations


def span(seconds: float) -> str:
    """``10m``, ``1m30s``, ``0.5s``: as the configuration writes it."""
    if 0 < seconds < 1:
        return f"{round(seconds, 3):g}s"
    left, text = round(seconds), ""
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        text += f"{number}{unit}" if number else ""
    return text or "0s"
