"""Notifier: tells the service manager how the switch is (sd_notify(3)); nobody, where none started us.

Fifteen lines of a datagram, where the libraries for it bring a compiler or are kept no more.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Self

import structlog

log = structlog.get_logger()


class Notifier:
    """``address`` is systemd's socket; empty: nobody listens. ``watchdog``: seconds in which it wants to hear us."""

    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._complained = False
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """As the service manager has it. The variables are taken away: what we start does not speak in our name."""
        address = environment.pop("NOTIFY_SOCKET", "")
        usec, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        ours = usec.isdecimal() and int(usec) > 0 and (not pid or pid == str(os.getpid()))
        # Of the kinds of sockets there are (vsock), only Unix ones are ours.
        return cls(address if address[:1] in ("/", "@") else "", int(usec) / 1e6 if ours else None)

    def tell(self, **state: str | int) -> None:
        """Send ``READY=1`` and the like. Never waits, and never fails for us."""
        if self._socket is None:
            return
        text = "\n".join(f"{name}={value}" for name, value in state.items())
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError as error:
            if not self._complained:
                log.warning("the service manager is not reached", detail=error.strerror or str(error))
            self._complained = True

    def close(self) -> None:
        """Say nothing more. May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __repr__(self) -> str:
        return f"<Notifier {self._address.replace(chr(0), '@') or 'of nobody'}>"
