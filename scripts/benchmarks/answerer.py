"""``python -m scripts.benchmarks.answerer``: answers every INVITE at once with one description, until told to end.

The SIP layers as the switch has them, on UDP on a free port of the loopback, and nothing else.
"""

from __future__ import annotations

import asyncio
import signal
from random import SystemRandom

import uvloop

from callcenter.runtime import memory
from callcenter.runtime.clock import SystemClock
from callcenter.signaling.leg import Leg
from callcenter.signaling.network import SipNetwork
from callcenter.signaling.reply import Reply
from callcenter.signaling.settings import Listen
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.endpoint import Endpoint
from scripts.benchmarks.wire import HOST

# Nobody listens there: what the callers send goes nowhere.
DESCRIPTION = (
    f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
).encode()


def take(leg: Leg) -> None:
    """Answer."""
    leg.answer(DESCRIPTION)


async def serve() -> None:
    """Listen, say where, and wait for the end."""
    network, clock = SipNetwork((Listen("udp", HOST, 0),), SystemClock()), SystemClock()
    agent = UserAgent(network, Endpoint(random=SystemRandom()), clock, take, lambda _: Reply(405))
    await agent.open()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    memory.settle()
    print(f"ready: SIP {network.listeners[0]}", flush=True)
    await over.wait()
    await agent.close(within=0.0)


if __name__ == "__main__":
    uvloop.run(serve())
