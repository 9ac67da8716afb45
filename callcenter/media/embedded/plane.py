"""The embedded plane: sessions and their descriptions in the switch, their sound in worker processes."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from random import Random, SystemRandom
from typing import Final

import structlog

from callcenter.media.description import Description, chosen_codecs, numeric_host, security_of
from callcenter.media.embedded import control
from callcenter.media.embedded.process import WorkerProcess
from callcenter.media.embedded.recorder.recordings import Recordings
from callcenter.media.embedded.version import VERSION
from callcenter.media.plane import (
    Clip,
    Digit,
    FirstPacket,
    MediaError,
    MediaEvent,
    MediaGone,
    MediaLost,
    MediaRecording,
    MediaSession,
    MediaSilent,
    MediaStats,
    NoCapacity,
    NoPacket,
    OneWayBegan,
    OneWayEnded,
    OnMediaEvent,
    OnRecordingEnded,
    PlaneStatus,
    PlayEnded,
    RecordingOrder,
    WorkerStatus,
    checked_keys,
)
from callcenter.media.settings import MediaSettings, Srtp
from callcenter.model.states import OneWay
from callcenter.sip.advertised import Advertised
from callcenter.sip.crypto import Keys
from callcenter.sip.sdp import COMFORT_NOISE

log = structlog.get_logger(__name__)

# A call is expected to have two legs: the second must find room when the first was let in.
_LEGS_PER_CALL: Final = 2

# A worker that dies within this many seconds of its start is started again after a pause, which doubles up to the
# longest.
_SHORT_LIFE: Final = 10.0
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0

# A worker whose place another one takes keeps ports for a further leg of each of so many of its legs: of who consults.
_CONSULTS: Final = 4

# Clips that a new worker loads before it takes calls; the oldest are forgotten.
_MOST_PREPARED: Final = 5000

# Clips that a play may name: more is a mistake.
_MOST_CLIPS: Final = 200

# Where only this machine sends from.
_LOOPBACK: Final = ("127.0.0.1", "::1")


class EmbeddedSession:
    """The sound of one leg, carried by a worker. Made by ``EmbeddedPlane.open``."""

    def __init__(
        self,
        plane: EmbeddedPlane,
        worker: WorkerProcess,
        number: int,
        call_id: str,
        description: Description,
        on_event: OnMediaEvent,
        peers: list[str],
    ) -> None:
        self.worker = worker
        self.number = number
        self.call_id = call_id
        self.has_ports = False
        """Whether the worker has opened ports for it."""
        self.given = False
        """Whether its owner has it: before, it is told nothing."""
        self.description = description
        """Offer and answer of this leg."""
        self._plane = plane
        self._on_event = on_event
        self._peers = peers
        self._row = -1
        self._counted = MediaStats()
        self._plays = itertools.count(1)
        self._wants_digits = False
        self._listens = False
        self._masked = False
        self._released = False

    def __repr__(self) -> str:
        state = "released" if self._released else repr(self.worker)
        return f"<EmbeddedSession {self.number} of {self.call_id} {state}>"

    @property
    def id(self) -> str:
        """The session's number."""
        return str(self.number)

    @property
    def sdp(self) -> bytes:
        """Our present description."""
        return self.description.sdp

    @property
    def codec(self) -> str | None:
        """The codec that the peer speaks; None: not agreed on yet."""
        return self.description.codec

    @property
    def secure(self) -> str:
        """The crypto-suite of SRTP agreed on; empty for plain RTP."""
        return self.description.secure

    @property
    def remote_holds(self) -> bool:
        """Whether the peer's last description put us on hold."""
        return self.description.remote_holds

    @property
    def counted(self) -> MediaStats:
        """The counters as the worker noted them last."""
        if not self._released and self._row >= 0:
            self._counted = self.worker.board.read(self._row, self.number) or self._counted
        return self._counted

    def take_row(self) -> int:
        """The row of the board where the worker is to note the counters."""
        self._row = self.worker.take_row()
        return self._row

    async def set_answer(self, sdp: bytes, *, private: bool = True) -> None:
        """Take the peer's answer. Raises BadDescription, NotAcceptable, MediaGone."""
        self.check()
        self.description.take_answer(sdp, private=private)
        self.tell_remote()

    async def reoffer(self, sdp: bytes) -> bytes:
        """Take a new offer; returns our answer. Raises BadDescription, NotAcceptable, MediaGone."""
        self.check()
        answer = self.description.answer(sdp)
        self.tell_remote()
        return answer

    async def offer_again(self) -> bytes:
        """Our present description as a new offer. Raises MediaGone."""
        self.check()
        return self.description.offer()

    async def bridge(self, other: MediaSession) -> None:
        """Let both hear each other, and nobody else. Raises MediaGone, MediaError when one is on another worker."""
        await self.worker.ask(control.BRIDGE, self.number, *self._beside([other]))

    async def hear(self, sources: Sequence[MediaSession]) -> None:
        """Let the peer hear these. Raises MediaGone, MediaError when one is on another worker."""
        assert self not in sources, "nobody hears themselves"
        await self.worker.ask(control.HEAR, self.number, self._beside(sources))

    def _beside(self, others: Sequence[MediaSession]) -> list[int]:
        """The numbers of other sessions. Raises MediaGone, MediaError when one is on another worker."""
        self.check()
        numbers = []
        for other in others:
            assert isinstance(other, EmbeddedSession), "sessions of one plane hear each other"
            other.check()
            if other.worker is not self.worker:
                raise MediaError("sessions of different calls, on different workers, cannot hear each other")
            numbers.append(other.number)
        return numbers

    async def unbridge(self) -> None:
        """End the relay on both sides."""
        if not self._released:
            self.worker.send([control.UNBRIDGE, self.number])

    def play(self, clips: Sequence[Clip], *, loop: bool = False, start: float = 0.0) -> int:
        """Play the clips to the peer; PlayEnded tells the end."""
        assert len(clips) <= _MOST_CLIPS, "too many clips"
        number = next(self._plays)
        if not self._released:
            self.worker.send([control.PLAY, self.number, number, [clip.path for clip in clips], loop, start])
        return number

    def stop(self) -> None:
        """Stop what plays."""
        if not self._released:
            self.worker.send([control.STOP, self.number])

    def listen_for_digits(self, on: bool) -> None:
        """Whether tones in the sound are keys, on a leg without telephone events."""
        self._wants_digits = on
        self._tell_listen()

    @property
    def events(self) -> bool:
        """Whether keys come and go as telephone events."""
        return self.description.takes_events

    def send_digits(self, keys: str, *, duration: float = 0.1, pause: float = 0.1) -> None:
        """Press keys towards the peer. Raises ValueError for what is none."""
        keys = checked_keys(keys)
        if not self._released:
            self.worker.send([control.PRESS, self.number, keys, duration, pause])

    def mask_digits(self, on: bool) -> None:
        """Whether what the peer presses is a secret."""
        if on != self._masked and not self._released:
            self._masked = on
            self.worker.send([control.MASK, self.number, on])

    async def stats(self) -> MediaStats:
        """The counters now. Raises MediaGone."""
        self.check()
        return MediaStats(*await self.worker.ask(control.STATS, self.number))

    def release(self) -> None:
        """Give the ports back. May be called twice."""
        if not self._released:
            self._counted = self.counted
            self._released = True
            self._on_event = _nobody  # its owner holds us
            self.worker.give_row(self._row)
            if self.has_ports:
                self.worker.give_back(self.number)
            self._plane.forget(self)

    def tell_remote(self) -> None:
        """Tell the worker what is agreed on with the peer."""
        if self.description.negotiated is not None:
            self.worker.send([control.REMOTE, self.number, _remote(self.description, self._peers)])
            self._tell_listen()

    def _tell_listen(self) -> None:
        listens = self._wants_digits and self.description.tones_are_keys
        if listens != self._listens and not self._released:
            self._listens = listens
            self.worker.send([control.LISTEN, self.number, listens])

    def tell(self, event: MediaEvent) -> None:
        """Hand an event to the owner, whose mistakes are its own."""
        if self._released or not self.given:
            return
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001 - other sessions' events come over the same connection
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{event} of {self!r} was not taken", "exception": error}
            )

    def check(self) -> None:
        """Raises MediaGone when the session is released or its worker dead."""
        if self._released or not self.worker.alive:
            raise MediaGone(f"media session {self.id} is gone")


def _nobody(_: MediaEvent) -> None:
    """Nobody wants to hear of it any more."""


class _Call:
    """Where the legs of a call are, and how many. Its worker keeps room for those that it is expected to have."""

    __slots__ = ("id", "legs", "worker")

    def __init__(self, id: str, worker: WorkerProcess) -> None:
        self.id = id
        self.worker = worker
        self.legs = 0
        worker.reserved += _LEGS_PER_CALL

    def add(self) -> None:
        """One leg more."""
        self.legs += 1
        if self.legs > _LEGS_PER_CALL:
            self.worker.reserved += 1

    def drop(self) -> None:
        """One leg less."""
        if self.legs > _LEGS_PER_CALL:
            self.worker.reserved -= 1
        self.legs -= 1
        if not self.legs:
            self.worker.reserved -= _LEGS_PER_CALL


class EmbeddedPlane:
    """Worker processes, one a core, and the sessions spread over them. ``random`` makes the ids in descriptions."""

    def __init__(self, settings: MediaSettings, random: Random | None = None) -> None:
        self._settings = settings
        self._advertised = Advertised(settings.advertised, settings.local_networks)
        self._random = random or SystemRandom()
        self._workers: list[WorkerProcess] = []
        self._leaving: list[WorkerProcess] = []
        self._replacing: set[int] = set()
        self._keepers: set[asyncio.Task[None]] = set()
        self._sessions: dict[int, EmbeddedSession] = {}
        self._calls: dict[str, _Call] = {}
        self._prepared: dict[str, None] = {}
        self._numbers = itertools.count(1)
        self._recordings = Recordings(at_once=settings.records)

    def __repr__(self) -> str:
        status = self.status()
        return f"<EmbeddedPlane {status.alive} workers, {status.sessions} of {status.capacity} sessions>"

    @property
    def workers(self) -> tuple[WorkerProcess, ...]:
        """The workers; not those whose place another one has."""
        return tuple(self._workers)

    @property
    def leaving(self) -> tuple[WorkerProcess, ...]:
        """The workers whose place another one has, and that end with their last call."""
        return tuple(self._leaving)

    async def start(self) -> None:
        """Bring the workers up. Raises MediaError with one clear line."""
        low, high = self._settings.ports
        first = low + low % 2
        pairs = (high + 1 - first) // 2
        count = min(self._settings.workers or _cores(), pairs)
        share = [range(pairs)[index * pairs // count : (index + 1) * pairs // count] for index in range(count)]
        self._workers = [self._worker(index, first + 2 * part[0], len(part)) for index, part in enumerate(share)]
        try:
            await asyncio.gather(*(worker.start() for worker in self._workers))
        except BaseException:
            await self.close()
            raise
        if self._most_sessions() < _LEGS_PER_CALL:
            await self.close()
            raise MediaError("media: ports and open files are too few for a single call")
        for worker in self._workers:
            self._look_after(worker)
        self._start(self._watch(), "watch media workers")

    async def prepare(self, clips: Iterable[Clip]) -> None:
        """Load and encode clips in every worker. Raises MediaError naming the file."""
        paths = list(dict.fromkeys(clip.path for clip in clips))
        workers = [worker for worker in self._workers if worker.alive]
        await asyncio.gather(*(self._load(worker, paths) for worker in workers))
        for path in paths:
            self._prepared.pop(path, None)
            self._prepared[path] = None
        while len(self._prepared) > _MOST_PREPARED:
            del self._prepared[next(iter(self._prepared))]

    async def open(
        self,
        call_id: str,
        *,
        local: str,
        on_event: OnMediaEvent,
        offer: bytes | None = None,
        beside: MediaSession | None = None,
        peer: str | None = None,
        codecs: Sequence[str] | None = None,
        private: bool = False,
        insists: bool = False,
    ) -> EmbeddedSession:
        """A session for one leg of ``call_id``. Raises NoCapacity, NotAcceptable, BadDescription."""
        assert beside is None or isinstance(beside, EmbeddedSession), "sessions of one plane stand beside each other"
        description = Description(
            self._advertised.host(local, peer or ""),
            chosen_codecs(self._settings, codecs),
            self._random.getrandbits(48),
            beside=beside.description if beside is not None else None,
            security=security_of(self._settings, self._random, private=private, insists=insists),
            rtcp_mux=True,
        )
        if offer is not None:
            description.check(offer)
        call = self._place(call_id, beside)
        number = next(self._numbers)
        # Who reaches us by loopback is on this machine, and sends to us from loopback, whatever address it describes.
        peers = [numeric_host(peer or ""), *([local] if local in _LOOPBACK else [])]
        session = EmbeddedSession(self, call.worker, number, call.id, description, on_event, peers)
        # Entered before the worker answers: what comes at the same time must count this leg.
        self._sessions[number] = session
        call.add()
        worker = call.worker
        try:
            description.port = await worker.ask(
                control.OPEN, number, local, session.take_row(), undo=lambda _: worker.give_back(number)
            )
            session.has_ports = True
            if offer is not None:
                description.answer(offer)
            else:
                description.offer()
        except BaseException as error:
            session.release()
            if isinstance(error, MediaGone):
                raise NoCapacity(str(error)) from error
            raise
        session.given = True
        session.tell_remote()
        return session

    async def record(
        self, order: RecordingOrder, left: MediaSession, right: Sequence[MediaSession], on_end: OnRecordingEnded
    ) -> MediaRecording:
        """Record these sessions. Raises MediaGone, MediaError."""
        return await self._recordings.start(order, left, right, on_end)

    def status(self) -> PlaneStatus:
        """What the plane carries now."""
        sessions = Counter(session.worker for session in self._sessions.values())
        now = time.monotonic()
        workers = tuple(
            WorkerStatus(
                index=worker.index,
                pid=worker.pid if worker.alive else 0,
                alive=worker.alive,
                sessions=sessions[worker],
                capacity=worker.capacity,
                load=round(worker.load, 4) if worker.alive else 0.0,
                late_ms=round(worker.late * 1000, 2) if worker.alive else 0.0,
                restarts=worker.restarts,
                draining=worker.draining,
                retiring=worker.retires_at is not None,
                memory=worker.memory if worker.alive else 0,
                worst_late_ms=round(worker.worst_late * 1000, 2) if worker.alive else 0.0,
                age=round(now - worker.began, 1) if worker.alive else 0.0,
            )
            for worker in (*self._workers, *self._leaving)
        )
        return PlaneStatus(workers, len(self._sessions), self._most_sessions())

    def worker_of(self, call_id: str) -> int | None:
        """The index of the worker that carries a call; None when it has no sound."""
        call = self._calls.get(call_id)
        return call.worker.index if call is not None else None

    def drain_worker(self, index: int, *, cancel: bool = False) -> None:
        """No new call goes to this worker; with ``cancel`` they do again. Raises MediaError when there is no such."""
        worker = self._at(index)
        if worker.draining == cancel:
            worker.draining, worker.told_empty = not cancel, False
            event = "media worker takes calls again" if cancel else "media worker takes no new calls"
            log.info(event, worker=index, pid=worker.pid, sessions=self._sessions_of(worker))

    async def replace_worker(self, index: int, limit: float) -> None:
        """Start a new worker in the place of this one, which ends with its last call, at the latest after ``limit``.

        Raises MediaError, and all is as before.
        """
        former = self._at(index)
        if index in self._replacing or not former.alive:
            raise MediaError(f"media worker {index} is being replaced already")
        self._replacing.add(index)
        worker, takes_place = former.successor(died=False), False
        try:
            await worker.start()
            try:
                await self._load(worker, list(self._prepared))
                # It may get further legs of the calls that it has.
                former.kept = set(await former.ask(control.KEEP, 2 + former.reserved // _CONSULTS))
            except MediaGone as error:
                raise MediaError(f"media worker {index} died in this moment, and was replaced") from error
            except MediaError as error:
                log.warning("clip not prepared", worker=index, error=str(error))
            takes_place = True
        finally:
            self._replacing.discard(index)
            if not takes_place:
                worker.kill()
        ports = {session.description.port for session in self._sessions.values() if session.worker is former}
        former.passed_on = former.kept & ports
        former.draining, former.retires_at = True, time.monotonic() + limit
        self._leaving.append(former)
        self._take_place(worker)
        log.info("media worker replaced", worker=index, pid=worker.pid, by="an operator", former=former.pid)

    async def close(self) -> None:
        """Release everything and end the workers. May be called twice."""
        keepers, self._keepers = self._keepers, set()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for session in tuple(self._sessions.values()):
            session.release()
        await asyncio.gather(*(worker.end() for worker in (*self._workers, *self._leaving)))
        await self._recordings.close()

    def forget(self, session: EmbeddedSession) -> None:
        """The session is released."""
        if self._sessions.pop(session.number, None) is None:
            return
        worker, port = session.worker, session.description.port
        if port in worker.passed_on:
            worker.passed_on.discard(port)
            worker.kept.discard(port)
            self._workers[worker.index].gain([port])
        self._recordings.released(session)
        call = self._calls.get(session.call_id)
        if call is not None:
            call.drop()
            if not call.legs:
                del self._calls[session.call_id]
        if worker.retires_at is not None and not worker.reserved:
            worker.send([control.QUIT, 0])

    # Where a leg goes

    def _place(self, call_id: str, beside: EmbeddedSession | None) -> _Call:
        if beside is not None:
            call_id = beside.call_id
        call = self._calls.get(call_id)
        if call is not None:
            if not call.worker.alive:
                raise NoCapacity("the media worker of this call is gone")
            if call.legs >= _LEGS_PER_CALL and self._room(call.worker) < 1:
                raise NoCapacity("no media session is free")
            return call
        workers = [worker for worker in self._workers if worker.alive and not worker.draining]
        if not workers:
            raise NoCapacity("no media worker takes calls")
        free = [worker for worker in workers if self._room(worker) >= _LEGS_PER_CALL]
        if not free:
            raise NoCapacity("no media session is free")
        idle = [worker for worker in free if worker.expected_load < self._settings.max_load]
        if not idle:
            raise NoCapacity("the media workers are busy")
        timely = [worker for worker in idle if worker.lateness <= self._settings.max_late]
        if not timely:
            late = min(worker.lateness for worker in idle)
            raise NoCapacity(f"the media workers are late by {1000 * late:.0f} ms: others take their cores from them")
        worker = min(timely, key=lambda worker: (worker.reserved / worker.capacity, worker.load))
        call = self._calls[call_id] = _Call(call_id, worker)
        return call

    def _room(self, worker: WorkerProcess) -> int:
        """Legs that a worker can still take."""
        if worker.retires_at is not None:
            return len(worker.kept) - self._sessions_of(worker)
        kept = len(self._kept_by_leaving(worker.index))
        room = min(worker.capacity - worker.reserved, worker.free_pairs) - kept
        most = self._settings.max_sessions
        if most is None:
            return room
        return min(room, most - sum(each.reserved for each in (*self._workers, *self._leaving) if each.alive))

    def _most_sessions(self) -> int:
        capacity = sum(worker.capacity for worker in self._workers if worker.alive and not worker.draining)
        most = self._settings.max_sessions
        return capacity if most is None else min(capacity, most)

    # The workers

    def _worker(self, index: int, first_port: int, pairs: int) -> WorkerProcess:
        return WorkerProcess(
            index,
            {
                "version": VERSION,
                "control": -1,
                "first_port": first_port,
                "pairs": pairs,
                "port_rest": self._settings.port_rest,
                "codecs": list(self._settings.codecs),
                "silence_timeout": self._settings.silence_timeout,
                "missing_after": self._settings.missing_after,
                "rtcp_interval": self._settings.rtcp_interval,
                "one_way_after": self._settings.one_way_after,
                "board": -1,
                "srtp": self._settings.srtp is not Srtp.OFF,
                "recorder": -1,
            },
            self._take,
            self._recordings.new_recorder,
        )

    def _look_after(self, worker: WorkerProcess) -> None:
        self._start(self._keep(worker), f"keep media worker {worker.index}")

    def _start(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._keepers.add(task)
        task.add_done_callback(self._keepers.discard)

    def _at(self, index: int) -> WorkerProcess:
        if not 0 <= index < len(self._workers):
            raise MediaError(f"there is no media worker {index}: they are 0 to {len(self._workers) - 1}")
        return self._workers[index]

    def _sessions_of(self, worker: WorkerProcess) -> int:
        return sum(session.worker is worker for session in self._sessions.values())

    def _take_place(self, worker: WorkerProcess) -> None:
        """A worker that has started takes calls, with the ports of its place that no earlier one has yet."""
        worker.send([control.PORTS, 0, sorted(self._kept_by_leaving(worker.index)), []])
        self._workers[worker.index] = worker
        self._look_after(worker)

    def _kept_by_leaving(self, index: int) -> set[int]:
        return set().union(*(worker.kept for worker in self._leaving if worker.index == index))

    async def _keep(self, worker: WorkerProcess) -> None:
        """When the worker is gone, end its sessions; and put a new one in its place, if that was still its own."""
        index, pause = worker.index, 0.0
        while True:
            reason = await worker.lost.future
            self._lose(worker, reason)
            await worker.end()
            if worker.retires_at is not None:
                self._gone(worker)
                return
            log.error("media worker lost", worker=index, pid=worker.pid, ended=worker.exit_status())
            short = time.monotonic() - worker.began < _SHORT_LIFE
            pause = min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE) if short else 0.0
            while not worker.alive:
                await asyncio.sleep(pause)
                worker = worker.successor()
                try:
                    await worker.start()
                except MediaError as error:
                    log.error("media worker not replaced", worker=index, error=str(error))
                    pause = min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE)
                    continue
                try:
                    await self._load(worker, list(self._prepared))
                except MediaError as error:
                    log.warning("clip not prepared", worker=index, error=str(error))
                worker.send([control.PORTS, 0, sorted(self._kept_by_leaving(index)), []])
                self._workers[index] = worker
                log.info("media worker replaced", worker=index, pid=worker.pid)

    def _gone(self, worker: WorkerProcess) -> None:
        """A worker whose place another one has is gone: its ports are the other's."""
        if worker in self._leaving:
            self._leaving.remove(worker)
            self._workers[worker.index].gain(sorted(worker.kept))
            log.info("media worker has ended", worker=worker.index, pid=worker.pid, ended=worker.exit_status())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for worker in (*self._workers, *self._leaving):
                if worker.alive:
                    worker.check()
                if worker.draining and not worker.told_empty and not self._sessions_of(worker):
                    worker.told_empty = True
                    log.info("media worker is empty", worker=worker.index, pid=worker.pid)
            for worker in tuple(self._leaving):
                assert worker.retires_at is not None, "it leaves"
                if now >= worker.retires_at and worker.alive:
                    self._lose(worker, f"media worker {worker.index} (pid {worker.pid}) had to end")
                if not self._sessions_of(worker):
                    worker.send([control.QUIT, 0])
            self._recordings.check()

    async def _load(self, worker: WorkerProcess, paths: list[str]) -> None:
        for path in paths:
            try:
                await worker.ask(control.PREPARE, path)
            except MediaGone:
                return  # the next one in its place loads what was prepared

    def _lose(self, worker: WorkerProcess, reason: str) -> None:
        self._recordings.worker_lost(worker, reason)
        for session in [session for session in self._sessions.values() if session.worker is worker]:
            session.tell(MediaLost(session.id, reason))
            session.release()

    def _take(self, message: control.Message) -> None:
        """An event of a session."""
        op, number, *rest = message
        if op == control.RECORD_LOST:
            self._recordings.untaken(number, rest[0])
            return
        session = self._sessions.get(number)
        if session is None:
            return  # released; the event crossed
        if op == control.DIGIT:
            session.tell(Digit(session.id, rest[0]))
        elif op == control.ENDED:
            session.tell(PlayEnded(session.id, rest[0], rest[1]))
        elif op == control.FIRST:
            session.tell(FirstPacket(session.id, rest[0]))
        elif op == control.MISSING:
            session.tell(NoPacket(session.id, rest[0], *session.description.ends, *rest[1:]))
        elif op == control.SILENT:
            session.tell(MediaSilent(session.id, rest[0]))
        elif op == control.ONE_WAY:
            kind, begins, seconds, reports, sent = rest
            one_way = OneWayBegan(session.id, OneWay(kind), seconds, reports, sent)
            session.tell(one_way if begins else OneWayEnded(session.id, OneWay(kind), seconds))
        elif op == control.TROUBLE:
            log.warning("clip not played", session=session.id, call_id=session.call_id, error=rest[0])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _keys(keys: Keys | None) -> control.RemoteKeys | None:
    if keys is None:
        return None
    return {"suite": keys.suite.value, "ours": keys.ours.hex(), "theirs": keys.theirs.hex()}


def _remote(description: Description, peers: list[str]) -> control.Remote:
    """What the worker must know of the peer. ``peers``: further hosts that its sound may come from."""
    negotiated = description.negotiated
    assert negotiated is not None
    host, port = negotiated.remote or ("", 0)
    rtcp_host, rtcp_port = negotiated.rtcp or ("", 0)
    codec = negotiated.codec.name
    accepts = {number: each.name for number, each in description.accepts.items()}
    # Who sends comfort noise when nobody speaks may say so or not, and sends it by this number.
    accepts.setdefault(COMFORT_NOISE.payload_type, control.COMFORT_NOISE)
    return {
        "host": numeric_host(host),
        "port": port,
        "rtcp_host": numeric_host(rtcp_host),
        "rtcp_port": rtcp_port,
        "also_from": peers,
        "codec": codec,
        "payload_type": negotiated.payload_type,
        "event_type": -1 if negotiated.telephone_event is None else negotiated.telephone_event,
        "event_rate": negotiated.event_rate,
        "ptime": negotiated.ptime,
        "maxptime": negotiated.maxptime,
        "fmtp": negotiated.fmtp,
        "accepts": list(accepts.items()),
        "sends_to": negotiated.direction.sends and negotiated.remote is not None,
        "rtcp_mux": negotiated.rtcp_mux,
        "due": negotiated.direction.receives and not negotiated.remote_holds,
        "keys": _keys(negotiated.keys),
    }
