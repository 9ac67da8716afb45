"""G.711: tables against the standard's landmarks, against each other, and against audioop where it is there."""

from __future__ import annotations

import importlib.util
import warnings
from array import array

import pytest

from callcenter.rtp import g711

EVERY_SAMPLE = array("h", range(-32768, 32768))
EVERY_CODE = bytes(range(256))


def test_landmarks_of_the_standard() -> None:
    assert g711.encode_ulaw(array("h", [0, 32767, -32768]).tobytes()) == b"\xff\x80\x00"
    assert g711.encode_alaw(array("h", [0, 32767, -32768]).tobytes()) == b"\xd5\xaa\x2a"
    assert g711.ULAW_SAMPLES[0x80] == 32124
    assert g711.ALAW_SAMPLES[0xAA] == 32256


def test_what_was_decoded_encodes_to_the_same_code() -> None:
    ulaw = g711.encode_ulaw(g711.decode_ulaw(EVERY_CODE))
    # Mu-law has two codes for nothing; the negative one becomes the positive.
    assert ulaw == EVERY_CODE.replace(b"\x7f", b"\xff")
    assert g711.encode_alaw(g711.decode_alaw(EVERY_CODE)) == EVERY_CODE


@pytest.mark.parametrize(
    ("encode", "decode"), [(g711.encode_ulaw, g711.decode_ulaw), (g711.encode_alaw, g711.decode_alaw)]
)
def test_no_sample_is_changed_by_more_than_the_step(encode: object, decode: object) -> None:
    assert callable(encode)
    assert callable(decode)
    for sample, back in zip(EVERY_SAMPLE, array("h", decode(encode(EVERY_SAMPLE.tobytes()))), strict=True):
        assert abs(sample - back) <= 8 + abs(sample) // 16


def test_translation_keeps_the_sound_within_a_step() -> None:
    for table, source, target in (
        (g711.ULAW_TO_ALAW, g711.ULAW_SAMPLES, g711.ALAW_SAMPLES),
        (g711.ALAW_TO_ULAW, g711.ALAW_SAMPLES, g711.ULAW_SAMPLES),
    ):
        for code in range(256):
            assert abs(source[code] - target[table[code]]) <= max(8, abs(source[code]) // 16)


@pytest.mark.skipif(importlib.util.find_spec("audioop") is None, reason="audioop left the standard library")
def test_the_tables_are_those_of_audioop() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import audioop
    pcm = EVERY_SAMPLE.tobytes()
    assert g711.encode_ulaw(pcm) == audioop.lin2ulaw(pcm, 2)
    assert g711.encode_alaw(pcm) == audioop.lin2alaw(pcm, 2)
    assert g711.decode_ulaw(EVERY_CODE) == audioop.ulaw2lin(EVERY_CODE, 2)
    assert g711.decode_alaw(EVERY_CODE) == audioop.alaw2lin(EVERY_CODE, 2)
