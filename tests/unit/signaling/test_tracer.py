"""The ring of messages: the last ones, in bounded memory."""

from __future__ import annotations

import asyncio

from callcenter.signaling.tracer import OCTETS_EACH, Tracer, call_id_of
from callcenter.simulation.clock import SimClock, run
from callcenter.sip.flow import Address, Flow, Transport

FLOW = Flow(Transport.UDP, Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))


def test_it_keeps_the_last_messages_and_no_more_octets_than_they_may_have() -> None:
    async def main() -> None:
        tracer = Tracer(SimClock(asyncio.get_running_loop()), 10)
        for number in range(100):
            tracer.take(number % 2 == 0, FLOW, b"%d" % number)
        assert [seen.data for seen in tracer.messages()] == [b"%d" % number for number in range(90, 100)]
        assert [seen.number for seen in tracer.messages(after=98)] == [99, 100]
        tracer.take(True, FLOW, b"x" * OCTETS_EACH * 9)
        assert len(tracer) == 10
        tracer.take(True, FLOW, b"x" * OCTETS_EACH * 9)
        assert len(tracer) == 1, "long messages push others out"

    run(main())


def test_the_call_id_is_read_from_the_head_in_either_form() -> None:
    assert call_id_of(b"BYE sip:1 SIP/2.0\r\ni:one@host\r\n\r\n") == "one@host"
    assert call_id_of(b"BYE sip:1 SIP/2.0\r\nCALL-ID : two\r\n\r\nCall-ID: three\r\n") == "two"
    assert call_id_of(b"BYE sip:1 SIP/2.0\r\n\r\nCall-ID: three\r\n") == ""
    assert call_id_of(b"\x00\xff") == ""
