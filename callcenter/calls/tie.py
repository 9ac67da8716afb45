"""Tie: two media sessions that are each other's peers: sound goes from one talk, or one worker, to another."""

from __future__ import annotations

import contextlib
import re

from callcenter.calls.sound import Sound
from callcenter.media.plane import MediaPlane, NotAcceptable
from callcenter.sip.flow import Address, Flow, Transport

# Both ends are ours: what they send does not leave this machine.
_HERE = Address("127.0.0.1", 0)
LOOPBACK = Flow(Transport.UDP, _HERE, _HERE)
# Where the configuration lets no sound go unsealed, this does not either.
SEALED = Flow(Transport.TLS, _HERE, _HERE)
_WHERE = re.compile(rb"^c=IN IP[46] [^\r\n]+", re.MULTILINE)


def found_here(description: bytes) -> bytes:
    """The description of one end as the other reads it: it is on this machine, whatever address is advertised."""
    return _WHERE.sub(b"c=IN IP4 127.0.0.1", description)


async def open_end(plane: MediaPlane, name: str, beside: Sound) -> tuple[Sound, Flow]:
    """One end of a tie, ``beside`` whoever speaks by it: its description is an offer to the other end. With the way by
    which that is to be opened. Raises as the plane's open does; the sound is the caller's to release.
    """
    sound = Sound()
    try:
        await sound.open(plane, name, LOOPBACK, offer=None, beside=beside)
    except NotAcceptable:
        await sound.open(plane, name, SEALED, offer=None, beside=beside)
        return sound, SEALED
    return sound, LOOPBACK


class Tie:
    """What is heard at ``near`` is what ``far`` is let hear, and the other way round. Release it by :meth:`close`."""

    def __init__(self, near: Sound, far: Sound) -> None:
        self.near = near
        self.far = far

    @classmethod
    async def open(cls, plane: MediaPlane, name: str, near: Sound, far: Sound) -> Tie:
        """A tie from the worker of ``near`` to that of ``far``. Raises as the plane's open does."""
        with contextlib.ExitStack() as undo:
            one, flow = await open_end(plane, name, near)
            undo.callback(one.release)
            other = Sound()
            undo.callback(other.release)
            answer = await other.open(plane, name, flow, offer=found_here(one.session.sdp), beside=far)
            await one.session.set_answer(found_here(answer))
            undo.pop_all()
        return cls(one, other)

    def close(self) -> None:
        """Give both ends back. Never waits; may be called twice."""
        self.near.release()
        self.far.release()
