"""A media worker: the process that carries the sound of many legs. Started by the plane with ``python -m``.

It ends when the control socket closes, so that it never outlives the switch, however that ends.
"""

from __future__ import annotations

import time

_BEGAN = time.monotonic()

import asyncio  # noqa: E402 - the time that the imports take is told to the plane
import gc  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from random import SystemRandom  # noqa: E402
from typing import Any, cast  # noqa: E402

import uvloop  # noqa: E402

from callcenter.media.embedded import control  # noqa: E402
from callcenter.media.embedded.board import FIELDS, Board  # noqa: E402
from callcenter.media.embedded.clips import Clips, LoadedClip  # noqa: E402
from callcenter.media.embedded.leg import Leg  # noqa: E402
from callcenter.media.embedded.play import Play  # noqa: E402
from callcenter.media.embedded.poll import Poll  # noqa: E402
from callcenter.media.embedded.ports import Ports, PortsExhausted  # noqa: E402
from callcenter.media.embedded.pulse import Pulse  # noqa: E402
from callcenter.media.embedded.recorder.taps import Taps  # noqa: E402
from callcenter.media.embedded.version import OTHER_VERSION, VERSION  # noqa: E402
from callcenter.media.embedded.wheel import SLOTS, Wheel, Wheels  # noqa: E402
from callcenter.media.plane import MediaError  # noqa: E402
from callcenter.rtp.codecs import AudioCodec  # noqa: E402

_IMPORTED = time.monotonic()

# Files besides the two sockets of each leg.
_SPARE_FILES = 64
_LOAD_PERIOD = 1.0

_OF_RECORDINGS = frozenset(
    (control.RECORD_HEARS, control.RECORD_PAUSE, control.RECORD_RESUME, control.RECORD_STOP, control.RECORD_DROP)
)

# Octets that the plane may leave unread: tens of thousands of events.
_MAX_UNREAD = 4 << 20


class Worker(asyncio.Protocol):
    """The legs of one process, and the control connection that commands them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: control.WorkerSettings, capacity: int) -> None:
        self.ended = loop.create_future()
        self.poll = Poll(loop)
        self.wheels = Wheels(loop)
        self._loop = loop
        self._settings = settings
        self._capacity = capacity
        timeout = min(settings["silence_timeout"], settings["missing_after"])
        period = min(1.0, timeout / 4, settings["rtcp_interval"] / 2)
        self._period = period
        self._upkeep: Wheel[Leg] = Wheel(loop, period / SLOTS, self._keep_up)
        self._board = Board(settings["pairs"], settings["board"])
        self._pulse = Pulse(loop)
        first = settings["first_port"]
        self._ports = Ports(range(first, first + 2 * settings["pairs"], 2), SystemRandom(), settings["port_rest"])
        self._clips = Clips(tuple(settings["codecs"]))
        self._legs: dict[int, Leg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._taps: Taps | None = None
        self._frames = control.Frames()
        self._sender: control.Sender | None = None
        self._cpu, self._wall = time.process_time(), time.monotonic()

    # The control connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The plane is there: tell it that all is ready."""
        self._sender = control.Sender(cast("asyncio.Transport", transport), self._loop)
        self.report([control.READY, self._capacity, round(_IMPORTED - _BEGAN, 4)])
        self._loop.call_later(_LOAD_PERIOD, self._report_load)
        if self._settings["srtp"]:
            self._start(self._load_srtp())

    def connection_lost(self, exc: Exception | None) -> None:
        """The switch is gone."""
        self._end()

    def data_received(self, data: bytes) -> None:
        """Commands."""
        for message in self._frames.feed(data):
            try:
                self._obey(message)
            except Exception as error:  # noqa: BLE001 - a mistake about one leg is not every leg's
                # The rest of the message may hold keys.
                self._loop.call_exception_handler({"message": f"{message[:2]} was not obeyed", "exception": error})
                if message[0] in control.REQUESTS:
                    self.report([control.FAILED, message[1], control.MEDIA, repr(error)])

    def report(self, message: control.Message) -> None:
        """Tell the plane."""
        if self._sender is None:
            return
        self._sender.send(message)
        if self._sender.unread > _MAX_UNREAD:
            self._end()  # the plane has not read for long; it takes us for dead by now

    def _obey(self, message: control.Message) -> None:
        op, number, *rest = message
        if op == control.OPEN:
            self._open(number, *rest)
        elif op == control.PREPARE:
            self._answer(number, self._prepare(*rest))
        elif op == control.BRIDGE:
            one, other = (self._legs.get(leg) for leg in rest)
            if one is not None and other is not None:
                one.bridge(other)
            self.report([control.OK, number, None])
        elif op == control.HEAR:
            self._hear(number, *rest)
        elif op == control.STATS:
            leg = self._legs.get(rest[0])
            self.report([control.OK, number, leg.counters() if leg is not None else [0] * len(FIELDS)])
        elif op == control.KEEP:
            self.report([control.OK, number, self._ports.keep([leg.port for leg in self._legs.values()], rest[0])])
        elif op == control.PORTS:
            self._ports.change(*rest)
        elif op == control.RECORD:
            self._record(number, *rest)
        elif op in _OF_RECORDINGS:
            self._go_on_recording(op, number, *rest)
        elif op == control.QUIT:
            self._end()
        elif (leg := self._legs.get(number)) is None:
            return  # released before; the command crossed
        elif op == control.REMOTE:
            leg.set_remote(rest[0])
        elif op == control.UNBRIDGE:
            leg.unbridge()
        elif op == control.PLAY:
            self._play(leg, *rest)
        elif op == control.STOP:
            leg.ear.stop()
        elif op == control.LISTEN:
            leg.listen(rest[0])
        elif op == control.PRESS:
            leg.ear.press(*rest)
        elif op == control.MASK:
            leg.mask(rest[0])
        elif op == control.RELEASE:
            self._release(leg)

    def _answer(self, request: int, work: Any) -> None:
        """Do the work, then answer the request."""

        async def answer() -> None:
            try:
                result = await work
            except MediaError as error:
                self.report([control.FAILED, request, control.MEDIA, str(error)])
            except Exception as error:  # noqa: BLE001 - whoever asked must not wait for ever
                self._loop.call_exception_handler({"message": "a request failed", "exception": error})
                self.report([control.FAILED, request, control.MEDIA, repr(error)])
            else:
                self.report([control.OK, request, result])

        self._start(answer())

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The commands

    def _keep_up(self, leg: Leg, _: float) -> None:
        """A leg's turn, once a period."""
        leg.upkeep(self._period)
        if leg.row >= 0:
            self._board.write(leg.row, leg.number, leg.counters())

    def _open(self, request: int, number: int, host: str, row: int) -> None:
        try:
            port, rtp, rtcp = self._ports.open(host)
        except PortsExhausted as error:
            self.report([control.FAILED, request, control.CAPACITY, str(error)])
        except OSError as error:
            detail = f"no port of {host} can be opened: {error.strerror}"
            self.report([control.FAILED, request, control.CAPACITY, detail])
        else:
            leg = self._legs[number] = Leg(number, port, rtp, rtcp, self, self._settings)
            leg.row = row
            self._upkeep.add(leg)
            self.report([control.OK, request, port])

    async def _load_srtp(self) -> None:
        """Load the ciphers beside the loop: else the first call with SRTP would stop the sound of all others."""
        await self._loop.run_in_executor(None, importlib.import_module, "callcenter.media.embedded.srtp")

    async def _prepare(self, path: str) -> float:
        return (await self._clips.load(path)).frames * 0.02

    def _hear(self, request: int, number: int, sources: list[int]) -> None:
        leg = self._legs.get(number)
        if leg is not None:
            leg.ear.listen_to([self._legs[source] for source in sources if source in self._legs])
        self.report([control.OK, request, None])

    def _play(self, leg: Leg, number: int, paths: list[str], loop: bool, start: float) -> None:
        loaded = [self._clips.get(path) for path in paths]
        clips = [clip for clip in loaded if clip is not None]
        codec = leg.ear.codec
        if len(clips) == len(paths) and (not clips or codec is None or clips[0].is_made(codec, round(start * 1000))):
            self._begin(clips, codec)
            leg.ear.play(Play(number, clips, loop, start))
            return
        leg.ear.stop()
        leg.ear.waiting_play = number
        self._start(self._load_and_play(leg, number, paths, loop, start))

    async def _load_and_play(self, leg: Leg, number: int, paths: list[str], loop: bool, start: float) -> None:
        try:
            clips = [await self._clips.load(path) for path in paths]
            codec = leg.ear.codec
            self._begin(clips, codec)
            if clips and codec is not None:
                await self._clips.make(clips[0], codec, round(start * 1000))
        except MediaError as error:
            self.report([control.TROUBLE, leg.number, str(error)])
            if leg.ear.waiting_play == number:
                leg.ear.stop()
            return
        if leg.ear.waiting_play == number:
            leg.ear.waiting_play = 0
            leg.ear.play(Play(number, clips, loop, start))

    def _begin(self, clips: list[LoadedClip], codec: AudioCodec | None) -> None:
        """Make the clips in the order in which they will be heard."""
        if codec is not None:
            for clip in clips:
                self._clips.begin(clip, codec)

    def _record(self, request: int, number: int, left: int, right: list[int]) -> None:
        one = self._legs.get(left)
        if one is None:
            self.report([control.FAILED, request, control.MEDIA, f"media session {left} is gone"])
            return
        if self._taps is None:
            sock = socket.socket(fileno=self._settings["recorder"])
            self._taps = Taps(self._loop, sock, lambda number, why: self.report([control.RECORD_LOST, number, why]))
        self._taps.start(number, one, self._known(right))
        self.report([control.OK, request, None])

    def _go_on_recording(self, op: str, number: int, *rest: Any) -> None:
        taps = self._taps
        if taps is None:
            return
        if op == control.RECORD_HEARS:
            taps.hears(number, self._known(rest[0]))
        elif op == control.RECORD_PAUSE:
            taps.pause(number)
        elif op == control.RECORD_RESUME:
            taps.resume(number)
        elif op == control.RECORD_STOP:
            taps.stop(number)
        elif op == control.RECORD_DROP:
            taps.drop(number)

    def _known(self, legs: list[int]) -> list[Leg]:
        return [self._legs[leg] for leg in legs if leg in self._legs]

    def _release(self, leg: Leg) -> None:
        del self._legs[leg.number]
        if self._taps is not None:
            self._taps.released(leg)
        self._upkeep.remove(leg)
        leg.close()
        self._ports.give_back(leg.port)

    def _report_load(self) -> None:
        cpu, wall = time.process_time(), time.monotonic()
        load = (cpu - self._cpu) / (wall - self._wall)
        self._cpu, self._wall = cpu, wall
        late, worst = self._pulse.lateness()
        worst = max(worst, self.wheels.take_worst())
        self.report([control.LOAD, round(load, 4), round(late, 5), round(worst, 5), _memory()])
        self._loop.call_later(_LOAD_PERIOD, self._report_load)

    def _end(self) -> None:
        for leg in tuple(self._legs.values()):
            self._release(leg)
        self._pulse.close()
        if self._taps is not None:
            self._taps.close()
        if self._sender is not None:
            self._sender.flush()
        if not self.ended.done():
            self.ended.set_result(None)


def _memory() -> int:
    """Octets of this process in memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _allow_files(pairs: int) -> int:
    """Raise the limit of open files as far as needed and allowed; returns how many legs it allows."""
    wanted = 2 * pairs + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((max(wanted, soft), max(wanted, hard)), (min(max(wanted, soft), hard), hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except (ValueError, OSError):
            continue
        soft = limits[0]
        break
    return max(0, min(pairs, (soft - _SPARE_FILES) // 2))


async def _run(settings: control.WorkerSettings) -> None:
    loop = asyncio.get_running_loop()
    worker = Worker(loop, settings, _allow_files(settings["pairs"]))
    transport, _ = await loop.create_unix_connection(lambda: worker, sock=socket.socket(fileno=settings["control"]))
    await worker.ended
    worker.poll.close()
    transport.close()


def main() -> None:
    """Carry sound until the control socket closes."""
    # Ctrl-C and a service manager's SIGTERM reach every process of the switch; when the sound ends, the switch says.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    settings: control.WorkerSettings = json.loads(sys.argv[1])
    if settings["version"] != VERSION:
        sys.exit(OTHER_VERSION)
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings))


if __name__ == "__main__":
    main()
