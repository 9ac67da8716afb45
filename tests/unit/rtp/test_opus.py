"""Opus: what the peer asks for in its fmtp is heeded (RFC 7587 6.1), and without the library it is plainly missing."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest

from callcenter.rtp import opus
from callcenter.rtp.codecs import CODECS, CodecMissing
from callcenter.rtp.opus import OpusDecoder, OpusEncoder, parameters
from tests.unit.rtp.sounds import decibels, packets, tone

WIDE = 16000


def sizes(fmtp: str = "", rate: int = WIDE) -> list[int]:
    encoder = OpusEncoder(rate, fmtp)
    return [len(encoder.encode(pcm)) for pcm in packets(tone(440, rate, 600), rate, 20)]


def config(fmtp: str, rate: int = WIDE) -> int:
    """The configuration that a packet's first octet tells (RFC 6716 3.1)."""
    encoder = OpusEncoder(rate, fmtp)
    return [encoder.encode(pcm) for pcm in packets(tone(440, rate, 200), rate, 20)][-1][0] >> 3


@pytest.mark.parametrize(
    ("fmtp", "bands"),
    [
        ("", (8, 12)),
        ("maxplaybackrate=48000; stereo=0", (8, 12)),
        ("maxplaybackrate=12000", (4, 8)),
        ("useinbandfec=1;MaxPlaybackRate=8000", (0, 4)),
        ("maxplaybackrate=much", (8, 12)),
    ],
)
def test_no_more_is_sent_than_the_peer_can_play(fmtp: str, bands: tuple[int, int]) -> None:
    """SILK has the configurations 0-3 narrow, 4-7 medium, 8-11 wide (RFC 6716 table 2)."""
    assert config(fmtp) in range(*bands)


def test_sound_of_a_telephone_is_sent_as_narrow_band() -> None:
    assert config("", 8000) in range(4)


def test_a_peer_that_has_little_room_gets_less() -> None:
    assert sum(sizes("maxaveragebitrate=8000")) < 0.7 * sum(sizes())
    assert sum(sizes("maxaveragebitrate=510000")) <= sum(sizes()) * 1.05


def test_constant_bit_rate_is_constant() -> None:
    assert len(set(sizes("cbr=1"))) == 1
    assert len(set(sizes())) > 1


def test_a_lost_packet_can_be_made_good_by_a_peer_that_says_so() -> None:
    """With useinbandfec the next packet tells the lost one again: the flag of it is set (RFC 6716 4.2.3)."""
    assert sum(sizes("useinbandfec=1")) != sum(sizes("useinbandfec=0"))


def test_stereo_is_mixed_down() -> None:
    library = opus.library()
    assert library is not None
    state = ctypes.create_string_buffer(library.opus_encoder_get_size(2))
    assert library.opus_encoder_init(state, WIDE, 2, 2049) == 0
    out = ctypes.create_string_buffer(1275)
    sound = tone(440, WIDE, 400)
    decoder, heard = OpusDecoder(WIDE), b""
    for pcm in packets(sound, WIDE, 20):
        both = b"".join(pcm[at : at + 2] * 2 for at in range(0, len(pcm), 2))
        size = library.opus_encode(state, both, len(pcm) // 2, out, 1275)
        assert out.raw[0] & 0x04  # stereo
        heard += decoder.decode(out.raw[:size])
    assert decibels(heard[len(heard) // 2 :], sound) == pytest.approx(0, abs=0.5)


def test_any_length_can_be_concealed() -> None:
    decoder = OpusDecoder(WIDE)
    for samples in (1, 160, 320, 333, 960, 5000):
        assert len(decoder.conceal(samples)) == 2 * samples


def test_parameters_are_read_whatever_their_case() -> None:
    assert parameters("useInbandFEC=1; maxplaybackrate = 16000;;x") == {
        "useinbandfec": "1",
        "maxplaybackrate": "16000",
        "x": "",
    }


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(opus, "_SYSTEM", "libopus-that-is-nowhere.so.0")
    monkeypatch.setattr(opus, "_EXTRA", ("opus_that_is_nowhere", "libopus.so"))
    opus._library.cache_clear()
    yield
    opus._library.cache_clear()


@pytest.fixture
def without_debian(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(opus, "_SYSTEM", "libopus-that-is-nowhere.so.0")
    opus._library.cache_clear()
    yield
    opus._library.cache_clear()


@pytest.mark.usefixtures("without_debian")
def test_the_extra_brings_a_library_where_the_system_has_none() -> None:
    assert opus.version().startswith("libopus")
    encoder, decoder = OpusEncoder(WIDE), OpusDecoder(WIDE)
    sound = tone(440, WIDE, 400)
    heard = b"".join(decoder.decode(encoder.encode(pcm)) for pcm in packets(sound, WIDE, 20))
    assert decibels(heard[len(heard) // 2 :], sound) == pytest.approx(0, abs=0.5)


@pytest.mark.usefixtures("without_library")
def test_without_the_library_opus_is_missing_and_says_how_to_get_it() -> None:
    assert opus.version() == ""
    assert "libopus0" in CODECS["opus"].missing
    with pytest.raises(CodecMissing, match="apt-get install libopus0"):
        CODECS["opus"].encoder()


def test_with_the_library_nothing_is_missing() -> None:
    assert opus.version().startswith("libopus")
    assert all(codec.missing == "" for codec in CODECS.values())
