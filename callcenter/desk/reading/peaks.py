"""Peaks: how loud a recording is from moment to moment, for the wave form that a player draws before it plays."""

from __future__ import annotations

import asyncio
import audioop
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callcenter.desk.reading.recordings import NotThere, Sound
from callcenter.media.embedded.recorder.files import read_wav_header

# As fine as any screen draws it; what is asked for more coarsely is made of these.
FINEST = 2_048
# Recordings whose peaks are remembered, 8 kB each.
REMEMBERED = 500
# One recording is looked through after the other: an hour is half a second's work, which players share.
AT_ONCE = 1
CHANNELS = 2
# The loudest that a sample can be.
FULL = 32_768


@dataclass(frozen=True, slots=True)
class Peaks:
    """The loudest sample of each of equally long pieces, of the caller and of the agent, of ``FULL`` at most; and how
    long all of it is, in milliseconds.
    """

    length_ms: int
    caller: array[int]
    agent: array[int]

    def of(self, points: int) -> Peaks:
        """The same in so many pieces at most, the loudest of each."""
        if points >= len(self.caller):
            return self
        return Peaks(self.length_ms, _coarser(self.caller, points), _coarser(self.agent, points))


def shares(peaks: Sequence[int]) -> list[float]:
    """The same from 0 to 1, as players draw it."""
    return [round(each / FULL, 4) for each in peaks]


def _coarser(peaks: array[int], points: int) -> array[int]:
    edges = [at * len(peaks) // points for at in range(points + 1)]
    return array("H", (max(peaks[edges[at] : edges[at + 1]]) for at in range(points)))


def peaks_of(sound: Sound, finest: int = FINEST) -> Peaks:
    """Look a recording through. It takes its time: not on a loop. Raises NotThere."""
    head = b"".join(sound.read(0, min(sound.size, 64)))
    found = read_wav_header(head)
    if found is None:
        raise NotThere("the recording is no WAV file of ours")
    form, begins = found
    frames = (sound.size - begins) // form.frame
    pieces = min(finest, frames)
    caller, agent = array("H", [0] * pieces), array("H", [0] * pieces)
    rest, frame, piece = b"", 0, 0
    for octets in sound.read(begins, frames * form.frame):
        block = rest + octets
        whole = len(block) // form.frame
        rest = block[whole * form.frame :]
        at = 0
        while at < whole:
            ends = (piece + 1) * frames // pieces
            taken = min(whole - at, ends - frame)
            part = block[at * form.frame : (at + taken) * form.frame]
            if form.frame == CHANNELS:  # an octet a sample: G.711
                part = audioop.ulaw2lin(part, 2)
            caller[piece] = max(caller[piece], audioop.max(audioop.tomono(part, 2, 1, 0), 2))
            agent[piece] = max(agent[piece], audioop.max(audioop.tomono(part, 2, 0, 1), 2))
            at, frame = at + taken, frame + taken
            if frame == ends:
                piece += 1
    return Peaks(frames * 1000 // form.rate, caller, agent)


class Seen:
    """The peaks of recordings that were looked through, by what is in them (their SHA-256)."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Peaks] = OrderedDict()
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def of(self, sha256: str, open: Callable[[], Sound]) -> Peaks:
        """The peaks of a recording, remembered, or from its file. Raises what ``open`` raises, and NotThere."""
        if (known := self._find(sha256)) is not None:
            return known
        async with self._turn:
            # Somebody else may have had it looked through meanwhile.
            if (known := self._find(sha256)) is not None:
                return known
            found = await asyncio.to_thread(_look, open)
            self._known[sha256] = found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            return found

    def _find(self, sha256: str) -> Peaks | None:
        if sha256 in self._known:
            self._known.move_to_end(sha256)
        return self._known.get(sha256)


def _look(open: Callable[[], Sound]) -> Peaks:
    with open() as sound:
        return peaks_of(sound)
