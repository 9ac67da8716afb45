"""SRTP in the workers: right by the vectors of the RFCs, deaf to forgeries and repeats, silent about keys."""

from __future__ import annotations

import hashlib
import hmac
import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callcenter.media.embedded.srtp import MAX_SOURCES, WINDOW, Opener, Sealer
from callcenter.rtp.packet import HEADER, Packet
from callcenter.rtp.rtcp import ReceiverReport
from callcenter.sip.crypto import Suite

MASTER = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139")
SALT = bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")


# SRTP once more, written from the RFCs for this test alone.


def keystream(key: bytes, counter: bytes, size: int) -> bytes:
    """AES in counter mode (RFC 3711 4.1.1)."""
    return Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor().update(bytes(size))


def derive(master: bytes, salt: bytes, label: int, size: int) -> bytes:
    """A session key (RFC 3711 4.3.1), with no key derivation rate; the salt of RFC 7714 is filled up from the right."""
    whole = salt.ljust(14, b"\x00")
    counter = bytearray(whole + b"\x00\x00")
    counter[7] ^= label
    return keystream(master, bytes(counter), size)


def seal(suite: Suite, key: bytes, packet: bytes, rollover: int = 0) -> bytes:
    """What the RFCs make of an RTP packet with a plain header."""
    _, _, sequence, _, ssrc = HEADER.unpack_from(packet)
    head, payload = packet[:12], packet[12:]
    if suite in (Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM):
        size = suite.key_size - 12
        master, salt = key[:size], key[size:]
        nonce = (ssrc << 48 | rollover << 16 | sequence).to_bytes(12, "big")
        nonce = bytes(a ^ b for a, b in zip(nonce, derive(master, salt, 2, 12), strict=True))
        return head + AESGCM(derive(master, salt, 0, size)).encrypt(nonce, payload, head)
    master, salt = key[:16], key[16:]
    begin = int.from_bytes(derive(master, salt, 2, 14), "big") << 16
    counter = (begin ^ ssrc << 64 ^ (rollover << 16 | sequence) << 16).to_bytes(16, "big")
    stream = keystream(derive(master, salt, 0, 16), counter, len(payload))
    sealed = head + bytes(a ^ b for a, b in zip(payload, stream, strict=True))
    tag = hmac.new(derive(master, salt, 1, 20), sealed + rollover.to_bytes(4, "big"), hashlib.sha1).digest()
    return sealed + tag[: 4 if suite is Suite.AES_CM_128_HMAC_SHA1_32 else 10]


def test_the_second_opinion_is_right_by_the_vectors() -> None:
    """RFC 3711 B.3 (session keys) and B.2 (key stream)."""
    assert derive(MASTER, SALT, 0, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert derive(MASTER, SALT, 2, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert derive(MASTER, SALT, 1, 20).hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"
    counter = bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000")
    stream = keystream(bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"), counter, 48)
    assert stream.hex().upper() == (
        "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0"
    )


def test_a_packet_is_sealed_as_the_standard_library_of_srtp_seals_it() -> None:
    """The reference packet that comes with libsrtp, and stands in many other implementations."""
    packet = bytes.fromhex("800f1234decafbadcafebabe") + b"\xab" * 16
    sealed = "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"
    assert seal(Suite.AES_CM_128_HMAC_SHA1_80, MASTER + SALT, packet).hex() == sealed
    sealer = Sealer(Suite.AES_CM_128_HMAC_SHA1_80, (MASTER + SALT).hex())
    assert (sealer.seal(packet) or b"").hex() == sealed


def numbered(number: int, ssrc: int = 0x1234, size: int = 160) -> bytes:
    return Packet(0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, ssrc, bytes([number & 0xFF]) * size).to_bytes()


def opened(opener: Opener, packet: bytes | None) -> bytes | None:
    assert packet is not None
    return opener.open(packet)


@pytest.mark.parametrize("suite", Suite)
def test_every_suite_seals_and_opens_as_the_rfcs_say(suite: Suite) -> None:
    """Over the wrap of the numbers, too: what the second opinion seals is opened, and the other way round."""
    key = os.urandom(suite.key_size)
    sealer, opener = Sealer(suite, key.hex()), Opener(suite, key.hex())
    for number in (*range(65530, 65542), 65560):
        expected = seal(suite, key, numbered(number), rollover=number >> 16)
        assert sealer.seal(numbered(number)) == expected
        assert opener.open(expected) == numbered(number)
    assert opener.unauthentic == 0


@pytest.mark.parametrize("suite", Suite)
def test_reports_are_sealed_and_opened(suite: Suite) -> None:
    """SRTCP: an index in clear, and the long tag with either suite of SHA1 (RFC 4568 6.2.2)."""
    key = os.urandom(suite.key_size).hex()
    sealer, opener = Sealer(suite, key), Opener(suite, key)
    report = bytes.fromhex("81c900070000123400005678") + bytes(20)
    sealed = [sealer.seal_report(report) for _ in range(3)]
    assert {len(each or b"") - len(report) for each in sealed} == {4 + (16 if "GCM" in suite else 10)}
    assert [opener.open_report(each or b"") for each in sealed] == [report] * 3
    assert opener.open_report(sealed[0] or b"") is None, "a repeat"
    assert opener.open_report(report) is None, "one in the clear"
    assert opener.open_report(b"\x80\xc9") is None
    assert opener.unauthentic == 2


def test_what_was_not_sealed_by_the_peer_is_thrown_away_and_counted() -> None:
    suite, key = Suite.AES_CM_128_HMAC_SHA1_80, os.urandom(30)
    opener = Opener(suite, key.hex())
    good = seal(suite, key, numbered(100))
    forged = [
        numbered(101),
        numbered(101) + bytes(10),
        seal(suite, os.urandom(30), numbered(101)),
        good[:-1] + bytes([good[-1] ^ 1]),
        good[:20] + bytes([good[20] ^ 1]) + good[21:],
        good[:1] + b"\x08" + good[2:],
        good[:15],
        good[:12],
    ]
    assert [opener.open(packet) for packet in forged] == [None] * len(forged)
    assert opener.unauthentic == len(forged)
    assert opener.open(good) == numbered(100)


def test_a_packet_is_taken_once_and_a_very_old_one_never() -> None:
    suite, key = Suite.AES_CM_128_HMAC_SHA1_80, os.urandom(30)
    opener = Opener(suite, key.hex())
    packets = [seal(suite, key, numbered(number)) for number in range(1000)]
    assert opener.open(packets[900]) is not None
    assert opener.open(packets[900]) is None
    assert opener.open(packets[890]) is not None, "one that comes late"
    assert opener.open(packets[890]) is None
    assert opener.open(packets[900 - WINDOW - 1]) is None
    assert opener.unauthentic == 3


def test_replays_are_refused_across_the_wrap_and_reports_beside_the_sound_have_a_count_of_their_own() -> None:
    """Each once, late ones within the window included, whatever the roll-over counter is; also when sound and reports
    come by one port (RFC 5761), mixed as they like.
    """
    suite, key = Suite.AES_CM_128_HMAC_SHA1_80, os.urandom(30)
    sealer, opener = Sealer(suite, key.hex()), Opener(suite, key.hex())
    sealed, reports = [], []
    for number in range(65_536 - 300, 65_536 + 300):
        packet = sealer.seal(numbered(number & 0xFFFF))
        assert packet is not None
        sealed.append(packet)
        if number % 50 == 0:
            report = sealer.seal_report(ReceiverReport(5).to_bytes())
            assert report is not None
            reports.append(report)
    late = sealed[280:320]
    for at, packet in enumerate(sealed):
        if packet not in late:
            assert opener.open(packet) is not None
        if at % 50 == 0:
            assert opener.open_report(reports[at // 50]) is not None
            assert opener.open_report(reports[at // 50]) is None
        if at == 400:
            assert all(opener.open(each) is not None for each in late), "late, across the wrap"
    counted = opener.unauthentic
    assert all(opener.open(each) is None for each in sealed)
    assert all(opener.open_report(each) is None for each in reports)
    assert opener.unauthentic == counted + len(sealed) + len(reports)


def test_we_never_seal_two_packets_by_one_number() -> None:
    """Two payloads under one piece of key stream would give both away (RFC 3711 9.1)."""
    sealer = Sealer(Suite.AEAD_AES_128_GCM, os.urandom(28).hex())
    assert sealer.seal(numbered(7)) is not None
    assert sealer.seal(numbered(7)[:-1] + b"x") is None
    assert sealer.seal(numbered(6)) is not None, "one that comes late"
    assert sealer.seal(numbered(8, size=1400)) is None, "one that is too long for any sound"


def test_a_forger_opens_no_contexts_and_the_peer_not_without_end() -> None:
    suite, key = Suite.AES_CM_128_HMAC_SHA1_80, os.urandom(30)
    opener = Opener(suite, key.hex())
    for ssrc in range(2 * MAX_SOURCES):
        assert opener.open(seal(suite, os.urandom(30), numbered(1, ssrc))) is None
    for ssrc in range(MAX_SOURCES):
        assert opener.open(seal(suite, key, numbered(1, ssrc))) is not None
    assert opener.open(seal(suite, key, numbered(1, MAX_SOURCES))) is None
    assert opener.open(seal(suite, key, numbered(2, 0))) is not None


def test_nothing_prints_a_key() -> None:
    key = os.urandom(30).hex()
    for each in (
        Sealer(Suite.AES_CM_128_HMAC_SHA1_80, key),
        Opener(Suite.AES_CM_128_HMAC_SHA1_80, key),
    ):
        assert key not in f"{each!r} {each}"
