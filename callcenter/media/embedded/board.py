"""The board: a table in memory that a worker writes and the switch reads: what every leg has counted.

Each leg has its row, written once a second by the upkeep that it has anyway. Whoever wants to know looks: nobody is
asked, nothing is sent, and what a worker has noted outlives it. A row that is read while it is written may have one
counter of before beside another of now; each of them is whole.
"""

from __future__ import annotations

import dataclasses
import mmap
import os
import struct
from collections.abc import Sequence
from typing import Final

from callcenter.media.plane import MediaStats

FIELDS: Final = tuple(field.name for field in dataclasses.fields(MediaStats))
"""What is noted, in this order."""

# The session's number, then the counters: as numbers that hold 2**53 without loss.
_ROW: Final = struct.Struct(f"@{1 + len(FIELDS)}d")
_WHOLE: Final = tuple(isinstance(field.default, int) for field in dataclasses.fields(MediaStats))


class Board:
    """A board of so many ``rows``: a new one, or the one behind a descriptor that was passed on, ``file``."""

    def __init__(self, rows: int, file: int = -1) -> None:
        self.file = file
        """The descriptor to be passed on; -1: it is closed."""
        size = max(1, rows) * _ROW.size
        if file < 0:
            self.file = os.memfd_create("callcenter-media")
            os.ftruncate(self.file, size)
        self._memory = mmap.mmap(self.file, size)

    def close_file(self) -> None:
        """The descriptor is not needed any more; the memory stays. May be called twice."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def write(self, row: int, session: int, counters: Sequence[float]) -> None:
        """Note the counters of a session, in the order of FIELDS."""
        _ROW.pack_into(self._memory, row * _ROW.size, session, *counters)

    def read(self, row: int, session: int) -> MediaStats | None:
        """What was noted of a session; None: nothing yet."""
        number, *counters = _ROW.unpack_from(self._memory, row * _ROW.size)
        if number != session:
            return None
        return MediaStats(*(int(count) if whole else count for count, whole in zip(counters, _WHOLE, strict=True)))
