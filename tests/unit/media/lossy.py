"""A way between a phone and a plane that loses, delays and doubles datagrams, by a seed; sound and keys alike."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field, replace
from random import Random

from tests.unit.media.peers import RealPeer

LONGEST_DELAY = 0.05  # s: more than two packets overtake


@dataclass
class LossyWay:
    """``with LossyWay(amy, loss=0.1, seed=1)``: from now on all that amy sends and hears goes this way."""

    peer: RealPeer
    loss: float
    seed: int
    passed: int = 0
    lost: int = 0
    doubled: int = 0
    late: int = 0
    _sockets: list[socket.socket] = field(default_factory=list)
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _chance: Random = field(default_factory=Random)

    def __enter__(self) -> LossyWay:
        self._chance.seed(self.seed)
        peer = self.peer
        assert peer.negotiated is not None
        assert peer.negotiated.remote is not None
        plane, phone = peer.negotiated.remote, (peer.host, peer.port)
        loop = asyncio.get_running_loop()
        for _ in range(2):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sock.bind((peer.host, 0))
            self._sockets.append(sock)
        to_plane, to_phone = self._sockets
        loop.add_reader(to_phone, self._pass, to_phone, to_plane, plane)
        loop.add_reader(to_plane, self._pass, to_plane, to_phone, phone)
        peer.negotiated = replace(peer.negotiated, remote=to_phone.getsockname())
        return self

    def __exit__(self, *_: object) -> None:
        for timer in self._timers:
            timer.cancel()
        for sock in self._sockets:
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()

    def _pass(self, source: socket.socket, by: socket.socket, to: tuple[str, int]) -> None:
        data = source.recv(2048)
        chance = self._chance
        self.passed += 1
        if chance.random() < self.loss:
            self.lost += 1
            return
        copies = 2 if chance.random() < self.loss else 1
        self.doubled += copies - 1
        for _ in range(copies):
            if chance.random() < self.loss:
                self.late += 1
                timer = asyncio.get_running_loop().call_later(
                    chance.uniform(0.0, LONGEST_DELAY), self._send, by, data, to
                )
                self._timers.append(timer)
            else:
                self._send(by, data, to)

    @staticmethod
    def _send(by: socket.socket, data: bytes, to: tuple[str, int]) -> None:
        if by.fileno() >= 0:
            by.sendto(data, to)
