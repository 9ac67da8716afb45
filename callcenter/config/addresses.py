"""Addresses, hosts and networks, as they are written."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from callcenter.config.problems import Code
from callcenter.config.shape import as_list, mistake, tell
from callcenter.sip.flow import Address


def check_address(value: str) -> str:
    """An address of this machine, an IPv6 one without brackets. Raises a mistake."""
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        hint = 'write an address of this machine, 0.0.0.0 for all of IPv4, "::" for all of IPv6'
        raise mistake(Code.FORM, f"`{value}` is not an IP address", hint) from None


def check_host(value: str) -> str:
    """An address or the name of a host. Raises a mistake."""
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        if not re.fullmatch(
            r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
            r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*",
            value,
        ):
            scheme = re.match(r"sips?:", value, re.IGNORECASE)
            raise mistake(
                Code.FORM,
                f"`{value}` is neither an address nor a host name",
                f"write it without `{scheme[0]}`" if scheme else "write e.g. 203.0.113.7 or pbx.example.org",
            ) from None
        return value


def _version(host: str) -> int:
    """4 or 6 for an address, 0 for a name."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return 0


def _one_of_each_family(hosts: tuple[str, ...]) -> tuple[str, ...]:
    kinds = [{4: "IPv4 addresses", 6: "IPv6 addresses"}.get(_version(host), "names") for host in hosts]
    for at, named in enumerate(kinds):
        if named in kinds[:at]:
            raise mistake(Code.FORM, f"there are two {named}", "write one of each family at most, or one name for both")
    return hosts


def outside_address(value: Any) -> Address:
    """``host`` or ``host:port``, an IPv6 address before a port in brackets; port 0 where none is written."""
    text = str(value)
    # An IPv6 address without brackets has no port: its last part would be mistaken for one.
    host, colon, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "0")
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not bool(colon) <= int(port) < 65536:
        hint = "write e.g. 203.0.113.7:5070 or [2001:db8::7]:5070"
        raise mistake(Code.FORM, f"`{value}` is not an address with a port", hint)
    return Address(check_host(host), int(port))


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        pass
    try:
        better = f"write it as {ipaddress.ip_network(value, strict=False)}"
    except ValueError:
        better = 'write an address or a network, e.g. 203.0.113.7, 10.0.0.0/8 or "2001:db8::/32"'
    raise mistake(Code.FORM, f"`{value}` is neither an address nor a network", better)


tell(outside_address, lambda _: {"type": "string"})

Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(lambda value: _network(str(value)))]
Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(check_host)], ...],
    BeforeValidator(as_list),
    AfterValidator(_one_of_each_family),
]
