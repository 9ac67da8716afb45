"""The ports of a worker: pairs of an even RTP and the odd RTCP port after it, tried before they are used."""

from __future__ import annotations

import errno
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

# Expedited forwarding (RFC 3246), the class of telephone sound.
_DSCP_EF: Final = 46 << 2

# So many pairs in a row are tried: where more are taken by others, the range is the wrong one.
_MOST_TRIES: Final = 256


class PortsExhausted(Exception):
    """No pair is free."""


class Ports:
    """The pairs of one worker; the one that was given back longest ago is used first, and none for ``rest`` seconds
    after, so that late packets of an ended call, and who goes on sending to its port, reach nobody.

    The first is drawn by ``random``: two switches on one machine, or a worker and the one that follows it when it has
    died, do not begin with the same.
    """

    def __init__(
        self, pairs: Sequence[int], random: Random, rest: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._free = deque(pairs)
        self._free.rotate(-random.randrange(len(pairs)))
        # Each that was given back, and when: the one that rests for longest first.
        self._resting: deque[tuple[float, int]] = deque()
        self._anothers: set[int] = set()

    def open(self, host: str) -> tuple[int, socket.socket, socket.socket]:
        """A free pair bound on ``host``: RTP port, RTP socket, RTCP socket. Raises PortsExhausted, OSError."""
        rested = self._clock() - self._rest
        while self._resting and self._resting[0][0] <= rested:
            self._free.append(self._resting.popleft()[1])
        for _ in range(min(len(self._free), _MOST_TRIES)):
            port = self._free.popleft()
            try:
                rtp = _bind(host, port)
            except OSError as error:
                self._free.append(port)
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                continue
            try:
                return port, rtp, _bind(host, port + 1)
            except OSError as error:
                rtp.close()
                self._free.append(port)
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
        resting = f": {len(self._resting)} rest after a call" if self._resting else ""
        raise PortsExhausted(f"no pair of ports is free{resting}")

    def give_back(self, port: int) -> None:
        """The pair of ``port`` is free again, after its rest; or another worker's from now on, see :meth:`keep`."""
        if port in self._anothers:
            self._anothers.discard(port)
        else:
            self._resting.append((self._clock(), port))

    def keep(self, used: Sequence[int], spare: int) -> list[int]:
        """Another worker takes over: keep what is ``used``, each until it is given back, some ``spare`` ones, and those
        at rest: late packets of their calls do not reach the other worker's.

        Returns all that are kept; the others are not ours any more.
        """
        while len(self._free) > spare:
            self._free.popleft()
        self._anothers = set(used)
        return [*used, *self._free, *(port for _, port in self._resting)]

    def change(self, lost: Sequence[int], gained: Sequence[int]) -> None:
        """These are another worker's; and those are ours, in which there was sound a moment ago."""
        if lost:
            others = set(lost)
            self._free = deque(port for port in self._free if port not in others)
            self._resting = deque(each for each in self._resting if each[1] not in others)
        for port in gained:
            self.give_back(port)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _DSCP_EF)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_EF)
        try:
            sock.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            # The address is not of this machine (a NAT stands before it): listen on all of them.
            sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    except BaseException:
        sock.close()
        raise
    return sock
