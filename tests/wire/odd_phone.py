"""pyVoIP as an agent's phone, a program of its own (it lives on threads): answers, sends a tone, tells what it hears.

Arguments: the switch's host and port, user, password, and the tone in Hz. Each line that it prints is one event:
``registered``, ``ringing``, ``taken``, ``heard HZ`` (once a second), ``ended``. Each line that it reads is a command:
``dial NUMBER``, ``hangup``, ``stop``; its end stops it too.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
import warnings

import numpy

warnings.simplefilter("ignore", DeprecationWarning)  # audioop, and pyVoIP's own

from pyVoIP.VoIP import CallState, PhoneStatus, VoIPCall, VoIPPhone  # noqa: E402 - after the filter that it needs

from tests.wire import process, tone  # noqa: E402

SPEAKS_FOR = 60.0  # s
LOOK_EVERY = 0.02  # s
calls: list[VoIPCall] = []


def say(line: str) -> None:
    """Tells the test."""
    print(line, flush=True)


def answer(call: VoIPCall, hz: float) -> None:
    """Takes the call that rings."""
    say("ringing")
    call.answer()
    talk(call, hz)


def dial(phone: VoIPPhone, number: str, hz: float) -> None:
    """Calls somebody."""
    call = phone.call(number)
    calls.append(call)
    while call.state == CallState.DIALING:
        time.sleep(LOOK_EVERY)
    talk(call, hz)


def talk(call: VoIPCall, hz: float) -> None:
    """Speaks, and tells once a second which tone it hears."""
    calls.append(call)
    if call.state == CallState.ANSWERED:
        say("taken")
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
    host, port, user, password, hz = sys.argv[1:]

    def ring(call: VoIPCall) -> None:
        threading.Thread(target=answer, args=(call, float(hz)), daemon=True).start()

    low, high = process.free_range(20)
    sip_port = process.free_port(socket.SOCK_DGRAM)
    phone = VoIPPhone(
        host, int(port), user, password,
        myIP="127.0.0.1", callCallback=ring, sipPort=sip_port, rtpPortLow=low, rtpPortHigh=high,
    )  # fmt: skip
    phone.start()
    while phone.get_status() != PhoneStatus.REGISTERED:
        time.sleep(LOOK_EVERY)
    say("registered")
    for line in sys.stdin:
        match line.split():
            case ["dial", number]:
                threading.Thread(target=dial, args=(phone, number, float(hz)), daemon=True).start()
            case ["hangup"]:
                calls[-1].hangup()
                say("hung up")
            case _:
                break
    phone.stop()


if __name__ == "__main__":
    main()
