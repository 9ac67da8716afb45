"""What is shown of a message: all but its secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.sip.masking import masked

REGISTER = (
    b"REGISTER sip:h SIP/2.0\r\n"
    b'Authorization: Digest username="ana", realm="callcenter", nonce="n", uri="sip:h",'
    b' response="0123456789abcdef", cnonce="s3cret", nc=00000001, qop=auth\r\n'
    b"To: <sip:ana:hunter2@h>\r\nContent-Length: 0\r\n\r\n"
)


def test_what_an_authorization_proves_is_stars_and_who_proved_it_is_not() -> None:
    shown = masked(REGISTER)
    for secret in (b"0123456789abcdef", b"s3cret", b"hunter2"):
        assert secret not in shown
    for kept in (b'username="ana"', b'realm="callcenter"', b"nc=00000001", b"Content-Length: 0"):
        assert kept in shown


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Basic YW5hOnNlc2FtZQ==",
        b'proxy-authorization:Digest response=YW5hOnNlc2FtZQ==,username="ana"',
        b'Authorization: Digest username="ana",\r\n response="YW5hOnNlc2FtZQ=="',
        b'Authentication-Info: rspauth="YW5hOnNlc2FtZQ=="',
    ],
)
def test_proofs_are_found_in_every_form(line: bytes) -> None:
    assert b"YW5hOnNlc2FtZQ==" not in masked(b"INVITE sip:h SIP/2.0\r\n" + line + b"\r\n\r\n")


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n", b"\r\n" * 5])
def test_empty_lines_before_a_message_uncover_nothing(before: bytes) -> None:
    """They are skipped by whoever reads it (RFC 3261 7.5), and look like the end of its headers."""
    shown = masked(before + REGISTER)
    assert b"0123456789abcdef" not in shown
    assert shown == before + masked(REGISTER)
    info = b"INFO sip:h SIP/2.0\r\nContent-Type: application/dtmf\r\n\r\n5"
    assert masked(before + info).endswith(b"\r\n\r\n***")


@pytest.mark.parametrize(
    "message",
    [
        b"REGISTER sip:h SIP/2.0\nAuthorization: Digest response=s3cret\n\n",
        b'REGISTER sip:h SIP/2.0\r\nAuthorization : Digest response="s3cret"\r\n\r\n',
        b"INFO sip:h SIP/2.0\r\nContent-Type:\r\n application/dtmf-relay\r\n\r\nSignal=s3cret",
        b"INFO sip:h SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nDuration=9\rSignal=s3cret",
        b"INFO sip:h SIP/2.0\r\nContent-Type: APPLICATION/DTMF;x=y\r\n\r\nSignal=s3cret",
        b"INFO sip:h SIP/2.0\r\nContent-Type: application/dtmf\r\n\r\n\r\ns3cret",
        b"REFER sip:h SIP/2.0\r\nRefer-To: <sip:x@h?Authorization=Digest%20response%3Ds3cret>\r\n\r\n",
        b"INVITE sip:h SIP/2.0\r\n\r\na=k:inline:s3cret\r\n",
        b"INVITE sip:h SIP/2.0\r\n\r\nk=base64:s3cret\r\n",
        b"INVITE sip:h SIP/2.0\r\n\r\na=key-mgmt:mikey s3cret\r\n",
    ],
)
def test_no_odd_way_to_write_it_uncovers_a_secret(message: bytes) -> None:
    assert b"s3cret" not in masked(message)


def test_the_keys_of_srtp_are_hidden_and_wireshark_still_reads_the_description() -> None:
    body = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0a2V5|2^20|1:4 KDR=1\r\na=crypto:2 X inline:YWJj;x\r\n"
    shown = masked(b"INVITE sip:h SIP/2.0\r\n\r\n" + body)
    assert b"c2VjcmV0a2V5" not in shown
    assert b"YWJj" not in shown
    assert b"inline:xxxxxxxxxxxx|2^20|1:4 KDR=1" in shown
    assert shown.endswith(b"inline:xxxx;x\r\n")


def test_keys_that_a_caller_presses_are_stars() -> None:
    relay = b"INFO sip:h SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\nDuration=160\r\n"
    assert masked(relay).endswith(b"Signal=***\r\nDuration=160\r\n")
    assert masked(b"INFO sip:h SIP/2.0\r\nc:application/dtmf\r\n\r\n5").endswith(b"\r\n\r\n***")


def test_a_message_without_secrets_is_shown_as_it_is() -> None:
    message = b"INVITE sip:h SIP/2.0\r\nSubject: response=42\r\n\r\nv=0\r\nm=audio 4000 RTP/AVP 0\r\n"
    assert masked(message) == message


@given(st.binary(max_size=300))
def test_no_octets_make_it_fail(data: bytes) -> None:
    masked(data)
