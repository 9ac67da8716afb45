"""MediaSettings: what the operator may set of the media plane."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address

from callcenter.ledger.quality import Alarm
from callcenter.rtp.reporting import REDUCED_MINIMUM

CODECS = ("PCMU", "PCMA", "G722", "opus", "L16")
"""What the embedded plane speaks; opus where libopus is found."""

USUAL_CODECS = ("PCMU", "PCMA", "G722", "opus")
"""In this order what a phone and we have in common is taken: wide-band costs processor time, and a call that is in
G.711 with the world outside sounds no better for it.
"""


LONGEST_PORT_REST = 300.0
"""Far beyond what any phone goes on sending for; more would but use the ports up."""


class Srtp(StrEnum):
    """Whether sound is encrypted: never, for whoever can, or always."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True)
class MediaSettings:
    """Settings of the embedded media plane. Raises ValueError, one clear line, when they make no sense."""

    ports: tuple[int, int] = (16384, 32767)
    """First and last UDP port for sound; each leg takes an even one and the odd one after it."""

    port_rest: float = 5.0
    """Seconds for which the ports of a leg that has ended are not used again: what still comes reaches nobody."""

    workers: int | None = None
    """Worker processes; None: one a core."""

    advertised: tuple[str, ...] = ()
    """The addresses written into session descriptions, one for each family, where the machine stands behind a NAT."""

    local_networks: tuple[str, ...] = ()
    """Networks (CIDR) on our side of the NAT: to peers there none of that is told."""

    silence_timeout: float = 60.0
    """Seconds without a packet from a peer that should send, until the leg is told to be silent."""

    missing_after: float = 5.0
    """Seconds without any packet at all from a peer that should send, until that is told."""

    one_way_after: float = 10.0
    """Seconds without sound in the middle of a call, until it is told to go one way only; thrice as many for a peer
    whose reports still come."""

    max_sessions: int | None = None
    """Most legs at once; None: as many as ports and open files allow."""

    max_load: float = 0.7
    """Share of a core above which a worker takes no new call."""

    max_late: float = 0.02
    """Seconds by which a tenth of a worker's ticks may be late; above, it takes no new call. Jitter buffers of phones
    begin at two packets, of 20 ms each."""

    quality_alarm: Alarm | None = field(default_factory=Alarm)
    """When a trunk is told to sound bad; None: never."""

    rtcp_interval: float = REDUCED_MINIMUM
    """Mean seconds between two RTCP reports of a leg."""

    codecs: tuple[str, ...] = USUAL_CODECS
    """Codecs in the order of our preference, for legs that have none of their own."""

    srtp: Srtp = Srtp.OPTIONAL
    """Whether sound is encrypted by keys in the descriptions (RFC 4568)."""

    srtp_without_tls: bool = False
    """Whether such keys are taken and given by UDP and TCP too, where everybody on the way reads them."""

    records: bool = False
    """Whether talks are recorded: then what writes them runs from the start on."""

    def __post_init__(self) -> None:
        low, high = self.ports
        if not 1024 <= low < high <= 65535:
            raise ValueError(f"ports: {low} to {high} is no range of UDP ports between 1024 and 65535")
        if self.workers is not None and not 1 <= self.workers <= 256:
            raise ValueError(f"workers: write a number from 1 to 256, not {self.workers}")
        pairs = (high + 1 - (low + low % 2)) // 2
        if pairs < (self.workers or 1):
            raise ValueError(f"ports: {low} to {high} holds {pairs} pairs of ports, too few for the workers")
        for address in self.advertised:
            if not _is_address(address):
                raise ValueError(f"advertised: {address} is no IP address")
        if not 0 <= self.port_rest <= LONGEST_PORT_REST:
            raise ValueError(f"port_rest: write a duration from 0s to {LONGEST_PORT_REST:.0f}s")
        if not self.silence_timeout > 0:
            raise ValueError("silence_timeout: write a duration longer than nothing")
        if not self.missing_after > 0:
            raise ValueError("missing_after: write a duration longer than nothing")
        if not self.one_way_after > 0:
            raise ValueError("one_way_after: write a duration longer than nothing")
        if not self.max_late > 0:
            raise ValueError("max_late: write a duration longer than nothing")
        if self.max_sessions is not None and self.max_sessions < 1:
            raise ValueError("max_sessions: write 1 or more")
        if not 0 < self.max_load <= 1:
            raise ValueError("max_load: write a share of a core between 0 and 1")
        if not self.rtcp_interval > 0:
            raise ValueError("rtcp_interval: write a duration longer than nothing")
        if not self.codecs or len(set(self.codecs)) < len(self.codecs) or not set(self.codecs) <= set(CODECS):
            raise ValueError(f"codecs: write some of {', '.join(CODECS)}, each once")
        if self.srtp_without_tls and self.srtp is Srtp.OFF:
            raise ValueError("srtp_without_tls: srtp is off: take one of the two away")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
