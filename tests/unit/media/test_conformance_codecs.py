"""Codecs through real sockets: what is played is heard as loud in each, wide-band where the leg is."""

from __future__ import annotations

import math
import wave
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callcenter.media.plane import Clip, NoPacket, PlayEnded
from callcenter.sip.sdp import G722, L16, OPUS, PCMA, PCMU
from tests.unit.media.peers import Call, RealHouse, until
from tests.unit.media.singers import LOUDNESS, RATE, Singer, level_of, singer

LOW, HIGH = 500, 5500


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[RealHouse]:
    found = RealHouse(tmp_path, workers=1)
    await found.plane.start()
    yield found
    await found.close()


def wide_clip(folder: Path, seconds: float) -> Clip:
    """Two tones, of which a telephone carries one."""
    path = folder / "wide.wav"
    waves = [
        [LOUDNESS * math.sin(math.tau * hz * at / RATE) for at in range(int(seconds * RATE))] for hz in (LOW, HIGH)
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(array("h", (round(one + other) for one, other in zip(*waves, strict=True))).tobytes())
    return Clip(str(path), seconds)


async def test_a_prompt_is_heard_as_loud_in_every_codec_and_wide_band_where_that_is_spoken(house: RealHouse) -> None:
    clip, call = wide_clip(house.folder, 0.6), Call(house)
    await house.plane.prepare([clip])
    phones: list[Singer] = []
    for name, codec in zip(("amy", "bob", "carol", "dave", "amy"), (PCMU, PCMA, G722, OPUS, L16), strict=True):
        phone = singer(house, name, codecs=[codec])
        assert isinstance(phone, Singer)
        phone.vanish()
        phones.append(phone)
        (await call.incoming(phone, codecs=[codec.name])).play([clip])
    await until(lambda: len(call.of(PlayEnded)) == len(phones), "the end of all")
    await until(lambda: all(len(phone.sound) >= 2 * RATE * 0.55 for phone in phones), "all of it")
    for phone in phones:
        # Beyond its beginning, where codecs settle; whole periods of both tones.
        middle = phone.sound[2 * RATE // 4 : 2 * RATE // 4 + 2 * RATE // 5]
        assert level_of(middle, LOW) == pytest.approx(0, abs=1), phone.codec
        if phone.codec in ("PCMU", "PCMA"):
            assert level_of(middle, HIGH) < -40, phone.codec
        else:
            assert level_of(middle, HIGH) == pytest.approx(0, abs=1), phone.codec
    assert not call.of(NoPacket)
