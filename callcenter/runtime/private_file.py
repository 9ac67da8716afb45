"""Private files: what nobody but the user of the switch may read, because a secret stands in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotPrivate(Exception):
    """Others may read the file; one line with what to do."""


def read_private(path: Path) -> str:
    """The text of a file that only its owner may read. Raises NotPrivate, OSError, UnicodeDecodeError."""
    with path.open(encoding="utf-8") as file:
        # Of the file that is open, whatever stands under its name by now.
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise NotPrivate(f"{path} can be read by others (mode {mode:04o}): chmod 600 {path}")
        return file.read()
