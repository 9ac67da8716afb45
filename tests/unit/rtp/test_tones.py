"""Keys as tones: the limits of ITU-T Q.24, and that nothing else is a key. Each press begins at another moment."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy
import pytest
from numpy.typing import NDArray

from callcenter.rtp.codecs import CODECS
from callcenter.rtp.g711 import encode_ulaw
from callcenter.rtp.tones import HIGH, KEYS, LOW, ToneReceiver, tone

ROOT = Path(__file__).resolve().parents[3]
RATE = 8000
ALL_KEYS = "".join(KEYS)

Samples = NDArray[numpy.float64]


def level(dbm0: float) -> float:
    """The amplitude of one tone at this level (full scale is +3.17 dBm0)."""
    return 32124.0 * float(10 ** ((dbm0 - 3.17) / 20))


def silence(ms: float) -> Samples:
    return numpy.zeros(int(ms * RATE / 1000))


def pair(low_hz: float, high_hz: float, ms: float, low: float = 4000.0, high: float = 4000.0) -> Samples:
    at = numpy.arange(int(ms * RATE / 1000)) / RATE
    sound: Samples = low * numpy.sin(2 * numpy.pi * low_hz * at + 0.7) + high * numpy.sin(2 * numpy.pi * high_hz * at)
    return sound


def press(
    key: str, ms: float, low: float = 4000.0, high: float = 4000.0, low_off: float = 0.0, high_off: float = 0.0
) -> Samples:
    row = next(row for row, keys in enumerate(KEYS) if key in keys)
    column = KEYS[row].index(key)
    return pair(LOW[row] * (1 + low_off), HIGH[column] * (1 + high_off), ms, low, high)


def heard(sound: Samples, codec: str = "PCMU", ptime: int = 20, lost: frozenset[int] = frozenset()) -> str:
    """The keys that are told when this is sent; the numbers wrap on the way."""
    pcm = numpy.clip(numpy.rint(sound), -32768, 32767).astype("<i2").tobytes()
    encoder, ticks = CODECS[codec].encoder(RATE), CODECS[codec].ticks(ptime)
    receiver, size, keys = ToneReceiver(), 2 * ptime * RATE // 1000, ""
    for index in range(len(pcm) // size):
        payload = encoder.encode(pcm[index * size : (index + 1) * size])
        if index not in lost:
            timestamp = (4294966000 + index * ticks) & 0xFFFFFFFF
            keys += receiver.receive(payload, codec, (65530 + index) & 0xFFFF, timestamp)
    return keys


def told(**how: float) -> list[tuple[str, str]]:
    """Each key pressed so, at many moments of a packet, and what was told of it."""
    return [
        (key, heard(numpy.concatenate([silence(moment + 0.4), press(key, **how), silence(120)])))
        for moment in range(60, 80, 3)
        for key in ALL_KEYS
    ]


def always(**how: float) -> bool:
    return all(key == keys for key, keys in told(**how))


def never(**how: float) -> bool:
    return all(keys == "" for _, keys in told(**how))


@pytest.mark.parametrize(
    ("codec", "ptime"),
    [(codec, ptime) for codec in ("PCMU", "PCMA") for ptime in (10, 20, 30, 40, 60)]
    + [(codec, ptime) for codec in CODECS if codec not in ("PCMU", "PCMA") for ptime in (10, 60)],
)
def test_every_key_is_told_once_by_every_codec_and_packet_time(codec: str, ptime: int) -> None:
    sound = numpy.concatenate([part for key in ALL_KEYS for part in (silence(61), press(key, 80))] + [silence(100)])
    assert heard(sound, codec, ptime) == ALL_KEYS


def test_forty_milliseconds_are_a_press_wherever_they_begin() -> None:
    assert always(ms=40)


def test_twenty_milliseconds_are_none() -> None:
    assert never(ms=20)
    assert never(ms=15)


def test_a_long_press_is_one_key() -> None:
    assert heard(numpy.concatenate([silence(50), press("5", 3000), silence(100)])) == "5"


def test_forty_milliseconds_of_pause_make_two_presses_of_the_same_key() -> None:
    for moment in range(60, 80, 3):
        sound = [silence(moment), press("8", 50), silence(40), press("8", 50), silence(100)]
        assert heard(numpy.concatenate(sound)) == "88"


def test_a_break_of_ten_milliseconds_makes_one_press() -> None:
    for moment in range(60, 80, 3):
        sound = [silence(moment), press("8", 60), silence(10), press("8", 60), silence(100)]
        assert heard(numpy.concatenate(sound)) == "8"


def test_two_keys_without_a_pause_are_two() -> None:
    assert heard(numpy.concatenate([silence(60), press("1", 60), press("9", 60), silence(60)])) == "19"


@pytest.mark.parametrize("off", [-0.015, 0.015])
def test_a_frequency_within_one_and_a_half_percent_is_taken(off: float) -> None:
    assert always(ms=50, low_off=off, high_off=off)
    assert always(ms=50, low_off=off, high_off=-off)
    assert always(ms=50, low_off=off)
    assert always(ms=50, high_off=off)


@pytest.mark.parametrize("off", [-0.035, 0.035])
def test_a_frequency_off_by_three_and_a_half_percent_is_refused(off: float) -> None:
    for ms in (50, 500):
        assert never(ms=ms, low_off=off)
        assert never(ms=ms, high_off=off)


def test_the_high_tone_may_be_weaker_by_8_db_or_stronger_by_4() -> None:
    assert always(ms=40, high=4000 * 10 ** (-8 / 20))
    assert always(ms=40, high=4000 * 10 ** (4 / 20))


def test_more_twist_is_refused() -> None:
    assert never(ms=80, high=4000 * 10 ** (-12 / 20))
    assert never(ms=80, high=4000 * 10 ** (8 / 20))


def test_loud_and_faint_presses_are_taken_and_the_faintest_are_not() -> None:
    for dbm0 in (0, -10, -25, -32):
        assert always(ms=40, low=level(dbm0), high=level(dbm0))
    assert never(ms=80, low=level(-40), high=level(-40))


@pytest.mark.parametrize("snr", [12.0, 20.0])
def test_noise_hides_no_press_and_doubles_none(snr: float) -> None:
    random = numpy.random.default_rng(3)
    for moment in range(60, 80, 3):
        for key in ALL_KEYS:
            sound = numpy.concatenate([silence(moment), press(key, 50), silence(60), press(key, 700), silence(100)])
            assert heard(sound + random.normal(0, 4000 / 10 ** (snr / 20), sound.size)) == key * 2


def test_an_echo_of_our_prompt_hides_no_press() -> None:
    """The prompt comes back from the phone, 12 dB below the press."""
    prompt = sounds()[0][:RATE]
    echo = numpy.resize(prompt * (1400 / numpy.abs(prompt).max()), 3000)
    for key in ALL_KEYS:
        sound = numpy.concatenate([silence(100), press(key, 80), silence(195)])
        assert heard(sound + echo[: sound.size]) == key


def test_a_lost_packet_makes_no_second_press() -> None:
    sound = numpy.concatenate([silence(60), press("4", 160), silence(200)])
    for index in range(20):
        assert heard(sound, lost=frozenset({index})) == "4", index
    for index in range(3, 10):
        assert heard(sound, lost=frozenset({index, index + 1})) in {"4", ""}, index


def test_presses_before_and_after_a_long_loss_are_two() -> None:
    sound = numpy.concatenate([silence(60), press("4", 100), silence(200), press("4", 100), silence(60)])
    assert heard(sound, lost=frozenset(range(8, 18))) == "44"


def test_a_phone_that_sends_nothing_in_its_pauses_is_understood() -> None:
    """Silence suppression: the time goes on, the numbers have no gap."""
    receiver, keys = ToneReceiver(), ""
    data = encode_ulaw(press("6", 80).astype("<i2").tobytes())
    for index in range(8):
        start = (index % 4) * 160
        timestamp = index * 160 + (index // 4) * 480
        keys += receiver.receive(data[start : start + 160], "PCMU", index, timestamp)
    assert keys == "66"


def test_late_and_doubled_packets_say_nothing_new() -> None:
    receiver, keys = ToneReceiver(), ""
    data = encode_ulaw(press("6", 200).astype("<i2").tobytes())
    for index in (0, 1, 1, 3, 2, 4, 0, 5, 5, 6, 7):
        keys += receiver.receive(data[index * 160 : index * 160 + 160], "PCMU", index, index * 160)
    assert keys == "6"


def sounds() -> list[Samples]:
    """Every prompt and all music that we ship."""
    found = []
    for path in sorted((ROOT / "config").rglob("*.wav")):
        with wave.open(str(path)) as file:
            found.append(numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(numpy.float64))
    assert sum(sound.size for sound in found) > 60 * RATE
    return found


@pytest.mark.long
@pytest.mark.parametrize("speed", [0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5])
def test_speech_and_music_are_no_keys(speed: float) -> None:
    """Also in higher and lower voices, and louder."""
    for sound in sounds():
        faster = numpy.interp(numpy.arange(0, sound.size - 1, speed), numpy.arange(sound.size), sound)
        assert heard(faster) == ""
        assert heard(numpy.clip(2.5 * faster, -32000, 32000), "PCMA") == ""


def test_noise_single_tones_and_the_tones_of_the_network_are_no_keys() -> None:
    random = numpy.random.default_rng(5)
    seconds = 60
    at = numpy.arange(seconds * RATE) / RATE
    for loudness in (300, 3000, 12000):
        assert heard(random.normal(0, loudness, at.size)) == ""
    walk = numpy.cumsum(random.normal(0, 300, at.size))
    assert heard(walk % 12000 - 6000) == ""
    for hertz in (*LOW, *HIGH):
        assert heard(8000 * numpy.sin(2 * numpy.pi * hertz * at[:4000])) == ""
    for one, other in ((350, 440), (440, 480), (480, 620), (697, 941), (1209, 1477)):
        assert heard(pair(one, other, 3000)) == ""
    # Rising through all of the band.
    assert heard(8000 * numpy.sin(2 * numpy.pi * (200 * at + 25 * at * at))) == ""


def test_packets_of_any_length_are_borne() -> None:
    receiver = ToneReceiver()
    for index, size in enumerate((0, 1, 7, 159, 800, 1400, 3)):
        assert receiver.receive(bytes(size), "PCMA", index, index * 160) == ""


@pytest.mark.parametrize("key", ALL_KEYS)
def test_what_we_press_is_the_pair_of_the_key_and_nothing_else(key: str) -> None:
    """At the level that lines ask for, without a click, and our own receiver tells it once."""
    for rate in (8000, 16000):
        pcm = numpy.frombuffer(tone(key, rate // 10, rate), "<i2").astype(float)
        spectrum = numpy.abs(numpy.fft.rfft(pcm * numpy.hanning(len(pcm)))) * 4 / len(pcm)
        row = next(row for row, keys in enumerate(KEYS) if key in keys)
        hertz = LOW[row], HIGH[KEYS[row].index(key)]
        for wanted, dbm0 in zip(hertz, (-9, -7), strict=True):
            found = float(spectrum[round(wanted / 10) - 1 : round(wanted / 10) + 2].max())
            assert 0.8 * level(dbm0) < found < 1.05 * level(dbm0)
        rest = [height for at, height in enumerate(spectrum) if all(abs(10 * at - each) > 60 for each in hertz)]
        assert max(rest) < 0.01 * level(-7)
    pcm = numpy.frombuffer(tone(key, 800), "<i2").astype(float)
    assert heard(numpy.concatenate([silence(33), pcm, silence(60), pcm, silence(50)])) == 2 * key


def test_there_is_no_tone_for_what_is_no_key() -> None:
    for wrong in ("", "E", "12", "a"):
        with pytest.raises(ValueError):
            tone(wrong, 800)
