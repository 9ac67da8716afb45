"""What a recorder does: takes what the worker hands over, and has it decoded, mixed, written and finished.

Files are written and finished in threads, so that a disk that stalls stops neither the others' sound nor the socket.
"""

from __future__ import annotations

import asyncio
import audioop
import errno
import queue
import socket
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

from callcenter.media.embedded import control
from callcenter.media.embedded.recorder import handover
from callcenter.media.embedded.recorder.files import PART, FileFull, RecordingFile, create
from callcenter.media.embedded.recorder.sealing import Format
from callcenter.media.embedded.recorder.timeline import Channel, in_order, interleaved
from callcenter.media.plane import RecordingEncoding, RecordingReason
from callcenter.rtp.codecs import CodecMissing

# Seconds that packets may be late, or overtake each other, before what stood in their place is written.
_HOLD: Final = 0.5
# Seconds of sound that are written at once.
_BLOCK: Final = 1.0
# Seconds that a disk may take to write what it was given; beyond that the recording ends.
_SLOW: Final = 4.0
# Seconds within which a file is finished; then it is left as it is.
_FINISH_WITHIN: Final = 20.0
# Files that are finished at once: it waits for the disk, not for the processor.
_FINISHERS: Final = 4
# Messages that are read in one turn of the loop.
_AT_ONCE: Final = 64

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Recording:
    """A recording: two channels, the file, and what is on the way there."""

    def __init__(self, number: int, format: Format, file: RecordingFile) -> None:
        self.number = number
        self.format = format
        self.file = file
        self.channels = (Channel(format.rate), Channel(format.rate))
        self.runs: list[handover.Run] = []
        """What came since the last tick."""
        self.began: float | None = None
        self.clock = 0.0
        """The moment until which everything was handed over."""
        self.written = 0
        """Samples given to be written."""
        self.waiting: deque[float] = deque()
        """When each block was given that is not written yet; the writer takes them away."""
        self.ending: tuple[RecordingReason, str] | None = None
        self.lock = threading.Lock()
        self.told = False
        """Whether its end was told: nothing may become of the file any more. Under the lock."""
        self.named = False
        """Whether the file has its name: its end is told at once. Under the lock."""
        self.broken = False
        """Whether a block could not be written: what comes after it must not stand in its place."""
        self.mute: dict[str, str] = {}
        """Codecs that cannot be decoded here, and why."""

    def take(self, until: float, least: float = 0.0) -> bytes:
        """The sound until that moment, if that is enough."""
        assert self.began is not None
        for run in in_order(self.runs):
            try:
                self.channels[run.channel].add(run, run.at - self.began)
            except CodecMissing as error:
                self.mute[run.codec] = str(error)
        self.runs.clear()
        count = int((until - self.began) * self.format.rate) - self.written
        if count <= 0 or count < least * self.format.rate:
            return b""
        self.written += count
        left, right = (channel.take(count) for channel in self.channels)
        both = interleaved(left, right)
        return both if self.format.encoding is RecordingEncoding.PCM else audioop.lin2ulaw(both, 2)


class _Writer(threading.Thread):
    """Writes blocks in the order in which they were given, then hands files over to be finished."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(name="writer", daemon=True)
        self.jobs: queue.SimpleQueue[tuple[_Recording, bytes | None]] = queue.SimpleQueue()
        self._recorder = recorder

    def run(self) -> None:
        """Write for ever."""
        while True:
            recording, block = self.jobs.get()
            if block is None:
                self._recorder.finishers.submit(self._recorder.finish_file, recording)
                continue
            try:
                if not recording.told and not recording.broken:
                    recording.file.write(block)
            except Exception as error:  # noqa: BLE001 - one file's trouble must not end the thread, and with it all others
                recording.broken = True
                self._recorder.tell_failure(recording, error)
            finally:
                recording.waiting.popleft()


class Recorder(asyncio.Protocol):
    """All recordings of one worker, and the control connection to the plane."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sound: socket.socket) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        self.closed = asyncio.Event()
        """Whether the control connection is."""
        self.finishers = ThreadPoolExecutor(_FINISHERS, thread_name_prefix="finisher")
        self._loop = loop
        self._sound = sound
        self._buffer = bytearray(handover.MAX_RECEIVED)
        self._recordings: dict[int, _Recording] = {}
        self._opening: dict[int, bool] = {}
        """Files that are being made; whether they are still wanted."""
        self._orphaned = False
        self._frames = control.Frames()
        self._transport: asyncio.Transport | None = None
        self._writer = _Writer(self)
        self._writer.start()
        sound.setblocking(False)
        loop.add_reader(sound, self._readable)

    # The control connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The plane is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._report([control.READY, 0])
        self._live()

    def connection_lost(self, exc: Exception | None) -> None:
        """The switch is gone, and the worker is soon; or we have closed it."""
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        """Commands."""
        for op, number, *rest in self._frames.feed(data):
            if op == control.RECORD_OPEN:
                self._opening[rest[0]] = True
                self._loop.create_task(self._open(number, *rest)).add_done_callback(_raise)
            elif op == control.RECORD_END and number in self._opening:
                self._opening[number] = False
            elif op == control.RECORD_END and (recording := self._recordings.get(number)) is not None:
                self._end(recording, RecordingReason(rest[0]), rest[1], recording.clock)

    def _report(self, message: control.Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(control.frame(message))

    def _live(self) -> None:
        """Say once a second that we are there."""
        self._report([control.LOAD, len(self._recordings)])
        self._loop.call_later(1.0, self._live)

    async def _open(self, request: int, number: int, path: str, encoding: str, rate: int, key: str) -> None:
        form = Format(RecordingEncoding(encoding), rate)
        try:
            master = bytes.fromhex(key) or None
            file = await self._loop.run_in_executor(self.finishers, create, path, form, master)
        except OSError as error:
            detail = f"{error.filename or path}: cannot be made: {error.strerror}"
            self._report([control.FAILED, request, control.MEDIA, detail])
        except Exception as error:  # noqa: BLE001 - whoever asked must not wait, and the others' sound comes on
            self._report([control.FAILED, request, control.MEDIA, f"{path}: cannot be made: {error!r}"])
        else:
            self._recordings[number] = _Recording(number, form, file)
            self._report([control.OK, request, file.path])
        wanted = self._opening.pop(number)
        if not wanted and number in self._recordings:
            self._end(self._recordings[number], RecordingReason.FAILED, "it was not waited for", 0.0)
        if self._orphaned:
            self._lose_worker()

    # What the worker hands over

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                size = self._sound.recv_into(self._buffer)
            except BlockingIOError:
                return
            except OSError:
                size = 0
            if not size:
                self._loop.remove_reader(self._sound)
                self._orphaned = True
                self._lose_worker()
                return
            for item in handover.items(memoryview(self._buffer)[:size]):
                recording = self._recordings.get(item.recording)
                if recording is not None and recording.ending is None:
                    try:
                        self._take(recording, item)
                    except Exception as error:  # noqa: BLE001 - a mistake about one recording is not every one's
                        self._loop.call_exception_handler({"message": f"{item!r:.80} not taken", "exception": error})
                        recording.runs.clear()
                        self._end(recording, RecordingReason.FAILED, repr(error), recording.clock)

    def _take(self, recording: _Recording, item: handover.Item) -> None:
        if isinstance(item, handover.Run):
            if recording.began is not None and item.codec not in recording.mute:
                recording.runs.append(item)
            return
        if isinstance(item, handover.Stop):
            self._end(recording, RecordingReason.STOPPED, "", item.at)
            return
        recording.clock = item.at
        if recording.began is None:
            recording.began = item.at
            return
        self._give(recording, item.at - _HOLD, _BLOCK)
        waiting = recording.waiting
        if waiting and time.monotonic() - waiting[0] > _SLOW:
            detail = f"{recording.file.path}: the disk has not written for {_SLOW:.0f} s"
            self._end(recording, RecordingReason.SLOW_DISK, detail, item.at)

    def _give(self, recording: _Recording, until: float, least: float = 0.0) -> None:
        """Give the writer the sound until then."""
        if recording.began is None:
            return
        mute = len(recording.mute)
        block = recording.take(until, least)
        for name, detail in tuple(recording.mute.items())[mute:]:
            self._report([control.TROUBLE, recording.number, f"{name} is not recorded: {detail}"])
        if block:
            recording.waiting.append(time.monotonic())
            self._writer.jobs.put((recording, block))

    def _lose_worker(self) -> None:
        for recording in tuple(self._recordings.values()):
            self._end(recording, RecordingReason.WORKER_LOST, "the media worker has ended", recording.clock)
        self._end_if_done()

    # How a recording ends

    def _end(self, recording: _Recording, reason: RecordingReason, detail: str, at: float) -> None:
        if recording.ending is not None:
            return
        recording.ending = reason, detail
        if reason is not RecordingReason.DISK_FULL:
            self._give(recording, at)
        self._writer.jobs.put((recording, None))
        self._loop.call_later(_FINISH_WITHIN, self._abandon, recording)

    def tell_failure(self, recording: _Recording, error: Exception) -> None:
        """Called by the writer: a block could not be written."""
        self._loop.call_soon_threadsafe(self._fail, recording, error)

    def _fail(self, recording: _Recording, error: Exception) -> None:
        reason, detail = _reason(error), f"{recording.file.path}: {_text(error)}"
        if recording.ending is None:
            self._end(recording, reason, detail, recording.clock)
        elif recording.ending[0] is RecordingReason.STOPPED:
            recording.ending = reason, detail

    def finish_file(self, recording: _Recording) -> None:
        """Called in a thread of its own when all is written."""
        octets, sha256, error = 0, "", ""
        try:
            if recording.began is None:
                recording.file.discard()
                error = "nothing was recorded"
            else:
                octets, sha256 = recording.file.finish()
                with recording.lock:
                    if recording.told:
                        recording.file.abandon()
                    else:
                        recording.file.name()
                        recording.named = True
        except Exception as failure:  # noqa: BLE001 - as above
            octets, sha256, error = 0, "", f"{recording.file.path}: cannot be finished: {_text(failure)}"
            recording.file.abandon()
        self._loop.call_soon_threadsafe(self._finished, recording, octets, sha256, error)

    def _finished(self, recording: _Recording, octets: int, sha256: str, error: str) -> None:
        assert recording.ending is not None
        reason, detail = recording.ending
        if error:
            reason = RecordingReason.FAILED if reason is RecordingReason.STOPPED else reason
            detail = "; ".join(filter(None, (detail, error)))
        self._tell(recording, recording.file.path + PART * bool(error), octets, sha256, reason, detail)

    def _abandon(self, recording: _Recording) -> None:
        """The disk does not let us finish the file."""
        if recording.told or recording.ending is None:
            return
        # A file that gets its name holds the lock until the disk lets go of it.
        if not recording.lock.acquire(blocking=False):
            self._loop.call_later(_FINISH_WITHIN, self._abandon, recording)
            return
        try:
            detail = f"{recording.file.path}: the disk has not taken all of it within {_FINISH_WITHIN:.0f} s"
            if not recording.named:
                self._tell(recording, recording.file.path + PART, 0, "", RecordingReason.SLOW_DISK, detail)
        finally:
            recording.lock.release()

    def _tell(
        self, recording: _Recording, path: str, octets: int, sha256: str, reason: RecordingReason, detail: str
    ) -> None:
        if recording.told:
            return
        recording.told = True
        del self._recordings[recording.number]
        seconds = round(recording.file.seconds, 3)
        self._report([control.RECORDED, recording.number, path, seconds, octets, sha256, reason, detail])
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._orphaned and not self._recordings and not self._opening and not self.ended.done():
            self._report([control.RECORDER_ENDS, 0])
            self.ended.set_result(None)


def _reason(error: Exception) -> RecordingReason:
    full = isinstance(error, OSError) and error.errno in _FULL
    return RecordingReason.DISK_FULL if full else RecordingReason.FAILED


def _text(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or repr(error)
    return str(error) if isinstance(error, FileFull) else repr(error)


def _raise(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
