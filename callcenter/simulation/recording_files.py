"""Simulated files of recordings: a disk that gets full, and what is left on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from callcenter.simulation.recording import SimMediaRecording
from callcenter.storage.recording_files import Mended, Space

TOTAL = 100_000_000_000


class SimRecordingFiles:
    """The files of what a simulated plane has ``made``. ``free``: bytes; ``broken``: what the disk says to all."""

    def __init__(self, made: Iterable[SimMediaRecording]) -> None:
        self.free = TOTAL // 2
        self.broken: OSError | None = None
        self.busy: OSError | None = None
        """What it says to who wants to mend."""
        self.deleted: list[Path] = []
        self._made = made

    async def space(self, directory: Path) -> Space:
        """The room there is. Raises OSError."""
        await self._turn()
        return Space(self.free, TOTAL)

    async def delete(self, path: Path) -> None:
        """Note that a file is gone. Raises OSError."""
        await self._turn()
        self.deleted.append(path)

    async def mend(self, path: Path) -> Mended | None:
        """What a recording has had in it; None when there was none. Raises OSError."""
        await self._turn()
        if self.busy is not None:
            raise self.busy
        for each in self._made:
            if each.path == str(path):
                seconds = sum(span.end - span.start for span in each.spans)
                return Mended(path, seconds, round(seconds * 32_000), "mended")
        return None

    async def _turn(self) -> None:
        """A disk is not asked in no time."""
        await asyncio.sleep(0.001)
        if self.broken is not None:
            raise self.broken
