"""Shipped: the configuration that runs when none is named, and the sounds that are there without one."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
DEFAULT_FOLDER = next(
    (folder for folder in (PACKAGE / "default_config", PACKAGE.parent / "config") if folder.is_dir()),
    PACKAGE / "default_config",
)
"""The shipped configuration: inside the installed package, or beside it in a checkout."""

SHIPPED_MUSIC = DEFAULT_FOLDER / "music" / "quiet-hours.wav"
"""What is heard in a queue when the configuration names no music."""

RINGBACK = DEFAULT_FOLDER / "music" / "ringback.wav"
"""What an agent hears while a customer's phone rings."""
