"""The recordings of a plane: what their owners hold, over the worker that taps and the recorder that writes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from callcenter.media.embedded import control
from callcenter.media.embedded.recorder.files import PART
from callcenter.media.embedded.recorder.process import Recorder
from callcenter.media.plane import (
    MediaError,
    MediaSession,
    OnRecordingEnded,
    RecordingEncoding,
    RecordingEnded,
    RecordingOrder,
    RecordingReason,
)
from callcenter.rtp.codecs import CODECS
from callcenter.rtp.resample import NARROW, WIDE

if TYPE_CHECKING:
    from callcenter.media.embedded.process import WorkerProcess

# Seconds in which a recorder tells what has become of a recording; it is given up after that.
_TOLD_WITHIN: Final = 30.0

# Sessions on the right channel: more than take part in any talk.
_MOST_ON_THE_RIGHT: Final = 16


@runtime_checkable
class Session(Protocol):
    """A session, as far as recordings know one."""

    @property
    def number(self) -> int:
        """By which the worker knows it."""
        ...

    @property
    def worker(self) -> WorkerProcess:
        """Its worker."""
        ...

    @property
    def codec(self) -> str | None:
        """The codec that its peer speaks; None: not known yet."""
        ...

    def check(self) -> None:
        """Raises MediaGone when it is released or its worker dead."""
        ...


class EmbeddedRecording:
    """A recording, as its owner holds it. Made by ``Recordings.start``."""

    def __init__(
        self, number: int, order: RecordingOrder, left: Session, on_end: OnRecordingEnded, forget: Callable[[int], None]
    ) -> None:
        self.number = number
        self.left = left
        self.worker = left.worker
        self._order = order
        self._path = ""
        self._on_end = on_end
        self._forget = forget
        self._ended = False
        self._given_up: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<EmbeddedRecording {self.id} {'ended' if self._ended else self._path}>"

    @property
    def id(self) -> str:
        """As it was ordered."""
        return self._order.id

    @property
    def path(self) -> str:
        """The file's name once the recording has ended."""
        return self._path

    @path.setter
    def path(self, path: str) -> None:
        self._path = path

    @property
    def ended(self) -> bool:
        """Whether its end was told."""
        return self._ended

    def pause(self) -> None:
        """Nothing that is said from now on is recorded."""
        self._command(control.RECORD_PAUSE)

    def resume(self) -> None:
        """Record again."""
        self._command(control.RECORD_RESUME)

    def hears(self, right: Sequence[MediaSession]) -> None:
        """Who is on the right channel from now on."""
        self._command(control.RECORD_HEARS, _on_the_right(self.worker, right))

    def stop(self) -> None:
        """End it."""
        self._command(control.RECORD_STOP)
        self.expect_end(RecordingReason.FAILED, "the recorder has not finished the file")

    def expect_end(self, reason: RecordingReason, detail: str) -> None:
        """The recorder should tell its end soon; if it does not, this is the end."""
        if not self._ended and self._given_up is None:
            self._given_up = asyncio.get_running_loop().call_later(_TOLD_WITHIN, self.give_up, reason, detail)

    def give_up(self, reason: RecordingReason, detail: str) -> None:
        """It has ended, and the file was not finished."""
        self.end(self._path + PART, 0.0, 0, "", reason, detail)

    def end(self, path: str, seconds: float, octets: int, sha256: str, reason: RecordingReason, detail: str) -> None:
        """It has ended: tell its owner, whose mistakes are its own."""
        if self._ended:
            return
        self._command(control.RECORD_DROP)
        self._ended = True
        self._forget(self.number)
        if self._given_up is not None:
            self._given_up.cancel()
        try:
            self._on_end(RecordingEnded(self.id, path, seconds, octets, sha256, reason, detail))
        except Exception as error:  # noqa: BLE001 - other recordings' ends come over the same connection
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"the end of {self!r} was not taken", "exception": error}
            )

    def _command(self, op: str, *arguments: object) -> None:
        if not self._ended:
            self.worker.send([op, self.number, *arguments])


class Recordings:
    """All recordings of a plane, and the recorders of its workers."""

    def __init__(self, *, at_once: bool = False) -> None:
        """``at_once``: recorders run from the start on, so that nobody's first words are lost to that."""
        self._at_once = at_once
        self._starting: set[asyncio.Task[None]] = set()
        self._recordings: dict[int, EmbeddedRecording] = {}
        self._recorders: list[Recorder] = []
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._recordings)

    def new_recorder(self, index: int) -> Recorder:
        """The recorder for a new worker."""
        recorder = Recorder(index, self._recorded, self._lost)
        self._recorders.append(recorder)
        if self._at_once:
            task = asyncio.get_running_loop().create_task(_start(recorder), name=f"start recorder {index}")
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
        return recorder

    async def start(
        self, order: RecordingOrder, left: MediaSession, right: Sequence[MediaSession], on_end: OnRecordingEnded
    ) -> EmbeddedRecording:
        """Record. Raises MediaGone, MediaError."""
        one = _ours(left)
        one.check()
        worker = one.worker
        numbers = _on_the_right(worker, right)
        recorder = worker.recorder
        assert recorder is not None, "a worker that was started has one"
        number = next(self._numbers)
        recording = EmbeddedRecording(number, order, one, on_end, self._forget)
        recording.path = await recorder.open(number, order, _rate(order, [left, *right]))
        self._recordings[number] = recording
        try:
            await worker.ask(control.RECORD, number, one.number, numbers)
            if recording.ended:
                raise MediaError("the recorder has ended")
        except BaseException:
            # Whoever is cancelled, or raises, is not told of an end.
            self._forget(number)
            worker.send([control.RECORD_DROP, number])
            recorder.end(number, RecordingReason.FAILED, "nobody was recorded")
            raise
        return recording

    def untaken(self, number: int, detail: str) -> None:
        """The worker could not hand it over any more."""
        recording = self._recordings.get(number)
        if recording is not None and recording.worker.recorder is not None:
            recording.worker.recorder.end(number, RecordingReason.SLOW_DISK, detail)
            recording.expect_end(RecordingReason.SLOW_DISK, detail)

    def released(self, session: object) -> None:
        """A session is released: who is recorded on the left of it ends."""
        for recording in [each for each in self._recordings.values() if each.left is session]:
            recording.stop()

    def worker_lost(self, worker: WorkerProcess, detail: str) -> None:
        """A worker has died: its recorder finishes the files."""
        for recording in [each for each in self._recordings.values() if each.worker is worker]:
            recording.expect_end(RecordingReason.WORKER_LOST, detail)

    def check(self) -> None:
        """Once a second: see that the recorders live."""
        for recorder in self._recorders:
            recorder.check()
        self._recorders = [recorder for recorder in self._recorders if not recorder.gone]

    async def close(self) -> None:
        """The workers have ended: wait until all files are finished."""
        await asyncio.gather(*(recorder.close() for recorder in self._recorders))
        for recording in tuple(self._recordings.values()):
            recording.give_up(RecordingReason.FAILED, "the recorder has ended")

    def _forget(self, number: int) -> None:
        self._recordings.pop(number, None)

    def _recorded(
        self, number: int, path: str, seconds: float, octets: int, sha256: str, reason: RecordingReason, detail: str
    ) -> None:
        recording = self._recordings.get(number)
        if recording is not None:
            recording.end(path, seconds, octets, sha256, reason, detail)

    def _lost(self, numbers: list[int], detail: str) -> None:
        for number in numbers:
            recording = self._recordings.get(number)
            if recording is not None:
                recording.give_up(RecordingReason.FAILED, detail)


async def _start(recorder: Recorder) -> None:
    """Have a recorder run. One that cannot is told of by the first recording that needs it."""
    with contextlib.suppress(MediaError):
        await recorder.start()


def _ours(session: MediaSession) -> Session:
    assert isinstance(session, Session), "sessions of one plane are recorded"
    return session


def _on_the_right(worker: WorkerProcess, right: Sequence[MediaSession]) -> list[int]:
    """The numbers of sessions. Raises MediaError when one is on another worker."""
    if len(right) > _MOST_ON_THE_RIGHT:
        raise MediaError(f"no more than {_MOST_ON_THE_RIGHT} sessions are recorded on one channel")
    sessions = [_ours(session) for session in right]
    if any(session.worker is not worker for session in sessions):
        raise MediaError("sessions of different calls, on different workers, cannot be recorded together")
    return [session.number for session in sessions]


def _rate(order: RecordingOrder, sessions: Sequence[MediaSession]) -> int:
    if order.encoding is RecordingEncoding.ULAW:
        return NARROW
    codecs = [CODECS.get(_ours(session).codec or "") for session in sessions]
    return WIDE if any(codec is not None and codec.wide for codec in codecs) else NARROW
