"""Described: where a peer's session description wants the sound sent."""

from __future__ import annotations

from ipaddress import ip_address

from callcenter.sip.errors import SdpError
from callcenter.sip.sdp import SessionDescription


def is_at(description: bytes, host: str) -> bool:
    """Whether all sound that ``description`` asks for goes to ``host``, an IP address, or nowhere."""
    try:
        described = SessionDescription.parse(description)
    except SdpError:
        return False
    asked = [described.address_of(media) for media in described.media if media.port]
    return all(_same(address, host) for address in asked if address is not None)


def _same(address: str, host: str) -> bool:
    try:
        return ip_address(address) == ip_address(host) or ip_address(address).is_unspecified
    except ValueError:
        return False
