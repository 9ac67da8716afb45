"""SRTP in session descriptions: crypto lines (RFC 4568, 7714), and what offer and answer make of them (RFC 8643)."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.sip.crypto import OFFERED, Crypto, Keys, Security, Suite
from callcenter.sip.errors import SdpError, SdpNotAcceptable
from callcenter.sip.sdp import (
    PCMA,
    PCMU,
    Negotiated,
    SessionDescription,
    insisting_on_srtp,
    make_offer,
    negotiate,
    read_answer,
    without_keys,
)

HERE = "198.51.100.7"
KEY = bytes(range(30))
INLINE = base64.b64encode(KEY).decode()
OTHER = base64.b64encode(bytes(range(30, 60))).decode()
CM = Suite.AES_CM_128_HMAC_SHA1_80


def security(*, required: bool = False, insists: bool = False) -> Security:
    """Keys that count: the first is 30 times 1."""
    return Security(fresh(), required, insists)


def fresh() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda size: bytes([next(numbers)]) * size


def offer(text: str, version: int = 1) -> SessionDescription:
    head = f"v=0\r\no=- 1 {version} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    return SessionDescription.parse((head + text.replace("\n", "\r\n") + "\r\n").encode())


def answered(
    described: SessionDescription, policy: Security | None = None, previous: SessionDescription | None = None
) -> Negotiated:
    return negotiate(
        described, [PCMU, PCMA], host=HERE, port=40000, session_id=7, previous=previous, security=policy or security()
    )


def crypto_lines(description: SessionDescription) -> list[str]:
    return [line for line in description.to_bytes().decode().splitlines() if line.startswith("a=crypto")]


# The line itself


def test_the_example_of_the_rfc_is_read_but_for_its_key_identifier() -> None:
    """RFC 4568 10 and 6: the same key with a lifetime, then with an MKI, whose packets would be longer."""
    text = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
    read = Crypto.parse(f"1 AES_CM_128_HMAC_SHA1_80 inline:{text}|2^20")
    assert read == Crypto(1, CM, b"YS___semctl () {\t220;}\n}\nunles")
    assert Crypto.parse(f"1 AES_CM_128_HMAC_SHA1_80 inline:{text}|2^20|1:4") is None
    assert Crypto.parse(f"1 AES_CM_128_HMAC_SHA1_80 inline:{text}|1:4") is None


@pytest.mark.parametrize("suite", Suite)
def test_every_suite_is_written_as_it_is_read(suite: Suite) -> None:
    crypto = Crypto(7, suite, bytes(range(suite.key_size)))
    assert Crypto.parse(str(crypto)) == crypto
    assert (Crypto.parse(str(crypto).rstrip("=")) == crypto) is True, "some phones leave the padding out"


@pytest.mark.parametrize(
    "value",
    [
        f"1 {CM} inline:{INLINE}",
        f"0 {CM} inline:{INLINE}",
        f"999999999  {CM}\tinline:{INLINE} ",
        f"1 {CM} inline:{INLINE}|2^48",
        f"1 {CM} inline:{INLINE}|1048576",
        f"1 {CM} inline:{INLINE} WSH=64",
        f"1 {CM} inline:{INLINE} WSH=1024 -FANCY=1",
    ],
)
def test_lines_that_we_speak(value: str) -> None:
    read = Crypto.parse(value)
    assert read is not None
    assert (read.suite, read.key) == (CM, KEY)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        f"x {CM} inline:{INLINE}",
        f"-1 {CM} inline:{INLINE}",
        f"1234567890 {CM} inline:{INLINE}",
        f"1 AES_256_CM_HMAC_SHA1_80 inline:{INLINE}",
        f"1 F8_128_HMAC_SHA1_80 inline:{INLINE}",
        f"1 NULL_HMAC_SHA1_80 inline:{INLINE}",
        f"1 {CM.lower()} inline:{INLINE}",
        f"1 {CM} {INLINE}",
        f"1 {CM} uri:{INLINE}",
        f"1 {CM} inline:",
        f"1 {CM} inline:{INLINE[:-4]}",
        f"1 {CM} inline:{INLINE}AAAA",
        f"1 {CM} inline:{INLINE[:-1]}!",
        f"1 {CM} inline:{INLINE[:-1]}ü",
        f"1 {CM} inline:{INLINE};inline:{OTHER}",
        f"1 {CM} inline:{INLINE}|0",
        f"1 {CM} inline:{INLINE}|2^49",
        f"1 {CM} inline:{INLINE}|2^",
        f"1 {CM} inline:{INLINE}|",
        f"1 {CM} inline:{INLINE}|2^20|2^20",
        f"1 {CM} inline:{INLINE} KDR=1",
        f"1 {CM} inline:{INLINE} UNENCRYPTED_SRTP",
        f"1 {CM} inline:{INLINE} UNENCRYPTED_SRTCP",
        f"1 {CM} inline:{INLINE} UNAUTHENTICATED_SRTP",
        f"1 {CM} inline:{INLINE} FEC_ORDER=FEC_SRTP",
        f"1 {CM} inline:{INLINE} FEC_KEY=inline:{OTHER}",
        f"1 {CM} inline:{INLINE} WSH=32",
        f"1 {CM} inline:{INLINE} -",
        f"1 {CM} inline:{INLINE} WSH=64 SOMETHING",
        f"1 {Suite.AEAD_AES_256_GCM} inline:{INLINE}",
    ],
)
def test_lines_that_we_do_not_speak_are_left_out(value: str) -> None:
    assert Crypto.parse(value) is None


def test_nothing_prints_a_key() -> None:
    result = answered(offer(f"m=audio 5000 RTP/SAVP 0\na=crypto:1 {CM} inline:{INLINE}"))
    ours = make_offer([PCMU], host=HERE, port=40000, session_id=7, security=security())
    shown = f"{result!r} {result} {ours!r} {ours.media[0].cryptos()} {offer(f'a=crypto:1 {CM} inline:{INLINE}')}"
    keys = [result.keys.ours, result.keys.theirs] if result.keys else []
    assert len(keys) == 2
    for key in keys + [crypto.key for crypto in ours.media[0].cryptos()]:
        assert base64.b64encode(key).decode() not in shown
        assert repr(key) not in shown
    assert INLINE not in shown


@given(st.text(max_size=80) | st.from_regex(r"[0-9]{1,3} AES_CM_128_HMAC_SHA1_80 inline:[!-~]{0,60}( [!-~]{1,9})?"))
def test_no_line_whatever_it_says_is_more_than_left_out(value: str) -> None:
    read = Crypto.parse(value)
    assert read is None or Crypto.parse(str(read)) == read


@given(st.integers(0, 999_999_999), st.sampled_from(Suite), st.binary(min_size=44, max_size=44))
def test_whatever_is_written_is_read_again(tag: int, suite: Suite, key: bytes) -> None:
    crypto = Crypto(tag, suite, key[: suite.key_size])
    assert Crypto.parse(str(crypto)) == crypto


# Their offer


@pytest.mark.parametrize("protocol", ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP", "RTP/AVPF", "rtp/savp"])
def test_an_offer_with_keys_is_answered_with_one_line_of_ours(protocol: str) -> None:
    """The first that we speak, with its tag; RTP/AVP with keys comes from phones that can do without (RFC 8643)."""
    result = answered(
        offer(
            f"m=audio 5000 {protocol} 0 8\n"
            f"a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:{INLINE}{OTHER[:22]}\n"
            f"a=crypto:2 {CM} inline:{INLINE}|2^31|1:1\n"
            f"a=crypto:3 {CM} inline:{OTHER}|2^31\n"
            f"a=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:{INLINE}"
        )
    )
    ours = base64.b64encode(b"\x01" * 30).decode()
    assert crypto_lines(result.description) == [f"a=crypto:3 {CM} inline:{ours}"]
    assert result.description.media[0].protocol == protocol
    assert result.keys == Keys(CM, b"\x01" * 30, base64.b64decode(OTHER))


@pytest.mark.parametrize(
    "lines",
    [
        "",
        f"\na=crypto:1 {CM} inline:{INLINE}|1:4",
        f"\na=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:{INLINE}",
        f"\na=crypto:1 {CM} inline:{INLINE} UNENCRYPTED_SRTCP",
        "\na=crypto",
    ],
)
def test_a_secure_line_without_a_key_that_we_take_is_488(lines: str) -> None:
    with pytest.raises(SdpNotAcceptable, match="no key that we take") as refused:
        answered(offer(f"m=audio 5000 RTP/SAVP 0{lines}"))
    assert refused.value.status == 488


def test_keys_are_not_taken_where_others_read_them() -> None:
    """Without TLS: SRTP is refused, and plain RTP answered plainly, keys beside it or not."""
    secure = offer(f"m=audio 5000 RTP/SAVP 0\na=crypto:1 {CM} inline:{INLINE}")
    with pytest.raises(SdpNotAcceptable, match="no keys are taken"):
        negotiate(secure, [PCMU], host=HERE, port=40000, session_id=7)
    plain = offer(f"m=audio 5000 RTP/AVP 0\na=crypto:1 {CM} inline:{INLINE}")
    result = negotiate(plain, [PCMU], host=HERE, port=40000, session_id=7)
    assert result.keys is None
    assert crypto_lines(result.description) == []


def test_a_plain_offer_is_answered_plainly_unless_srtp_is_required() -> None:
    plain = offer("m=audio 5000 RTP/AVP 0")
    assert answered(plain).keys is None
    assert crypto_lines(answered(plain).description) == []
    with pytest.raises(SdpNotAcceptable, match="required"):
        answered(plain, security(required=True))
    unreadable = offer(f"m=audio 5000 RTP/AVP 0\na=crypto:1 {CM} inline:{INLINE}|1:4")
    assert answered(unreadable).keys is None
    with pytest.raises(SdpNotAcceptable, match="required"):
        answered(unreadable, security(required=True))


def test_of_a_secure_and_a_plain_line_the_first_that_can_be_served_is_taken() -> None:
    text = f"m=audio 5000 RTP/SAVP 0\na=crypto:1 {CM} inline:{INLINE}\nm=audio 5002 RTP/AVP 0"
    assert [media.port for media in answered(offer(text)).description.media] == [40000, 0]
    spoilt = text.replace("inline:", "inline:AAAA")
    assert [media.port for media in answered(offer(spoilt)).description.media] == [0, 40000]
    with pytest.raises(SdpNotAcceptable):
        answered(offer(spoilt), security(required=True))


@pytest.mark.parametrize("protocol", ["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", "RTP/SAVPX", "TCP/RTP/SAVP"])
def test_keys_by_other_ways_are_488(protocol: str) -> None:
    with pytest.raises(SdpNotAcceptable):
        answered(offer(f"m=audio 5000 {protocol} 0\na=crypto:1 {CM} inline:{INLINE}"))


def test_every_line_of_an_offer_is_answered_in_its_place() -> None:
    """Video, faxes, files and second voices are refused with port 0, their formats repeated, no key given away."""
    result = answered(
        offer(
            f"m=video 5010 RTP/SAVP 96\na=crypto:1 {CM} inline:{INLINE}\n"
            f"m=audio 5000 RTP/SAVP 8\na=crypto:1 {CM} inline:{INLINE}\n"
            f"m=audio 5004 RTP/SAVP 0\na=crypto:1 {CM} inline:{INLINE}\n"
            "m=image 5006 udptl t38\nm=application 5008 UDP/TLS/UDT/IX *\nm=hologram 5012 QUIC 1 2 3"
        )
    )
    lines = [line for line in result.description.to_bytes().decode().splitlines() if line[:2] in ("m=", "a=")]
    assert [line for line in lines if line.startswith(("m=", "a=crypto"))] == [
        "m=video 0 RTP/SAVP 96",
        "m=audio 40000 RTP/SAVP 8",
        f"a=crypto:1 {CM} inline:{base64.b64encode(bytes([1]) * 30).decode()}",
        "m=audio 0 RTP/SAVP 0",
        "m=image 0 udptl t38",
        "m=application 0 UDP/TLS/UDT/IX *",
        "m=hologram 0 QUIC 1 2 3",
    ]


# Our offer


def test_our_offer_can_be_taken_with_srtp_or_without() -> None:
    ours = make_offer([PCMU], host=HERE, port=40000, session_id=7, security=security())
    assert ours.media[0].protocol == "RTP/AVP"
    assert [(crypto.tag, crypto.suite) for crypto in ours.media[0].cryptos()] == list(enumerate(OFFERED, 1))
    assert len({crypto.key for crypto in ours.media[0].cryptos()}) == len(OFFERED), "a key for each suite"
    plain = read_answer(ours, offer("m=audio 5000 RTP/AVP 0"))
    assert plain.keys is None
    gcm = base64.b64encode(bytes(44)).decode()
    for protocol in ("RTP/AVP", "RTP/SAVP"):
        secure = read_answer(ours, offer(f"m=audio 5000 {protocol} 0\na=crypto:2 AEAD_AES_256_GCM inline:{gcm}"))
        assert secure.keys == Keys(Suite.AEAD_AES_256_GCM, b"\x02" * 44, bytes(44))
        assert secure.description.media[0].protocol == protocol


def test_a_phone_that_refused_what_can_be_taken_either_way_is_offered_the_same_keys_by_force() -> None:
    """And from then on nothing else: it would refuse a hold, too."""
    policy = security()
    ours = make_offer([PCMU], host=HERE, port=40000, session_id=7, security=policy)
    second = insisting_on_srtp(ours)
    assert second is not None
    assert second.media[0].protocol == "RTP/SAVP"
    assert second.media[0].cryptos() == ours.media[0].cryptos()
    assert insisting_on_srtp(second) is None
    assert insisting_on_srtp(offer("m=audio 5000 RTP/AVP 0")) is None
    agreed = read_answer(ours, offer(f"m=audio 5000 RTP/SAVP 0\na=crypto:1 {CM} inline:{INLINE}"), policy)
    assert agreed.description == second
    again = make_offer([PCMU], host=HERE, port=40000, session_id=7, previous=agreed.description, security=policy)
    assert again == second


def test_a_description_without_its_keys_is_one_of_plain_rtp() -> None:
    ours = make_offer([PCMU], host=HERE, port=40000, session_id=7, security=security())
    plain = without_keys(ours)
    assert crypto_lines(plain) == []
    assert plain == make_offer([PCMU], host=HERE, port=40000, session_id=7)


def test_an_answer_that_takes_no_key_is_refused_where_srtp_is_required() -> None:
    policy = security(required=True)
    for ours in (
        make_offer([PCMU], host=HERE, port=40000, session_id=7, security=policy),
        make_offer([PCMU], host=HERE, port=40000, session_id=7, security=security(insists=True)),
    ):
        assert ours.media[0].protocol == "RTP/SAVP"
        with pytest.raises(SdpNotAcceptable):
            read_answer(ours, offer("m=audio 5000 RTP/SAVP 0"), policy)
        with pytest.raises(SdpNotAcceptable):
            read_answer(ours, offer("m=audio 0 RTP/SAVP 0"), policy)
        with pytest.raises(SdpError):
            read_answer(ours, offer("m=audio 5000 RTP/AVP 0"), policy)
    # A phone that has offered RTP/AVP with keys is offered the same again, but not let off.
    first = answered(offer(f"m=audio 5000 RTP/AVP 0\na=crypto:1 {CM} inline:{INLINE}"), policy)
    again = make_offer([PCMU], host=HERE, port=40000, session_id=7, previous=first.description, security=policy)
    assert again.media[0].protocol == "RTP/AVP"
    with pytest.raises(SdpNotAcceptable):
        read_answer(again, offer("m=audio 5000 RTP/AVP 0"), policy)


@pytest.mark.parametrize(
    "line",
    [
        f"a=crypto:9 {CM} inline:{INLINE}",
        f"a=crypto:2 {CM} inline:{INLINE}",
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{INLINE}",
        f"a=crypto:1 {CM} inline:{INLINE} UNENCRYPTED_SRTP",
        f"a=crypto:1 {CM} inline:{INLINE}|1:4",
    ],
)
def test_an_answer_may_only_take_what_was_offered(line: str) -> None:
    ours = make_offer([PCMU], host=HERE, port=40000, session_id=7, security=security(insists=True))
    with pytest.raises(SdpNotAcceptable, match="no key"):
        read_answer(ours, offer(f"m=audio 5000 RTP/SAVP 0\n{line}"))


# Again


def test_our_key_stays_as_long_as_its_suite_does() -> None:
    """A hold or a refresh renews nothing, not even where the peer renews its own key."""
    policy = security()
    first = answered(offer(f"m=audio 5000 RTP/SAVP 0\na=crypto:1 {CM} inline:{INLINE}"), policy)
    refreshed = answered(offer(f"m=audio 5000 RTP/SAVP 0\na=crypto:1 {CM} inline:{INLINE}"), policy, first.description)
    assert refreshed.description == first.description
    assert refreshed.keys == first.keys
    renewed = answered(offer(f"m=audio 5000 RTP/SAVP 0\na=crypto:5 {CM} inline:{OTHER}"), policy, first.description)
    assert renewed.keys == Keys(CM, b"\x01" * 30, base64.b64decode(OTHER))
    assert renewed.description.origin.version == first.description.origin.version + 1
    gcm = base64.b64encode(bytes(28)).decode()
    changed = answered(
        offer(f"m=audio 5000 RTP/SAVP 0\na=crypto:1 AEAD_AES_128_GCM inline:{gcm}"), policy, first.description
    )
    assert changed.keys == Keys(Suite.AEAD_AES_128_GCM, b"\x02" * 28, bytes(28))


def test_our_next_offer_begins_with_the_key_in_use() -> None:
    policy = security()
    gcm = base64.b64encode(bytes(28)).decode()
    first = answered(offer(f"m=audio 5000 RTP/SAVPF 0\na=crypto:4 AEAD_AES_128_GCM inline:{gcm}"), policy)
    ours = make_offer([PCMU], host=HERE, port=40000, session_id=7, previous=first.description, security=policy)
    assert ours.media[0].protocol == "RTP/SAVPF"
    cryptos = ours.media[0].cryptos()
    assert [crypto.suite for crypto in cryptos] == [Suite.AEAD_AES_128_GCM, CM, Suite.AEAD_AES_256_GCM]
    assert [crypto.tag for crypto in cryptos] == [1, 2, 3]
    assert first.keys is not None
    assert cryptos[0].key == first.keys.ours
    again = make_offer([PCMU], host=HERE, port=40000, session_id=7, previous=ours, security=policy)
    assert again == ours, "nothing changed: neither the version nor a key"


def test_a_session_may_become_secure_and_plain_again_with_another_key() -> None:
    policy = security()
    secure = offer(f"m=audio 5000 RTP/AVP 0\na=crypto:1 {CM} inline:{INLINE}")
    plain = offer("m=audio 5000 RTP/AVP 0")
    first = answered(secure, policy)
    second = answered(plain, policy, first.description)
    assert second.keys is None
    third = answered(secure, policy, second.description)
    assert third.keys is not None
    assert first.keys is not None
    assert third.keys.ours != first.keys.ours
