"""Ear: what the peer of one leg hears. Nobody, another leg's sound, or a play that stands in for it.

``hear`` runs for packets that are not like the one before; what is like it goes past, see ``Leg.readable``.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from callcenter.media.embedded.control import ENDED, Message, Remote
from callcenter.media.embedded.datagram import PACKET, VIEW
from callcenter.media.embedded.kinds import EVENT_KIND, NO_WAYS, Ways, ways_to
from callcenter.media.embedded.play import Play
from callcenter.media.embedded.poll import Poll
from callcenter.media.embedded.presses import Presses, Rest
from callcenter.media.embedded.wheel import Wheel
from callcenter.rtp.dtmf import EventPacket
from callcenter.rtp.outgoing import Outgoing
from callcenter.rtp.packet import Header
from callcenter.rtp.statistics import Reception

if TYPE_CHECKING:
    from callcenter.media.embedded.leg import Leg
    from callcenter.media.embedded.srtp import Sealer

Address = tuple[str, int]

NOWHERE: Final[Address] = ("", 0)
"""Nothing is sent there: the peer does not want to hear."""


class House(Protocol):
    """What a leg needs of its worker."""

    poll: Poll
    """Tells when a datagram waits on a socket."""
    playout: Wheel[Ear]
    """Turns every 20 ms for ears to which something is played."""

    def report(self, message: Message) -> None:
        """Tell the plane."""
        ...


class Ear:
    """What is sent to the peer of leg ``number``, through its socket."""

    __slots__ = (
        "_codec",
        "_event_rate",
        "_event_type",
        "_house",
        "_number",
        "_payload_type",
        "_play",
        "_presses",
        "_pressing",
        "_sends_to",
        "_ways",
        "destination",
        "fed_by",
        "outgoing",
        "rtp",
        "sealer",
        "sources",
        "waiting_play",
    )

    def __init__(self, number: int, rtp: socket.socket, house: House) -> None:
        self._number = number
        self._house = house
        self.rtp = rtp
        self.destination = NOWHERE
        """Where the peer is, as far as is known."""
        self.sources: tuple[Leg, ...] = ()
        """Whose sound is heard."""
        self.fed_by: Reception | None = None
        """Whose packets of sound the peer hears at present, untranslated and unless a play stands in for them."""
        self.sealer: Sealer | None = None
        """Seals what is sent; None: it is plain RTP."""
        self.waiting_play = 0
        """Number of the play whose clips are still being loaded; 0: none."""
        self._play: Play | None = None
        self._presses: Presses | None = None
        # Whether keys are heard now in place of all else.
        self._pressing = False
        self._sends_to = False
        self._codec: str | None = None
        self._payload_type = 0
        self._event_type = -1
        self._event_rate = 0
        self._ways: Ways = NO_WAYS
        # The number begins in the lower half: with SRTP a peer that misses the first packets would take a wrap soon
        # after for none, and open nothing from there on (RFC 3711 3.3.1).
        self.outgoing = Outgoing(random.getrandbits(32), random.getrandbits(15), random.getrandbits(32))

    def __repr__(self) -> str:
        heard = ", ".join(str(leg.number) for leg in self.sources) or "nobody"
        return f"<Ear {self._number} at {self.destination} hears {'a play' if self._play else heard}>"

    def set_remote(self, remote: Remote, *, wants: bool) -> None:
        """The peer's description says this now; ``wants``: the peer wants to hear."""
        self.fed_by = None
        self._sends_to = wants
        self._codec = remote["codec"]
        self._payload_type = remote["payload_type"]
        self._event_type, self._event_rate = remote["event_type"], remote["event_rate"]
        self._ways = ways_to(remote["codec"], remote["payload_type"], remote["event_type"])

    # Other legs

    def listen_to(self, sources: Sequence[Leg]) -> None:
        """Hear these legs from now on, and nobody else."""
        former, self.sources = self.sources, tuple(sources)
        self.fed_by = None
        for leg in former:
            if leg not in self.sources:
                leg.heard_by = tuple(ear for ear in leg.heard_by if ear is not self)
        for leg in self.sources:
            if self not in leg.heard_by:
                leg.heard_by = (*leg.heard_by, self)
        for leg in (*former, *self.sources):
            leg.settle()

    def hear(self, feed: Reception, size: int, header: Header, kind: int, now: float) -> None:
        """Send the peer the packet at hand, which another leg received; not while something is played to it."""
        if self._play is not None or self._pressing or not self._sends_to:
            return
        way = self._ways[kind]
        if way is None:
            self.outgoing.omit(feed)
            return
        self.fed_by = feed if way[1] is None and kind != EVENT_KIND and self.sealer is None else None
        if self.outgoing.relay(feed, PACKET, size, header, way[0], way[1], kind == EVENT_KIND, now):
            if self.sealer is not None:
                self._seal_and_send(self.sealer, bytes(VIEW[:size]))
                return
            try:
                self.rtp.sendto(VIEW[:size], self.destination)
            except OSError:
                pass  # the way is full, or there is none: a packet less

    def omit(self, feed: Reception) -> None:
        """A packet of the other leg is not for the peer."""
        self.outgoing.omit(feed)

    def _seal_and_send(self, sealer: Sealer, packet: bytes) -> None:
        """Send the peer a packet by SRTP."""
        sealed = sealer.seal(packet)
        if sealed is not None:
            try:
                self.rtp.sendto(sealed, self.destination)
            except OSError:
                pass  # as above

    # Playing

    def play(self, play: Play) -> None:
        """Play this in place of what plays now."""
        self.stop()
        self._play, self.fed_by = play, None
        self._house.playout.add(self)

    def stop(self) -> None:
        """Stop what plays or waits to be played."""
        number, self.waiting_play = self.waiting_play, 0
        if number:
            self._house.report([ENDED, self._number, number, False])
        if self._play is not None:
            self._end_play(complete=False)

    def turn(self, at: float) -> None:
        """The next frame's turn, its deadline ``at``. A peer that does not want to hear misses it."""
        if self._presses is not None and self._press_on(self._presses, at):
            return
        play = self._play
        if play is None:
            return
        payload = play.next_frame(self._codec)
        if payload is None:
            self._end_play(complete=True)
        elif self._sends_to:
            self._send(self.outgoing.frame(play, self._payload_type, payload, at))

    def _send(self, packet: bytes) -> None:
        """Send the peer a packet of our own."""
        if self.sealer is not None:
            self._seal_and_send(self.sealer, packet)
            return
        try:
            self.rtp.sendto(packet, self.destination)
        except OSError:
            pass  # as above

    def _end_play(self, complete: bool) -> None:
        play, self._play = self._play, None
        if self._presses is None:
            self._house.playout.remove(self)
        if play is not None:
            self._house.report([ENDED, self._number, play.number, complete])

    # Keys

    def press(self, keys: str, duration: float, pause: float) -> None:
        """Press keys, behind those that are being pressed; the peer hears nothing else meanwhile, a play waits."""
        if self._presses is None:
            rate = self._event_rate if self._event_type >= 0 else 0
            self._presses = Presses(self._codec or "PCMU", rate)
            self._pressing, self.fed_by = True, None
            self._house.playout.add(self)
        self._presses.add(keys, duration, pause)

    def _press_on(self, presses: Presses, at: float) -> bool:
        """The next 20 ms of the keys; False when they let the peer hear something else."""
        frame = presses.next_frame()
        self._pressing = frame is not None and frame is not Rest.LONG
        if frame is None:
            self._presses = None
            if self._play is None:
                self._house.playout.remove(self)
            return False
        if not self._pressing:
            return False
        self.fed_by = None
        if not self._sends_to:
            return True
        if isinstance(frame, EventPacket):
            if frame.marker:
                presses.start = self.outgoing.begin_event(at)
            timestamp = presses.start + frame.offset
            self._send(self.outgoing.event(presses, self._event_type, frame, timestamp))
        elif isinstance(frame, bytes):
            self._send(self.outgoing.frame(presses, self._payload_type, frame, at))
        return True

    def close(self) -> None:
        """Hear nothing any more; nothing is told."""
        self.listen_to(())
        self._house.playout.remove(self)
        self._play, self._presses, self.waiting_play = None, None, 0
