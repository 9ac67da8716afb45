"""An agent's softphone: pyVoIP, a program of its own (it lives on threads, and its licence is not ours).

``python -m callcenter.demo.agent HOST PORT USER HEARS SPEAKS``: the two tones in Hz. Each line that it prints is an
event, as JSON: registered, ringing, answered, heard, ended. The first line that it reads is the password, for arguments
are read by everybody; each one behind it is a command: hangup, stop.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import warnings
from typing import Any

warnings.simplefilter("ignore", DeprecationWarning)  # audioop, and pyVoIP's own

from pyVoIP.VoIP import CallState, PhoneStatus, VoIPCall, VoIPPhone  # noqa: E402 - after the filter that it needs

from callcenter.demo.tone import RATE, hears, tone  # noqa: E402

FRAME = 160
SPEAKS_FOR = 30.0
LOOK_EVERY = 0.02
# A port that is free for two in a row: pyVoIP binds RTP alone, but phones are expected to leave room for RTCP.
RTP_PORTS = 10


def say(event: str, **more: Any) -> None:
    """Tell the demo."""
    print(json.dumps({"event": event, "at": time.time(), **more}), flush=True)


class Softphone(VoIPPhone):
    """pyVoIP's phone, that tells the moment in which the INVITE comes: its own callback comes a second later."""

    def callback(self, request: Any) -> None:
        """Take a message of the switch."""
        if getattr(request, "method", None) == "INVITE":
            say("ringing", name=request.headers["From"]["caller"].strip('" '), number=request.headers["From"]["number"])
        super().callback(request)


class Agent:
    """One agent at one phone."""

    def __init__(self, host: str, port: int, user: str, password: str, hears_hz: float, speaks_hz: float) -> None:
        self._hears = hears_hz
        self._voice = bytes((sample >> 8) + 128 for sample in tone(speaks_hz, SPEAKS_FOR))
        self._call: VoIPCall | None = None
        low = free_ports(RTP_PORTS)
        self._phone = Softphone(
            host, port, user, password,
            myIP="127.0.0.1", callCallback=self._ring, sipPort=free_ports(1), rtpPortLow=low,
            rtpPortHigh=low + RTP_PORTS - 1,
        )  # fmt: skip

    def work(self) -> None:
        """Register, and obey until told to stop or until whoever commands is gone."""
        self._phone.start()
        while self._phone.get_status() != PhoneStatus.REGISTERED:
            time.sleep(LOOK_EVERY)
        say("registered")
        for line in sys.stdin:
            match line.strip():
                case "hangup" if self._call is not None and self._call.state == CallState.ANSWERED:
                    self._call.hangup()
                case "stop":
                    break
        self._phone.stop()

    def _ring(self, call: VoIPCall) -> None:
        threading.Thread(target=self._talk, args=(call,), daemon=True).start()

    def _talk(self, call: VoIPCall) -> None:
        self._call = call
        call.answer()
        say("answered")
        call.write_audio(self._voice)
        heard: list[int] = []
        told = False
        while call.state == CallState.ANSWERED:
            heard += [(byte - 128) << 8 for byte in call.read_audio(FRAME, blocking=True)]
            if len(heard) >= RATE // 2:
                if not told and hears(heard, self._hears):
                    told = True
                    say("heard")
                heard.clear()
        say("ended")


def free_ports(count: int) -> int:
    """The first of ``count`` UDP ports in a row that are free on loopback now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        try:
            for port in range(first + 1, first + count):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            continue
        return first


def main() -> None:
    """Read the arguments and work."""
    host, port, user, hears_hz, speaks_hz = sys.argv[1:]
    password = sys.stdin.readline().strip()
    Agent(host, int(port), user, password, float(hears_hz), float(speaks_hz)).work()


if __name__ == "__main__":
    main()
