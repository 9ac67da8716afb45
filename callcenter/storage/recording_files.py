"""RecordingFiles: the files of recordings beside whoever writes them: the room there is, deleting, mending."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# Seconds; a disk of the network may be away.
ANSWERS_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Space:
    """The bytes that are free on a disk, and all that it has."""

    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Mended:
    """What is in a file that nobody finished, now that it is whole."""

    path: Path
    seconds: float
    octets: int
    sha256: str


Mend = Callable[[Path], Mended | None]


class RecordingFiles(Protocol):
    """The files, beside whoever writes them."""

    async def space(self, directory: Path) -> Space:
        """The room where recordings are. Raises OSError."""
        ...

    async def delete(self, path: Path) -> None:
        """Delete a file, if it is there. Raises OSError."""
        ...

    async def mend(self, path: Path) -> Mended | None:
        """Finish the file that was to become ``path``; None when nothing of it can be heard. Raises OSError."""
        ...


class DiskFiles:
    """Files on a disk, asked for in threads: a disk may be slow, and calls do not wait for it."""

    def __init__(self, mend: Mend) -> None:
        """``mend`` knows what is in a file; it may take as long as it reads."""
        self._mend = mend
        self._looking: asyncio.Task[Space] | None = None

    async def space(self, directory: Path) -> Space:
        """The room where recordings are, or will be. Raises OSError, also of a disk that does not answer in time."""
        # One that hangs is not asked again meanwhile: each question would hold a thread.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(
                asyncio.to_thread(_space, directory), name="look at the disk of recordings"
            )
            self._looking.add_done_callback(_heard)
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                return await asyncio.shield(self._looking)
        except TimeoutError:
            raise OSError(errno.ETIMEDOUT, f"the disk has not answered for {ANSWERS_WITHIN:.0f} s") from None

    async def delete(self, path: Path) -> None:
        """Delete a file, or what there is of it, and the folder of its day with the last one. Raises OSError."""
        await asyncio.to_thread(_delete, path)

    async def mend(self, path: Path) -> Mended | None:
        """Finish the file that was to become ``path``; None when nothing of it can be heard. Raises OSError."""
        return await asyncio.to_thread(self._mend, path)


def _heard(looking: asyncio.Task[Space]) -> None:
    """Whoever asked may have gone: then nobody else takes what came of it."""
    if not looking.cancelled():
        looking.exception()


def _space(directory: Path) -> Space:
    # The folder is made with the first recording.
    there = next(each for each in (directory, *directory.parents) if each.exists())
    found = os.statvfs(there)
    # What root alone may still use is no room for us.
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.part").unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        pass  # there are others of that day
