"""Families: which address of ours a peer's sound comes to, where it speaks by another family than it signals by."""

from __future__ import annotations

import re

from callcenter.signaling.sockets import family_of, local_address
from callcenter.signaling.transport import TransportError
from callcenter.sip.flow import Flow

_CONNECTION = re.compile(rb"^c=IN IP[46] ([0-9A-Fa-f.:]{2,45})", re.MULTILINE)


def host_for_sound(flow: Flow, offer: bytes | None) -> str:
    """Our address for the sound of the peer of ``flow``: of the family that its description names.

    A phone with both may signal by IPv6 and speak by IPv4 (RFC 6157 3): it is answered where it listens. Without an
    offer, or where there is no way, it is the address of the signalling.
    """
    ours = flow.local.host
    described = [found.decode() for found in _CONNECTION.findall(offer or b"")]
    if not described or any((":" in host) == (":" in ours) for host in described):
        return ours
    family = family_of(described[0])
    try:
        return local_address(family, described[0]) if family is not None else ours
    except TransportError:
        return ours
