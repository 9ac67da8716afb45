"""pyVoIP as an agent's phone, a program of its own (it lives on threads): answers, sends a tone, tells what it hears.

Arguments: the switch's host and port, user, password, the tone in Hz, and a file that ends it when it appears. Each
line that it prints is one event: ``registered``, ``ringing``, ``heard HZ`` (once a second), ``ended``.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy

warnings.simplefilter("ignore", DeprecationWarning)  # audioop, and pyVoIP's own

from pyVoIP.VoIP import CallState, PhoneStatus, VoIPCall, VoIPPhone  # noqa: E402 - after the filter that it needs

from tests.wire import process, tone  # noqa: E402

SPEAKS_FOR = 60.0  # s


def say(line: str) -> None:
    """Tells the test."""
    print(line, flush=True)


def answer(call: VoIPCall, hz: float) -> None:
    """Takes the call, speaks, and tells once a second which tone it hears."""
    say("ringing")
    call.answer()
    call.write_audio(((tone.tone(hz, SPEAKS_FOR).astype(numpy.int32) >> 8) + 128).astype(numpy.uint8).tobytes())
    heard = b""
    while call.state == CallState.ANSWERED:
        heard += call.read_audio(160, blocking=True)
        if len(heard) >= tone.RATE:
            samples = ((numpy.frombuffer(heard, dtype=numpy.uint8).astype(numpy.int32) - 128) << 8).astype(numpy.int16)
            say(f"heard {tone.frequency(samples) or 0:.0f}")
            heard = b""
    say("ended")


def main() -> None:
    """Registers and waits for calls."""
    host, port, user, password, hz, stop = sys.argv[1:]

    def ring(call: VoIPCall) -> None:
        threading.Thread(target=answer, args=(call, float(hz)), daemon=True).start()

    low, high = process.free_range(20)
    sip_port = process.free_port(socket.SOCK_DGRAM)
    phone = VoIPPhone(
        host, int(port), user, password,
        myIP="127.0.0.1", callCallback=ring, sipPort=sip_port, rtpPortLow=low, rtpPortHigh=high,
    )  # fmt: skip
    phone.start()
    told = False
    while not Path(stop).exists():
        if not told and phone.get_status() == PhoneStatus.REGISTERED:
            told = True
            say("registered")
        time.sleep(0.02)
    phone.stop()


if __name__ == "__main__":
    main()
