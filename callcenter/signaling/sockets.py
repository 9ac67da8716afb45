"""Sockets: addresses and binding, with errors that an operator understands."""

from __future__ import annotations

import errno
import socket

from callcenter.signaling.settings import Listen
from callcenter.signaling.transport import TransportError
from callcenter.sip.flow import Address

WILDCARDS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}

# Where a socket is pointed to learn our address on the way there; nothing is sent to it.
DISCARD_PORT = 9

# What a machine without IPv6 says to ``::``.
NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}


class NoSuchFamily(TransportError):
    """This machine has no IPv4, or no IPv6."""


class PortInUse(TransportError):
    """Somebody else has the port."""


def family_of(host: str) -> socket.AddressFamily | None:
    """IPv4 or IPv6; None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return family
    return None


def true_address(bound: socket.socket) -> Address:
    """Where a socket is bound, the port that the kernel chose included."""
    name = bound.getsockname()
    return Address(name[0], name[1])


def local_address(family: socket.AddressFamily, host: str) -> str:
    """Our address on the way to a host, an address of that family. Raises TransportError."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, DISCARD_PORT))
        except OSError as error:
            raise TransportError(f"no way to {host}: {error.strerror}") from error
        return str(probe.getsockname()[0])


def bind(listen: Listen, kind: socket.SocketKind) -> socket.socket:
    """A socket that does not block, bound; IPv6 sockets take IPv6 only. Raises TransportError with one clear line."""
    family = family_of(listen.host)
    if family is None:
        raise TransportError(f"cannot listen on {listen}: {listen.host!r} is not an IP address of this machine")
    try:
        bound = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise NoSuchFamily(f"cannot listen on {listen}: {error.strerror}") from error
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            # Connections of the last run may linger; somebody who listens is refused all the same.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((listen.host, listen.port))
        if kind == socket.SOCK_STREAM:
            bound.listen(1024)
    except OSError as error:
        bound.close()
        raise _explained(listen, error) from error
    return bound


def _explained(listen: Listen, error: OSError) -> TransportError:
    where = f"cannot listen on {listen}"
    flag = "-lunp" if listen.transport == "udp" else "-ltnp"
    match error.errno:
        case errno.EADDRINUSE:
            return PortInUse(
                f"{where}: the port is in use. Stop the other program ('ss {flag} sport = :{listen.port}' names it), "
                "or choose another port under sip: listen"
            )
        case errno.EACCES | errno.EPERM:
            return TransportError(f"{where}: not allowed. Ports below 1024 need privileges; choose a higher one")
        case number if number in NO_SUCH_FAMILY and listen.host in WILDCARDS.values():
            return NoSuchFamily(f"{where}: this machine has no such addresses")
        case errno.EADDRNOTAVAIL:
            return TransportError(f"{where}: this machine does not have that address ('ip address' lists what it has)")
        case _:
            return TransportError(f"{where}: {error.strerror}")
