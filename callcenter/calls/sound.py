"""Sound: what one party hears and presses; a media session with something to wait on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from callcenter.media.plane import (
    Clip,
    Digit,
    FirstPacket,
    MediaEvent,
    MediaLost,
    MediaPlane,
    MediaSession,
    MediaSilent,
    NoPacket,
    OneWayBegan,
    OneWayEnded,
    PlayEnded,
)
from callcenter.model.states import OneWay
from callcenter.signaling.families import host_for_sound
from callcenter.sip.flow import Flow
from callcenter.sip.sdp import SessionDescription, insisting_on_srtp, without_keys

# Keys pressed ahead of the menus they are meant for; more than this is a child at the phone.
MAX_KEYS_AHEAD = 32
# Seconds within which the same key by the other way (in the sound, or by SIP INFO) is the same press: some phones tell
# by INFO when the key is let go, and an INFO that got lost is sent again after 0.5 and 1.5 s (RFC 3261 timer E).
SAME_PRESS = 2.0

Trouble = MediaSilent | MediaLost


@dataclass(frozen=True, slots=True)
class Press:
    """A press that was told by one way, and may come by the other."""

    key: str
    by_info: bool
    at: float


@dataclass(frozen=True, slots=True)
class Swallowing:
    """What follows an entry that is whole: keys for nobody. ``since``: when the last of them came."""

    terminator: str | None
    within: float
    breath: float | None
    since: float


class Sound:
    """One party's media session and its events. One script at a time waits on it.

    ``trouble`` is done when the sound is gone for good: silent for too long, or its worker dead.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.trouble: asyncio.Future[Trouble] = loop.create_future()
        self.source = ""
        """Where this party's sound comes from (``host:port``); empty as long as none has come."""
        self.missing: NoPacket | None = None
        """That none had come when some was overdue."""
        self.signalled_from = ""
        """The host of the party's signalling."""
        self.on_first: Callable[[str], None] | None = None
        self.on_missing: Callable[[NoPacket], None] | None = None
        self.one_way: set[OneWay] = set()
        """In which ways it is known to go one way only, now."""
        self.on_one_way: Callable[[OneWayBegan | OneWayEnded], None] | None = None
        self.on_end: Callable[[], None] | None = None
        """Told once, just before the session is given back: its counters can still be read."""
        self.on_change: Callable[[], None] | None = None
        """Told of every key and of every end of a play, where no script waits on this sound."""
        self.on_key: Callable[[str, bool, bool], None] | None = None
        """Told of every key: which, whether by INFO, and whether it is the same press as one that came the other way;
        not of those that nobody is to have.
        """
        self.on_masking: Callable[[bool], None] | None = None
        """Told when keys begin, and cease, to be a secret, also to a recording."""
        self._session: MediaSession | None = None
        self._private = False
        self.masking = False
        """Whether what is pressed now is a secret: told nowhere, and not to be recorded."""
        self._loop = loop
        # Lists, for there are few: an empty deque is 0.7 kB.
        self._keys: list[str] = []
        self._unpaired: list[Press] = []
        self._swallowing: Swallowing | None = None
        self._listens = False
        self._playing: int | None = None
        self._over: list[asyncio.Future[None]] = []
        self._waiter: asyncio.Future[None] | None = None

    async def open(
        self,
        plane: MediaPlane,
        call_id: str,
        flow: Flow,
        *,
        offer: bytes | None,
        beside: Sound | None = None,
        codecs: Sequence[str] | None = None,
    ) -> bytes:
        """Open the session for the peer of ``flow``; returns our description. Raises what the plane's open raises."""
        self.signalled_from = flow.remote.host
        self._private = flow.transport.private
        self._session = await plane.open(
            call_id,
            local=host_for_sound(flow, offer),
            peer=flow.remote.host,
            on_event=self._take,
            offer=offer,
            beside=beside.session if beside is not None else None,
            private=self._private,
            codecs=codecs,
        )
        return self._session.sdp

    def offer_to(self, flow: Flow) -> tuple[bytes, bytes | None]:
        """Our offer for a phone that is called by ``flow``, and the one that follows if it accepts none such.

        Phones that ring together share one session: keys that one of them may have by TLS are not for one by UDP.
        """
        ours = SessionDescription.parse(self.session.sdp)
        if self._private and not flow.transport.private:
            return without_keys(ours).to_bytes(), None
        insisting = insisting_on_srtp(ours)
        return self.session.sdp, insisting.to_bytes() if insisting is not None else None

    async def take_answer(self, sdp: bytes, flow: Flow) -> None:
        """Take the answer of the phone that is called by ``flow``, to :meth:`offer_to`. Raises as the session does."""
        await self.session.set_answer(sdp, private=flow.transport.private or not self._private)

    @property
    def secure(self) -> str:
        """The crypto-suite by which this party's sound is encrypted; empty for plain RTP, or none yet."""
        return self._session.secure if self._session is not None else ""

    @property
    def waited_on(self) -> bool:
        """Whether a script waits on it now."""
        return self._waiter is not None

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    @property
    def session(self) -> MediaSession:
        """The session. Asserts that it was opened."""
        assert self._session is not None, "the sound was not opened"
        return self._session

    async def say(self, clips: Sequence[Clip], *, barge_in: bool) -> None:
        """Play clips to their end. With ``barge_in`` a key ends it, or one pressed before keeps it from starting."""
        self.listen_for_digits(True)
        if barge_in and self._keys:
            return
        with self.playing(clips) as play:
            while self._playing == play and not (barge_in and self._keys):
                await self._change()

    @contextmanager
    def playing(self, clips: Sequence[Clip], *, loop: bool = False) -> Iterator[int]:
        """Play while the block lasts."""
        play = self.start(clips, loop=loop)
        try:
            yield play
        finally:
            if self._playing == play:
                self.stop()

    def start(self, clips: Sequence[Clip], *, loop: bool = False, at: float = 0.0) -> int:
        """Play from now on, in place of what plays, from ``at`` seconds into it; returns the number of the play."""
        self._playing = play = self.session.play(clips, loop=loop, start=at)
        self._play_over()
        return play

    def is_playing(self, play: int) -> bool:
        """Whether this play is still on."""
        return self._playing == play

    def stop(self) -> None:
        """Stop what plays. Does nothing when nothing does."""
        self._playing = None
        self._play_over()
        if self._session is not None:
            self._session.stop()

    async def over(self, play: int) -> None:
        """Wait until a play is over, to its end or not. Others may wait on this sound meanwhile."""
        while self._playing == play:
            waiter = self._loop.create_future()
            self._over.append(waiter)
            await waiter

    def _play_over(self) -> None:
        waiters, self._over = self._over, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def comes(self) -> None:
        """Wait until some sound has come from this party."""
        while not self.source:
            await self._change()

    async def key(self, timeout: float) -> str | None:
        """The next key, also one pressed before; None when none came within ``timeout`` seconds."""
        self.listen_for_digits(True)
        try:
            async with asyncio.timeout(timeout):
                while not self._keys:
                    await self._change()
        except TimeoutError:
            return None
        return self._keys.pop(0)

    def take_key(self) -> str | None:
        """The next key that was pressed, if there is one: for who looks when ``on_change`` is told."""
        return self._keys.pop(0) if self._keys else None

    def forget_keys(self) -> None:
        """Keys pressed so far were meant for nobody."""
        self._keys.clear()

    def press(self, key: str) -> None:
        """A key was told by SIP INFO. The same press may come in the sound too, before or after, and counts once."""
        self._pressed(key, by_info=True)
        self._wake()

    def listen_for_digits(self, on: bool) -> None:
        """Whether keys are wanted: only then tones in the voice are taken for keys. To speak and to ask turn it on."""
        if self._session is not None and on != self._listens:
            self._listens = on
            self._session.listen_for_digits(on)

    @contextmanager
    def masked(self, on: bool) -> Iterator[None]:
        """Keys are a secret while the block lasts, when ``on``, or by a block around it."""
        before = self.masking
        self._mask(on or before)
        try:
            yield
        finally:
            self._mask(before)

    def _mask(self, on: bool) -> None:
        changed, self.masking = on != self.masking, on
        if changed and self._session is not None:
            self._session.mask_digits(on)
        if changed and self.on_masking is not None:
            self.on_masking(on)

    def swallow(self, terminator: str | None, within: float, *, breath: float | None) -> None:
        """The entry is whole before its ``terminator`` came: that key, if it is the next one, is meant for nobody.

        It counts as such for ``within`` seconds. With a ``breath`` neither is any other key up to it that is pressed in
        the same breath, each within so many seconds of the one before.
        """
        self._swallowing = Swallowing(terminator, within, breath, self._loop.time())
        ahead, self._keys = self._keys, []
        for key in ahead:
            if not self._swallows(key):
                self._keys.append(key)

    def end_watch(self) -> None:
        """The call is over that it was watched for, and tells how it was; the sound goes on elsewhere."""
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()
        self.on_first = self.on_missing = self.on_one_way = None

    def release(self) -> None:
        """Give the session back. May be called twice, and when none was opened."""
        on_end, self.on_end = self.on_end, None
        if self._session is not None:
            if on_end is not None:
                on_end()
            self._session.release()
        self.on_first = self.on_missing = self.on_one_way = self.on_change = self.on_key = self.on_masking = None

    def _take(self, event: MediaEvent) -> None:
        match event:
            case Digit(key=key):
                self._pressed(key, by_info=False)
            case PlayEnded(play=play):
                if self._playing == play:
                    self._playing = None
                    self._play_over()
            case FirstPacket(source=source):
                self.source = source
                if self.on_first is not None:
                    self.on_first(source)
            case NoPacket():
                self.missing = event
                if self.on_missing is not None:
                    self.on_missing(event)
            case OneWayBegan(kind=kind):
                self.one_way.add(kind)
                if self.on_one_way is not None:
                    self.on_one_way(event)
            case OneWayEnded(kind=kind):
                self.one_way.discard(kind)
                if self.on_one_way is not None:
                    self.on_one_way(event)
            case MediaSilent() | MediaLost():
                if not self.trouble.done():
                    self.trouble.set_result(event)
        self._wake()

    def _pressed(self, key: str, *, by_info: bool) -> None:
        now = self._loop.time()
        while self._unpaired and now - self._unpaired[0].at > SAME_PRESS:
            self._unpaired.pop(0)
        for press in self._unpaired:
            if press.key == key and press.by_info != by_info:
                self._unpaired.remove(press)
                if self.on_key is not None:
                    self.on_key(key, by_info, True)
                return
        self._unpaired.append(Press(key, by_info, now))
        del self._unpaired[:-MAX_KEYS_AHEAD]
        if self._swallows(key):
            return
        if len(self._keys) < MAX_KEYS_AHEAD:
            self._keys.append(key)
        if self.on_key is not None:
            self.on_key(key, by_info, False)

    def _swallows(self, key: str) -> bool:
        swallowing, now = self._swallowing, self._loop.time()
        if swallowing is None:
            return False
        self._swallowing = None
        pause = now - swallowing.since
        if key == swallowing.terminator and pause <= swallowing.within:
            return True
        if swallowing.breath is None or pause > swallowing.breath:
            return False
        self._swallowing = replace(swallowing, since=now)
        return True

    def _wake(self) -> None:
        if self.on_change is not None:
            self.on_change()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _change(self) -> None:
        """Wait for the next event."""
        assert self._waiter is None, "two scripts wait on one sound"
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
