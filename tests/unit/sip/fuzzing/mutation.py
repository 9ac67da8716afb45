"""Real messages made wrong, by chance from one seed: most changes keep what a reader looks for and spoil one thing."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.unit.sip import torture, torture_ipv6
from tests.unit.sip.lossy import ANSWER, HOLD, OFFER

METHODS = (
    *(b"INVITE", b"ACK", b"BYE", b"CANCEL", b"OPTIONS", b"REGISTER", b"INFO", b"PRACK", b"UPDATE", b"REFER", b"NOTIFY"),
    *(b"SUBSCRIBE", b"MESSAGE", b"PUBLISH", b"invite", b"X", b"!#%"),
)
STATUSES = (100, 180, 183, 199, 200, 202, 204, 300, 302, 400, 401, 407, 408, 481, 482, 487, 488, 491, 500, 503, 603)
NUMBERS = (
    *(b"0", b"00", b"1", b"-1", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967296"),
    *(b"9" * 20, b"1.5", b"0x10", b"+1", " ¹".encode(), b""),
)
# What a value may be by mistake, by age, or by malice.
VALUES = (
    *(b"", b" ", b"\t", b",", b",,", b";", b";;", b";=", b"=", b'"', b'""', b'"\\', b"<", b">", b"<>", b"*", b"*, *"),
    *(b"%00", b"%", b"%zz", b"\x00", b"\x7f", b"\xff\xfe", b"\xc3\xa9", b"\xe9", b"\r", b"\n", b"\r\n ", b"\r\n\t"),
    *(b"sip:", b"sip:@", b"sip:a@b:99999", b"sips:a@[::1]", b"sip:[::1", b"sip:[1:2]", b"tel:+1;x=y", b"tel:", b"x:y"),
    *(b"<sip:a@b>;tag=1", b'"A" <sip:a@b;lr>', b"<sip:a@b?x=y>", b"sip:a@b;tag=1;tag=2", b"a <sip:b>, <sip:c>"),
    *(b"SIP/2.0/UDP a;branch=z9hG4bK1", b"SIP/2.0/UDP [::1]:5060;rport;received=::1", b"SIP/3.0/X a", b"SIP/2.0"),
    *(b"1 INVITE", b"2 BYE", b"application/sdp", b"multipart/mixed;boundary=x", b"100rel", b"a, b;c=d", b"gzip"),
    *(b"x" * 300, b"," * 300, b";a" * 100, b"<" * 100, b'"' * 99, b"a," * 300, b"(" * 50),
)
HEADERS = (
    *(b"Via", b"v", b"From", b"f", b"To", b"t", b"Call-ID", b"i", b"CSeq", b"Contact", b"m", b"Max-Forwards", b"Route"),
    *(b"Record-Route", b"Content-Length", b"l", b"Content-Type", b"c", b"Content-Encoding", b"Content-Disposition"),
    *(b"Require", b"Supported", b"Expires", b"Accept", b"Reason", b"Path", b"Authorization", b"Timestamp", b"Date"),
    *(b"RSeq", b"RAck", b"Session-Expires", b"Min-SE", b"Refer-To", b"Replaces", b"Event", b"Subscription-State"),
    *(b"P-Asserted-Identity", b"Privacy", b"History-Info", b"Diversion", b"X-Any", b""),
)

_REGISTER = """
REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKreg1;rport
Path: <sip:edge.example.com;lr>, <sip:10.0.0.1;lr;ob>
Max-Forwards: 70
From: "Ana" <sip:ana@example.com>;tag=reg
To: <sip:ana@example.com>
Call-ID: reg@192.0.2.7
CSeq: 2 REGISTER
Contact: <sip:ana@192.0.2.7:5060;transport=udp>;q=0.7;expires=600, "Desk" <sip:ana@desk.example.com>;expires=60
Expires: 300
Supported: path, outbound
"""
_DIGEST = (
    'Authorization: Digest username="ana", realm="example.com", nonce="dcd98b7102dd", uri="sip:example.com", qop=auth, '
    'nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c", algorithm={}\n'
)

ORDINARY: tuple[bytes, ...] = (
    torture.crlf(_REGISTER + _DIGEST.format("MD5") + "Content-Length: 0\n\n"),
    torture.crlf(_REGISTER + _DIGEST.format("SHA-256") + "Content-Length: 0\n\n"),
    torture.crlf(_REGISTER.partition("Contact")[0] + "Contact: *\nExpires: 0\nContent-Length: 0\n\n"),
    torture.crlf(
        """
INVITE sip:1000@192.0.2.1 SIP/2.0
Via: SIP/2.0/TLS edge.example.com:5061;branch=z9hG4bKedge;i=1,
 SIP/2.0/UDP 10.0.0.5:5062;received=192.0.2.8;rport=5062;branch=z9hG4bKb
Record-Route: <sip:edge.example.com;lr;transport=tls>, <sip:inner.example.com;lr>
Max-Forwards: 69
From: "Bob \\"B\\"" <sip:+14155550100@example.net;user=phone>;tag=inv
To: <sip:1000@192.0.2.1>
Call-ID: inv@10.0.0.5
CSeq: 1 INVITE
Contact: <sip:bob@10.0.0.5:5062;transport=tcp>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"
Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, REFER, NOTIFY, INFO, OPTIONS
Supported: 100rel, timer, replaces, path
Session-Expires: 1800;refresher=uac
Min-SE: 90
P-Asserted-Identity: "Bob" <sip:+14155550100@example.net>, <tel:+14155550100>
Privacy: none
Diversion: <sip:+14155550111@example.net>;reason=no-answer;counter=1
History-Info: <sip:a@b?Reason=SIP%3Bcause%3D302>;index=1, <sip:c@d>;index=1.1
Content-Type: multipart/mixed;boundary="x y"
Content-Length: 229

--x y
Content-Type: application/sdp

v=0
o=- 1 1 IN IP4 10.0.0.5
s=-
c=IN IP4 10.0.0.5
t=0 0
m=audio 4000 RTP/AVP 0 101
a=rtpmap:101 telephone-event/8000
--x y
Content-Type: application/isup;version=1

abc
--x y--
"""
    ),
    torture.crlf(
        """
REFER sip:1000@192.0.2.1 SIP/2.0
Via: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKrefer
Max-Forwards: 70
From: <sip:ana@example.com>;tag=a
To: <sip:1000@192.0.2.1>;tag=b
Call-ID: refer@192.0.2.7
CSeq: 7 REFER
Contact: <sip:ana@192.0.2.7>
Refer-To: <sip:bob@example.com?Replaces=abc%40192.0.2.7%3Bto-tag%3D1%3Bfrom-tag%3D2>
Referred-By: <sip:ana@example.com>;cid="2@x"
Content-Length: 0

"""
    ),
    torture.crlf(
        """
PRACK sip:1000@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKprack
Max-Forwards: 70
From: <sip:ana@example.com>;tag=a
To: <sip:1000@192.0.2.1>;tag=b
Call-ID: refer@192.0.2.7
CSeq: 8 PRACK
RAck: 776656 1 INVITE
Content-Length: 0

"""
    ),
    torture.crlf(
        """
NOTIFY sip:1000@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKnotify
Max-Forwards: 70
From: <sip:ana@example.com>;tag=a
To: <sip:1000@192.0.2.1>;tag=b
Call-ID: refer@192.0.2.7
CSeq: 9 NOTIFY
Event: refer;id=7
Subscription-State: active;expires=60
Content-Type: message/sipfrag;version=2.0
Content-Length: 20

SIP/2.0 100 Trying
"""
    ),
    torture.crlf(
        """
SIP/2.0 401 Unauthorized
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours;rport=5060;received=192.0.2.1
From: <sip:here@192.0.2.1>;tag=a
To: <sip:trunk@example.com>;tag=b
Call-ID: ours@192.0.2.1
CSeq: 1 INVITE
WWW-Authenticate: Digest realm="example.com", nonce="n", algorithm=SHA-256, qop="auth,auth-int", opaque="o"
WWW-Authenticate: Digest realm="example.com", nonce="n", algorithm=MD5, qop="auth"
Warning: 399 example.com "Any, \\"quoted\\" text"
Retry-After: 5 (I am busy);duration=3600
Content-Length: 0

"""
    ),
)
"""What phones and trunks send every day, with what RFC 4475 leaves out."""

SIP_CORPUS: tuple[bytes, ...] = (
    *ORDINARY,
    *ORDINARY,
    *torture.VALID.values(),
    *(data for data, _, _ in torture.INVALID.values()),
    *torture.BY_RULE.values(),
    *torture_ipv6.VALID.values(),
    torture_ipv6.IPV6_BAD,
)

SDP_CORPUS: tuple[bytes, ...] = (
    OFFER,
    ANSWER,
    HOLD,
    *(data.partition(b"\r\n\r\n")[2] for data in SIP_CORPUS if b"\r\n\r\nv=0" in data),
    torture.crlf(
        "v=0\no=- 3 4 IN IP6 ::1\ns=-\nc=IN IP6 ::1\nb=AS:64\nt=0 0\na=sendonly\nm=audio 40000 RTP/AVP 8 0 9 18 101\n"
        "a=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000/1\na=rtpmap:9 G722/8000\na=rtpmap:18 G729/8000\n"
        "a=fmtp:18 annexb=no\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\na=maxptime:40\n"
        "a=rtcp:40003 IN IP6 ::1\na=sendrecv\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        "m=audio 40004/2 RTP/SAVP 0\ni=second\nc=IN IP4 224.2.1.1/127\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n"
    ),
)


class Mutator:
    """Makes messages wrong. Two with the same ``Random`` make the same."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def message(self, corpus: tuple[bytes, ...] = SIP_CORPUS) -> bytes:
        """A message of the corpus, one to four times spoilt."""
        data = self.random.choice(corpus)
        for _ in range(self.random.choice((1, 1, 1, 2, 2, 3, 4))):
            data = self.spoil(data, corpus)
        return data

    def spoil(self, data: bytes, corpus: tuple[bytes, ...] = SIP_CORPUS) -> bytes:
        """The message with one thing changed."""
        change: Callable[[bytes], bytes] = self.random.choice(
            (
                *(self._octets, self._number, self._insert, self._line_gone, self._line_again, self._lines_swapped),
                *(self._value, self._value, self._part_of_value, self._method, self._status, self._cut, self._folded),
                *(self._many, self._parameter, self._parameter, lambda told: self._spliced(told, corpus)),
            )
        )
        return change(data)[:70_000]

    # -- octets ------------------------------------------------------------------------------------------------------

    def _at(self, data: bytes) -> int:
        return self.random.randrange(len(data) + 1)

    def _octets(self, data: bytes) -> bytes:
        out = bytearray(data)
        for _ in range(self.random.choice((1, 1, 2, 5))):
            if out:
                out[self.random.randrange(len(out))] = self.random.choice((*b'\r\n ;,:<>"@=\\%\x00[]', self._octet()))
        return bytes(out)

    def _octet(self) -> int:
        return self.random.randrange(256)

    def _insert(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self.random.choice(VALUES) + data[at:]

    def _cut(self, data: bytes) -> bytes:
        begin, end = sorted((self._at(data), self._at(data)))
        return self.random.choice((data[:begin], data[:begin] + data[end:], data[begin:end], data[end:]))

    def _spliced(self, data: bytes, corpus: tuple[bytes, ...]) -> bytes:
        other = self.random.choice(corpus)
        return data[: self._at(data)] + other[self._at(other) :]

    def _number(self, data: bytes) -> bytes:
        """One of the numbers, whosever it is, becomes another one."""
        spans, begin = [], -1
        for at, octet in enumerate(data + b"x"):
            if 48 <= octet <= 57:
                begin = at if begin < 0 else begin
            elif begin >= 0:
                spans.append((begin, at))
                begin = -1
        if not spans:
            return data
        begin, end = self.random.choice(spans)
        return data[:begin] + self.random.choice(NUMBERS) + data[end:]

    # -- lines -------------------------------------------------------------------------------------------------------

    def _lines(self, data: bytes) -> tuple[list[bytes], bytes]:
        head, gap, body = data.partition(b"\r\n\r\n")
        return head.split(b"\r\n"), gap + body

    def _joined(self, lines: list[bytes], rest: bytes) -> bytes:
        return b"\r\n".join(lines) + rest

    def _line_gone(self, data: bytes) -> bytes:
        lines, rest = self._lines(data)
        del lines[self.random.randrange(len(lines))]
        return self._joined(lines, rest)

    def _line_again(self, data: bytes) -> bytes:
        lines, rest = self._lines(data)
        lines.insert(self.random.randrange(len(lines) + 1), self.random.choice(lines))
        return self._joined(lines, rest)

    def _lines_swapped(self, data: bytes) -> bytes:
        lines, rest = self._lines(data)
        self.random.shuffle(lines) if self.random.random() < 0.2 else None
        one, other = self.random.randrange(len(lines)), self.random.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
        return self._joined(lines, rest)

    def _many(self, data: bytes) -> bytes:
        lines, rest = self._lines(data)
        lines += [self.random.choice(lines[1:] or lines)] * self.random.choice((2, 10, 100, 300))
        return self._joined(lines, rest)

    def _folded(self, data: bytes) -> bytes:
        lines, rest = self._lines(data)
        nth = self.random.randrange(len(lines))
        lines[nth] = lines[nth].replace(b" ", self.random.choice((b"\r\n ", b"\t", b"  ", b"\r\n\t ", b"")), 2)
        return self._joined(lines, rest)

    # -- values ------------------------------------------------------------------------------------------------------

    def _value(self, data: bytes) -> bytes:
        """A header gets a value that it does not deserve, or another header has it."""
        lines, rest = self._lines(data)
        nth = self.random.randrange(len(lines))
        name, colon, value = lines[nth].partition(b":")
        match self.random.randrange(4):
            case 0:
                name = self.random.choice(HEADERS)
            case 1:
                value = self.random.choice(self._values(lines) or [b""])
            case 2:
                value += self.random.choice((b",", b";", b" ", b"")) + self.random.choice(VALUES)
            case _:
                value = b" " + self.random.choice(VALUES)
        lines[nth] = name + (colon or b":") + value
        return self._joined(lines, rest)

    def _values(self, lines: list[bytes]) -> list[bytes]:
        return [line.partition(b":")[2] for line in lines[1:]]

    def _part_of_value(self, data: bytes) -> bytes:
        """What stands between two marks becomes something else, or is gone."""
        marks = [at for at, octet in enumerate(data) if octet in b';,<>"@=:/ \r']
        if len(marks) < 2:
            return data
        nth = self.random.randrange(len(marks) - 1)
        return data[: marks[nth] + 1] + self.random.choice((b"", *VALUES)) + data[marks[nth + 1] :]

    def _parameter(self, data: bytes) -> bytes:
        """Tags, branches and their like: lost, doubled, or another's."""
        name = self.random.choice(
            (b";tag=", b";branch=", b";rport", b";received=", b";lr", b";q=", b";expires=", b"a=")
        )
        ats = [at for at in range(len(data)) if data.startswith(name, at)]
        if not ats:
            return data
        at = self.random.choice(ats)
        end = next((end for end in range(at + 1, len(data)) if data[end] in b";,>\r"), len(data))
        other = self.random.choice(ats)
        until = next((end for end in range(other + 1, len(data)) if data[end] in b";,>\r"), len(data))
        became = self.random.choice((b"", data[at:end] * 2, data[other:until], name, name + self.random.choice(VALUES)))
        return data[:at] + became + data[end:]

    def _method(self, data: bytes) -> bytes:
        """Another method: in the start line, in the CSeq, or in both as it should be."""
        lines, rest = self._lines(data)
        method, which = self.random.choice(METHODS), self.random.randrange(3)
        if which != 1 and not lines[0].startswith(b"SIP/"):
            lines[0] = method + b" " + lines[0].partition(b" ")[2]
        if which != 0:
            lines = [
                line.rpartition(b" ")[0] + b" " + method if line[:5].lower() == b"cseq:" else line for line in lines
            ]
        return self._joined(lines, rest)

    def _status(self, data: bytes) -> bytes:
        """Another status; a request becomes its own answer."""
        lines, rest = self._lines(data)
        lines[0] = b"SIP/2.0 %d Any" % self.random.choice(STATUSES)
        return self._joined(lines, rest)
