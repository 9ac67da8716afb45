"""Codecs: a tone comes out as the tone that went in, as loud, whatever the packets are and at either rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.rtp.codecs import CODECS, AudioCodec, codec
from callcenter.rtp.g711 import ALAW_SILENCE, ULAW_SILENCE, encode_alaw, encode_ulaw
from tests.unit.rtp.sounds import decibels, height, packets, through, tone

EVERY = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
RATES = pytest.mark.parametrize("rate", [8000, 16000])
SETTLED = 200
"""Milliseconds at the beginning of a stream that are not measured: codecs and filters begin from silence."""


def settled(pcm: bytes, rate: int) -> bytes:
    return pcm[2 * rate * SETTLED // 1000 :]


@EVERY
@RATES
@pytest.mark.parametrize("hertz", [300, 1004, 3000])
def test_a_tone_keeps_its_frequency_and_its_level(codec: AudioCodec, rate: int, hertz: int) -> None:
    sound = tone(hertz, rate, 600)
    encoder, decoder = codec.encoder(rate), codec.decoder(rate)
    heard = through(lambda pcm: decoder.decode(encoder.encode(pcm)), sound, rate)
    assert len(heard) == len(sound)
    heard = settled(heard, rate)
    assert decibels(heard, sound) == pytest.approx(0, abs=0.5)
    assert height(heard, rate, hertz) == pytest.approx(8000, rel=0.07)


@EVERY
def test_a_wide_band_codec_carries_what_no_telephone_does(codec: AudioCodec) -> None:
    sound = tone(5500, 16000, 600)
    encoder, decoder = codec.encoder(16000), codec.decoder(16000)
    heard = settled(through(lambda pcm: decoder.decode(encoder.encode(pcm)), sound, 16000), 16000)
    if codec.wide:
        assert decibels(heard, sound) == pytest.approx(0, abs=0.5)
    else:
        assert decibels(heard, sound) < -40


@EVERY
@pytest.mark.parametrize("ms", [10, 20, 40, 60])
def test_packets_of_any_length_have_the_length_that_is_said(codec: AudioCodec, ms: int) -> None:
    encoder, decoder = codec.encoder(), codec.decoder()
    for pcm in packets(tone(440, codec.sample_rate, 120), codec.sample_rate, ms):
        payload = encoder.encode(pcm)
        if codec.octets is not None:
            assert len(payload) == codec.octets * ms
        assert len(decoder.decode(payload)) == len(pcm)


@EVERY
def test_sound_can_be_cut_anywhere_unless_packets_are_whole(codec: AudioCodec) -> None:
    if codec.octets is None:
        return
    sound = tone(700, codec.sample_rate, 120)
    encoder, decoder = codec.encoder(), codec.decoder()
    payload = encoder.encode(sound)
    cut = codec.octets * 30
    again = b"".join(decoder.decode(payload[at : at + cut]) for at in range(0, len(payload), cut))
    assert again == codec.decoder().decode(payload)


def test_timestamps_count_by_the_clock_of_the_codec() -> None:
    """RFC 3551 4.5.2: G.722's clock is 8000 by an old mistake; RFC 7587 4.1: that of Opus is always 48000."""
    clocks = {name: each.ticks(20) for name, each in CODECS.items()}
    assert clocks == {"PCMU": 160, "PCMA": 160, "G722": 160, "opus": 960, "L16": 320}


def test_g711_is_the_tables() -> None:
    every = b"".join(value.to_bytes(2, "little", signed=True) for value in range(-32768, 32768, 5))
    assert codec("PCMU").encoder().encode(every) == encode_ulaw(every)
    assert codec("PCMA").encoder().encode(every) == encode_alaw(every)
    assert codec("PCMU").silence(160) == bytes((ULAW_SILENCE,)) * 160
    assert codec("PCMA").silence(80) == bytes((ALAW_SILENCE,)) * 80


def test_l16_has_the_order_of_the_network() -> None:
    """RFC 3551 4.5.11."""
    assert codec("L16").encoder().encode(b"\x01\x02") == b"\x02\x01"


@EVERY
def test_silence_is_silent(codec: AudioCodec) -> None:
    samples = codec.sample_rate // 50
    heard = codec.decoder().decode(codec.silence(samples))
    assert len(heard) == 2 * samples
    assert decibels(heard, tone(440, codec.sample_rate, 20)) < -50


@EVERY
@given(payload=st.binary(max_size=400))
def test_no_payload_takes_a_decoder_down(codec: AudioCodec, payload: bytes) -> None:
    for rate in (8000, 16000):
        decoder = codec.decoder(rate)
        assert len(decoder.decode(payload)) % 2 == 0
        assert len(decoder.conceal(rate // 50)) == 2 * rate // 50
        decoder.decode(codec.silence(codec.sample_rate // 50))


@EVERY
@RATES
def test_a_lost_packet_is_hardly_heard_and_a_hundred_are_silence(codec: AudioCodec, rate: int) -> None:
    sound = tone(200, rate, 600)
    encoder, decoder = codec.encoder(rate), codec.decoder(rate)
    pieces = [encoder.encode(pcm) for pcm in packets(sound, rate, 20)]
    heard = [decoder.conceal(rate // 50) if index == 15 else decoder.decode(each) for index, each in enumerate(pieces)]
    assert decibels(heard[15], sound) == pytest.approx(0, abs=2)
    assert decibels(heard[16], sound) == pytest.approx(0, abs=4)
    gone = [decoder.conceal(rate // 50) for _ in range(100)]
    # Opus makes some noise of its own, and never the same.
    assert decibels(gone[-1], sound) < (-30 if codec.name == "opus" else -40)


def test_another_codec_is_known_by_no_name() -> None:
    with pytest.raises(KeyError):
        codec("G729")
