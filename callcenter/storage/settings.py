"""StorageSettings: where the database is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The SQLite file; its folder is made when it is missing."""

    path: Path
