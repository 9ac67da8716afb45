"""Hypothesis strategies for what SIP messages are made of."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from callcenter.sip.headers import CSeq, Headers, NameAddr, Via, param_value
from callcenter.sip.message import Request, Response
from callcenter.sip.uri import Params, Uri

TOKEN_CHARS = string.ascii_letters + string.digits + "-.!%*_+`'~"

tokens = st.text(TOKEN_CHARS, min_size=1, max_size=12)
hosts = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
ports = st.none() | st.integers(0, 65535)
# Nothing that cannot be sent at all (surrogates), nothing that ends a line.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)
printable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), max_size=20)

uri_params = st.lists(
    st.tuples(st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=8), st.none() | tokens),
    max_size=4,
).map(tuple)
sip_uris = st.builds(
    Uri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=st.none() | texts.filter(bool),
    host=hosts,
    port=ports,
    params=uri_params,
)
tel_uris = st.builds(
    Uri,
    scheme=st.just("tel"),
    user=st.from_regex(r"\+?[0-9*#().-]{1,15}", fullmatch=True),
    params=uri_params,
)
other_uris = st.builds(
    Uri,
    scheme=st.sampled_from(["http", "isbn", "soap.beep", "urn"]),
    opaque=st.text(string.ascii_letters + string.digits + ":/?=@;,%", min_size=1, max_size=20),
)
uris = st.one_of(sip_uris, tel_uris, other_uris)


@st.composite
def header_params(draw: st.DrawFn) -> Params:
    """Parameters with their values as they are written: nothing, a token, or a quoted string."""
    names = draw(st.lists(tokens, max_size=4))
    return tuple((name, draw(st.none() | texts.map(param_value))) for name in names)


name_addrs = st.builds(NameAddr, uri=uris, display=texts, params=header_params())
vias = st.builds(
    Via, transport=st.sampled_from(["UDP", "TCP", "TLS", "WSS"]), host=hosts, port=ports, params=header_params()
)
values = texts.map(lambda text: text.strip(" \t"))
methods = st.sampled_from(["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO"]) | tokens.filter(
    lambda token: not token.upper().startswith("SIP/")
)


@st.composite
def header_lines(draw: st.DrawFn, method: str) -> Headers:
    """The headers that every message has, in any order, and some that it may have."""
    lines = [
        *(("Via", str(via)) for via in draw(st.lists(vias, min_size=1, max_size=3))),
        ("From", str(draw(name_addrs))),
        ("t", str(draw(name_addrs))),
        ("Call-ID", draw(st.text(TOKEN_CHARS + "@<>[]{}", min_size=1, max_size=20))),
        ("CSeq", str(CSeq(draw(st.integers(0, 2**31 - 1)), method))),
        ("Max-Forwards", str(draw(st.integers(0, 255)))),
        ("m", ", ".join(map(str, draw(st.lists(name_addrs, min_size=1, max_size=3))))),
        *(("Route", str(route)) for route in draw(st.lists(name_addrs, max_size=2))),
        *draw(st.lists(st.tuples(tokens.map(lambda token: "X-" + token), values), max_size=4)),
    ]
    return Headers(draw(st.permutations(lines)))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A whole request."""
    method = draw(methods)
    return Request(method, draw(uris), draw(header_lines(method)), draw(st.binary(max_size=60)))


@st.composite
def responses(draw: st.DrawFn) -> Response:
    """A whole response."""
    return Response(
        draw(st.integers(100, 699)), draw(texts), draw(header_lines(draw(methods))), draw(st.binary(max_size=60))
    )


messages = requests() | responses()
