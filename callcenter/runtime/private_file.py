"""Private files: what nobody but the user of the switch may read, because a secret stands in it."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
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


@contextlib.contextmanager
def written_private(path: Path) -> Iterator[io.TextIOWrapper]:
    """A file of mode 0600, from its first moment on, that appears whole or not at all. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


SECRET_LENGTH = 32


def own_secret(path: Path) -> bytes:
    """A secret of this installation, 32 octets, made when there is none yet. Raises NotPrivate, OSError."""
    try:
        secret = bytes.fromhex(read_private(path))
        if len(secret) == SECRET_LENGTH:
            return secret
    except (FileNotFoundError, ValueError):
        pass  # there is none, or half of one
    secret = secrets.token_bytes(SECRET_LENGTH)
    with written_private(path) as file:
        file.write(secret.hex())
    return secret
