"""A voice for a phone of packets: a tone every 20 ms to where a description says, and the tone that comes back."""

from __future__ import annotations

import asyncio
import re
import secrets
import struct
import time

import numpy

from tests.wire import tone
from tests.wire.stub import Message, Stub
from tests.wire.wait import until

FRAME = 160
HEADER = 12
HEARD = 25  # packets: half a second


class Voice:
    """What ``phone`` says and hears in its one call. ``peer`` is the message whose body says where it is heard."""

    def __init__(self, phone: Stub, hz: float, peer: Message) -> None:
        assert phone._media is not None
        self.hz = hz
        self.port = _port(peer)
        self._phone = phone
        self._media = phone._media
        self._where = (phone.switch[0], self.port)
        self._sound = tone.mu_law(tone.tone(hz, 1.0))
        self._sequence = 1
        self._ssrc = secrets.randbits(32)
        self._next = time.monotonic()
        self._timer = asyncio.get_running_loop().call_soon(self._say)

    def close(self) -> None:
        """Say no more."""
        self._timer.cancel()

    async def hears(self, hz: float) -> None:
        """From now on this tone comes."""
        self._phone.media.clear()
        await until(
            lambda: (found := self._frequency()) is not None and abs(found - hz) < 10,
            lambda: f"{hz:g} Hz; heard is {self._frequency()}, {len(self._phone.media)} packets",
        )

    def _frequency(self) -> float | None:
        packets = [packet for packet in self._phone.media[-HEARD:] if packet[1] & 0x7F == 0]
        if len(packets) < HEARD:
            return None
        sound = numpy.concatenate([tone.from_mu_law(packet[HEADER:]) for packet in packets])
        return tone.frequency(sound)

    def _say(self) -> None:
        start = self._sequence % 50 * FRAME
        header = struct.pack("!BBHII", 0x80, 0, self._sequence & 0xFFFF, self._sequence * FRAME, self._ssrc)
        if not self._media.is_closing():
            self._media.sendto(header + self._sound[start : start + FRAME], self._where)
        self._sequence += 1
        self._next += 0.02
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._next - time.monotonic()), self._say)


def _port(message: Message) -> int:
    found = re.search(r"m=audio (\d+)", message.body)
    assert found is not None, message.text
    return int(found[1])
