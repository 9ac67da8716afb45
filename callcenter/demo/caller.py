"""A caller's phone: a program of its own, that dials, presses keys, speaks and listens as it is told.

``python -m callcenter.demo.caller HOST PORT NUMBER NAME DIAL HEARS SPEAKS``: the two tones in Hz. Each line that it
prints is an event, as JSON: dialled, answered, sound, pressed, heard, ended, refused. Each line that it reads is a
command: ``press KEY``, ``hangup``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from array import array
from collections.abc import Iterator
from random import SystemRandom
from typing import Any

from callcenter.demo.tone import RATE, hears, loud, tone
from callcenter.rtp.dtmf import event_payload
from callcenter.rtp.g711 import FRAME_SAMPLES, decode_ulaw, encode_ulaw
from callcenter.rtp.packet import Packet, RtpError
from callcenter.runtime.clock import SystemClock
from callcenter.signaling.leg import Answered, Leg
from callcenter.signaling.network import SipNetwork
from callcenter.signaling.settings import Listen
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.endpoint import Endpoint
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.sdp import PCMU, Negotiated, SessionDescription, make_offer, read_answer
from callcenter.sip.uri import Uri

HOME = "127.0.0.1"
FRAME_SECONDS = 0.02
# A press of 100 ms, its end sent three times (RFC 4733 2.5.1.4).
PRESS_FRAMES = 5
END_TIMES = 3


def say(event: str, **more: Any) -> None:
    """Tell the demo."""
    print(json.dumps({"event": event, "at": time.time(), **more}), flush=True)


class Ear(asyncio.DatagramProtocol):
    """Hears: half a second at a time."""

    def __init__(self, hz: float) -> None:
        self._hz = hz
        self._samples: list[int] = []
        self._told: set[str] = set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Sound comes."""
        try:
            packet = Packet.parse(data)
        except RtpError:
            return
        if packet.payload_type != PCMU.payload_type:
            return
        self._samples.extend(array("h", decode_ulaw(packet.payload)))
        if len(self._samples) >= RATE // 2:
            if hears(self._samples, self._hz):
                self._tell("heard")
            elif loud(self._samples):
                self._tell("sound")
            self._samples.clear()

    def _tell(self, event: str) -> None:
        if event not in self._told:
            self._told.add(event)
            say(event)


class Mouth:
    """Speaks: a frame every 20 ms, a key in place of the voice while it is pressed."""

    def __init__(self, transport: asyncio.DatagramTransport, agreed: Negotiated, hz: float) -> None:
        chance = SystemRandom()
        self._transport = transport
        self._agreed = agreed
        self._ssrc = chance.getrandbits(32)
        self._sequence = chance.getrandbits(15)
        self._timestamp = chance.getrandbits(31)
        self._voice = encode_ulaw(array("h", tone(hz, 1.0)).tobytes())
        self._presses: asyncio.Queue[str] = asyncio.Queue()

    def press(self, key: str) -> None:
        """Press a key."""
        self._presses.put_nowait(key)

    async def speak(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for frame in self._frames():
            self._send(*frame)
            due += FRAME_SECONDS
            await asyncio.sleep(due - loop.time())

    def _frames(self) -> Iterator[tuple[int, bytes, int, bool]]:
        """Payload type, payload, timestamp, marker."""
        at = 0
        while True:
            if not self._presses.empty():
                yield from self._press(self._presses.get_nowait())
            voice = self._voice[at : at + FRAME_SAMPLES]
            at = (at + FRAME_SAMPLES) % len(self._voice)
            yield self._agreed.payload_type, voice, self._timestamp, False

    def _press(self, key: str) -> Iterator[tuple[int, bytes, int, bool]]:
        event = self._agreed.telephone_event
        if event is None:
            return
        began = self._timestamp
        for number in range(1, PRESS_FRAMES + END_TIMES + 1):
            duration = min(number, PRESS_FRAMES) * FRAME_SAMPLES
            yield event, event_payload(key, duration, end=number > PRESS_FRAMES), began, number == 1
        say("pressed", key=key)

    def _send(self, payload_type: int, payload: bytes, timestamp: int, marker: bool) -> None:
        packet = Packet(payload_type, self._sequence & 0xFFFF, timestamp & 0xFFFFFFFF, self._ssrc, payload, marker)
        self._transport.sendto(packet.to_bytes(), self._agreed.remote)
        self._sequence += 1
        self._timestamp += FRAME_SAMPLES


async def call(host: str, port: int, number: str, name: str, dial: str, hears_hz: float, speaks_hz: float) -> None:
    """Dial, and do what is told until the call is over."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Ear(hears_hz), local_addr=(HOME, 0))
    chance = SystemRandom()
    network = SipNetwork((Listen("udp", HOME, 0),), SystemClock())
    phone = UserAgent(
        network,
        Endpoint(random=chance, agent_name="callcenter demo caller"),
        SystemClock(),
        lambda leg: leg.reject(486),
        lambda request: None,
    )
    await phone.open()
    here = network.address_towards(Transport.UDP, host)
    offer = make_offer([PCMU], host=HOME, port=transport.get_extra_info("sockname")[1], session_id=1)
    target = Uri(user=dial, host=host, port=port)
    leg = phone.dial(
        target,
        Flow(Transport.UDP, here, Address(host, port)),
        from_=NameAddr(Uri(user=number, host=here.host), name),
        to=NameAddr(target),
        sdp=offer.to_bytes(),
    )
    say("dialled")
    try:
        await talk(leg, offer, transport, speaks_hz)
    finally:
        leg.hangup()
        transport.close()
        await phone.close()


async def talk(leg: Leg, offer: SessionDescription, transport: asyncio.DatagramTransport, hz: float) -> None:
    """From the answer to the end."""
    outcome = await leg.outcome()
    if not isinstance(outcome, Answered) or outcome.sdp is None:
        say("refused", outcome=str(outcome))
        return
    say("answered")
    mouth = Mouth(transport, read_answer(offer, SessionDescription.parse(outcome.sdp)), hz)
    speaking = asyncio.create_task(mouth.speak())
    obeying = asyncio.create_task(obey(leg, mouth))
    await leg.ended
    for task in (speaking, obeying):
        task.cancel()
    await asyncio.gather(speaking, obeying, return_exceptions=True)
    say("ended", by=str(leg.ending.by) if leg.ending is not None else "")


async def obey(leg: Leg, mouth: Mouth) -> None:
    """Do what is read, until whoever commands is gone."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        match line.decode().split():
            case ["press", key]:
                mouth.press(key)
            case ["hangup"]:
                break
    leg.hangup()


def main() -> None:
    """Read the arguments and call."""
    host, port, number, name, dial, hears_hz, speaks_hz = sys.argv[1:]
    asyncio.run(call(host, int(port), number, name, dial, float(hears_hz), float(speaks_hz)))


if __name__ == "__main__":
    main()
