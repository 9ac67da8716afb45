"""TlsSession: TLS without a socket: octets in, octets out; whom a certificate names; what went wrong, in words."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

# What a TLS record of the handshake begins with (RFC 8446 5.1); no message in plain text does.
HANDSHAKE = 22
# Plain text taken out at a time.
READ = 1 << 16

# OpenSSL's numbers of what is wrong with a certificate (X509_V_ERR_*), in words.
WRONG_CERTIFICATE = {
    9: "its certificate is not valid yet: compare the clocks of both sides",
    10: "its certificate has expired",
    18: "its certificate is self-made: name that certificate as ca_file to trust it",
    19: "the authority of its certificate is not trusted here: name it as ca_file",
    20: "the authority of its certificate is not trusted here: name it as ca_file",
    21: "the authority of its certificate is not trusted here: name it as ca_file",
    26: "its certificate is not made for this purpose",
}
# OpenSSL's names of what went wrong in a handshake, in words; ``they`` are the peer.
WRONG_HANDSHAKE = {
    "HTTP_REQUEST": "they speak HTTP: this port is for SIP over TLS",
    "NO_SHARED_CIPHER": "they know none of our ciphers: their TLS is too old",
    "UNSUPPORTED_PROTOCOL": "they speak a TLS older than sip.tls.min_version allows",
    "TLSV1_ALERT_PROTOCOL_VERSION": "they want another version of TLS than we speak (sip.tls.min_version)",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "they showed no certificate, and sip.tls.client_certificate is required",
    "TLSV1_ALERT_UNKNOWN_CA": "they do not trust our certificate: give them its authority, or the certificate itself",
    "SSLV3_ALERT_BAD_CERTIFICATE": "they do not take our certificate: its names must hold the one that they call",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "they do not take our certificate: its names must hold the one that they call",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "to them our certificate has expired: compare the clocks of both sides",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "they ask for a certificate of ours: name one under sip.tls.certificates",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "they know no version or cipher that we do, or want a certificate of ours",
}


class TlsFailure(Exception):
    """No TLS with this peer; one line that an operator understands."""


class TlsSession:
    """One side of one connection. Feed what came to :meth:`receive`, and send what :meth:`take_out` gives after each
    call.

    ``expected`` is the name or address that the server we call must have a certificate for (RFC 5922 7); without it
    any name will do. What an untrusted certificate means is for ``context`` to say.
    """

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, server_name: str | None = None, expected: str | None = None
    ) -> None:
        self.established = False
        self.ended = False
        self.peer_names: tuple[str, ...] = ()
        self._server_side = server_side
        self._expected = expected
        self._began = False
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side, server_hostname=server_name)

    def begin(self) -> None:
        """Say the first word, as whoever calls does. Raises TlsFailure."""
        self._shake()

    def receive(self, data: bytes) -> bytes:
        """Take octets of the peer; returns the plain text that is complete. Raises TlsFailure."""
        if not self._began and data:
            self._began = True
            if data[0] != HANDSHAKE:
                raise TlsFailure(
                    "they speak plain text on the TLS port: set the phone to TLS, or to the port for TCP"
                    if self._server_side
                    else "they answer in plain text: their port for TLS is another one"
                )
        self._in.write(data)
        if not self.established:
            self._shake()
            if not self.established:
                return b""
        clear = bytearray()
        try:
            while more := self._tls.read(READ):
                clear += more
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.ended = True
        except ssl.SSLError as error:
            raise TlsFailure(in_words(error)) from error
        return bytes(clear)

    def send(self, data: bytes) -> None:
        """Say something, once the session is established."""
        self._tls.write(data)

    def end(self) -> None:
        """Take leave: an end that nobody has cut short."""
        if self.established:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()  # wants to read the peer's leave, for which nobody waits

    def take_out(self) -> bytes:
        """What is to be sent to the peer now."""
        return self._out.read()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except (ssl.SSLError, ValueError) as error:
            raise TlsFailure(in_words(error) if isinstance(error, ssl.SSLError) else str(error)) from error
        certificate = self._tls.getpeercert() or {}
        self.peer_names = names_in(certificate)
        if self._expected is not None and not names(certificate, self._expected):
            held = ", ".join(self.peer_names) or "nobody"
            raise TlsFailure(f"their certificate is for {held}, not for {self._expected}: nothing is sent to them")
        self.established = True


def names_in(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """Whom a certificate (of ``getpeercert``, verified) names: subject CN, then SAN DNS names, URIs and addresses."""
    found = [name.lower() for name in _common_names(certificate)]
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "IP Address":
            found.append(str(ip_address(value.strip())))
        elif kind in ("DNS", "URI"):
            found.append(value.lower())
    return tuple(dict.fromkeys(found))


def names(certificate: Mapping[str, Any], wanted: str) -> bool:
    """Whether a certificate is for this host or address (RFC 5922 7.1 and 7.2).

    7.2 would refuse ``*.example.org``; carriers have such certificates, and every other protocol takes them.
    """
    alternatives = certificate.get("subjectAltName", ())
    if (address := _literal(wanted)) is not None:
        return any(kind == "IP Address" and ip_address(value.strip()) == address for kind, value in alternatives)
    held = [value for kind, value in alternatives if kind == "DNS"]
    held += [value[4:] for kind, value in alternatives if kind == "URI" and value[:4].lower() == "sip:"]
    # The subject counts where nothing better is said.
    return any(is_name(each, wanted) for each in held or _common_names(certificate))


def is_name(held: str, wanted: str) -> bool:
    """Whether a name of a certificate, perhaps with a star for its first label, is that of a host."""
    held, wanted = held.lower().rstrip("."), wanted.lower().rstrip(".")
    if held.startswith("*.") and held.count(".") > 1:
        return held[2:] == wanted.partition(".")[2]
    return held == wanted


def in_words(error: ssl.SSLError) -> str:
    """What went wrong, for an operator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return WRONG_CERTIFICATE.get(error.verify_code, f"their certificate cannot be trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLEOFError):
        return "they hung up in the middle of the handshake"
    reason = error.reason or str(error)
    return WRONG_HANDSHAKE.get(reason, reason.lower().replace("_", " "))


def _common_names(certificate: Mapping[str, Any]) -> list[str]:
    return [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
