"""The 12 test messages of RFC 5118 (IPv6), written out from it by its names; see torture.py for RFC 4475.

Of the three bodies the RFC prints lengths that are not theirs (268, 181 and 236): here they are counted.
"""

from __future__ import annotations

from tests.unit.sip.torture import crlf


def _register(uri: str) -> bytes:
    """The REGISTER of sections 4.1 to 4.4, which differ in nothing but where it goes."""
    return crlf(
        f"REGISTER {uri} SIP/2.0\n"
        "To: sip:user@example.com\n"
        "From: sip:user@example.com;tag=81x2\n"
        "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111\n"
        "Call-ID: SSG9559905523997077@hlau_4100\n"
        "Max-Forwards: 70\n"
        'Contact: "Caller" <sip:caller@[2001:db8::1]>\n'
        "CSeq: 98176 REGISTER\n"
        "Content-Length: 0\n\n"
    )


def _options(host: str) -> bytes:
    """The OPTIONS of section 4.10, with one colon too many and without."""
    return crlf(
        f"OPTIONS sip:user@[{host}] SIP/2.0\n"
        f"To: sip:user@[{host}]\n"
        "From: sip:user@example.com;tag=810x2\n"
        "Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111\n"
        "Call-ID: G9559905523997077@hlau_4100\n"
        "CSeq: 689 OPTIONS\n"
        "Max-Forwards: 70\n"
        "Content-Length: 0\n\n"
    )


def _assistant_sdp(host: str, subject: str) -> bytes:
    return crlf(
        f"v=0\no=assistant 971731711378798081 0 IN IP6 {host}\ns={subject}\nc=IN IP6 {host}\n"
        "t=3338481189 3370017201\nm=audio 6000 RTP/AVP 2\na=rtpmap:2 G726-32/8000\n"
        "m=video 6024 RTP/AVP 107\na=rtpmap:107 H263-1998/90000\n"
    )


IPV6_GOOD = _register("sip:[2001:db8::10]")
IPV6_BAD = _register("sip:2001:db8::10")
PORT_AMBIGUOUS = _register("sip:[2001:db8::10:5070]")
PORT_UNAMBIGUOUS = _register("sip:[2001:db8::10]:5070")

VIA_RECEIVED_PARAM_WITH_DELIM = crlf(
    """
BYE sip:[2001:db8::10] SIP/2.0
To: sip:user@example.com;tag=bd76ya
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Max-Forwards: 70
CSeq: 321 BYE
Content-Length: 0

"""
)

VIA_RECEIVED_PARAM_NO_DELIM = crlf(
    """
OPTIONS sip:[2001:db8::10] SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3
Call-ID: SSG95523997077@hlau_4100
Max-Forwards: 70
Contact: "Caller" <sip:caller@[2001:db8::9:1]>
CSeq: 921 OPTIONS
Content-Length: 0

"""
)

IPV6_IN_SDP = crlf(
    """
INVITE sip:user@[2001:db8::10] SIP/2.0
To: sip:user@[2001:db8::10]
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Contact: "Caller" <sip:caller@[2001:db8::20]>
CSeq: 8612 INVITE
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: 251

""",
    _assistant_sdp("2001:db8::20", "Live video feed for today's meeting"),
)

MULT_IP_IN_HEADER = crlf(
    """
BYE sip:user@host.example.net SIP/2.0
Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144
Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200
Call-ID: 997077@lau_4100
Max-Forwards: 70
CSeq: 89187 BYE
To: sip:user@example.net;tag=9817--94
From: sip:user@example.com;tag=81x2
Content-Length: 0

"""
)

MULT_IP_IN_SDP = crlf(
    """
INVITE sip:user@[2001:db8::10] SIP/2.0
To: sip:user@[2001:db8::10]
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Contact: "Caller" <sip:caller@[2001:db8::9:1]>
Max-Forwards: 70
CSeq: 8912 INVITE
Content-Type: application/sdp
Content-Length: 189

""",
    crlf(
        "v=0\no=bob 280744730 28977631 IN IP4 host.example.com\ns=\nt=0 0\nm=audio 22334 RTP/AVP 0\n"
        "c=IN IP4 192.0.2.1\nm=video 6024 RTP/AVP 107\nc=IN IP6 2001:db8::1\na=rtpmap:107 H263-1998/90000\n"
    ),
)

IPV4_MAPPED_IPV6 = crlf(
    """
INVITE sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:user@east.example.com;tag=81x2
Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19
Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Contact: "T. desk phone" <sip:ted@[::ffff:192.0.2.2]>
CSeq: 612 INVITE
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: 245

""",
    _assistant_sdp("::ffff:192.0.2.2", "Call me soon, please!"),
)

IPV6_BUG_ABNF_3_COLONS = _options("2001:db8:::192.0.2.1")
IPV6_CORRECT_ABNF_2_COLONS = _options("2001:db8::192.0.2.1")

VALID = {
    "ipv6-good": IPV6_GOOD,
    "port-ambiguous": PORT_AMBIGUOUS,
    "port-unambiguous": PORT_UNAMBIGUOUS,
    "via-received-param-with-delim": VIA_RECEIVED_PARAM_WITH_DELIM,
    "via-received-param-no-delim": VIA_RECEIVED_PARAM_NO_DELIM,
    "ipv6-in-sdp": IPV6_IN_SDP,
    "mult-ip-in-header": MULT_IP_IN_HEADER,
    "mult-ip-in-sdp": MULT_IP_IN_SDP,
    "ipv4-mapped-ipv6": IPV4_MAPPED_IPV6,
    "ipv6-bug-abnf-3-colons": IPV6_BUG_ABNF_3_COLONS,
    "ipv6-correct-abnf-2-colons": IPV6_CORRECT_ABNF_2_COLONS,
}
"""What is read, if by tolerance in two cases; ``ipv6-bad`` alone is not."""

PRINTED_LENGTHS = {"ipv6-in-sdp": (251, 268), "mult-ip-in-sdp": (189, 181), "ipv4-mapped-ipv6": (245, 236)}
"""The lengths of the bodies, counted, and as the RFC prints them."""
