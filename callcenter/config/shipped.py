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

HOLD_TONE, SILENCE = DEFAULT_FOLDER / "music" / "hold-tone.wav", DEFAULT_FOLDER / "music" / "silence.wav"
"""What an agent hears who has a caller held from a program, and not by the phone: the one, and then the other."""

SILENCES = 9
"""So often, of a second each: a sign every ten seconds that the caller still waits."""
