"""Origins: addresses of pages, as the configuration writes them."""

from __future__ import annotations

from urllib.parse import urlsplit

from callcenter.config.problems import Code
from callcenter.config.shape import mistake, tell


def web_address(value: str) -> str:
    """A URL of http or https without query and user. Raises ValueError."""
    parts = urlsplit(value)
    right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    if not right or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(value)
    return value.rstrip("/")


def origin(value: str) -> str:
    """Scheme, host and perhaps a port of a page, in lower case. Raises a mistake."""
    if value == "*":
        hint = "write each origin whose pages may ask, e.g. https://crm.example.com"
        raise mistake(Code.FORM, "`*` would let every page in the world ask", hint)
    try:
        address = web_address(value)
        if urlsplit(address).path:
            raise ValueError(value)
    except ValueError:
        hint = "write scheme, host and perhaps a port, and no path: https://crm.example.com"
        raise mistake(Code.FORM, f"`{value}` is not an origin (RFC 6454)", hint) from None
    return address.lower()


tell(origin, lambda inner: {**inner, "pattern": "^https?://[^/]+/?$"})
