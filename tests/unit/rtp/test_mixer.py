"""Sounds are added, and never wrap."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from callcenter.rtp.mixer import fade, mix

SAMPLE = st.integers(-32768, 32767)


def samples(sound: bytes) -> list[int]:
    return list(array("h", sound))


def sound(values: list[int]) -> bytes:
    return array("h", values).tobytes()


@given(st.integers(1, 40).flatmap(lambda n: st.lists(st.lists(SAMPLE, min_size=n, max_size=n), min_size=1, max_size=5)))
def test_the_sum_of_all_is_heard_and_is_clipped_where_it_is_too_loud(sounds: list[list[int]]) -> None:
    mixed = samples(mix([sound(each) for each in sounds]))
    for heard, parts in zip(mixed, zip(*sounds, strict=True), strict=True):
        total = 0
        for part in parts:
            total = max(-32768, min(32767, total + part))
        assert heard == total


@given(st.lists(st.lists(st.integers(-6553, 6553), min_size=8, max_size=8), min_size=2, max_size=5), st.randoms())
def test_who_is_not_too_loud_may_be_added_in_any_order(sounds: list[list[int]], random: object) -> None:
    shuffled = list(sounds)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    mixed = mix([sound(each) for each in sounds])
    assert mixed == mix([sound(each) for each in shuffled])
    assert samples(mixed) == [sum(parts) for parts in zip(*sounds, strict=True)]


@given(st.sampled_from([80, 160, 320, 960]), SAMPLE, SAMPLE)
def test_a_fade_goes_from_the_one_to_the_other_without_a_step(size: int, one: int, other: int) -> None:
    faded = samples(fade(sound([one] * size), sound([other] * size)))
    assert len(faded) == size
    step = abs(one - other) / 16 + 2
    for earlier, later in zip([one, *faded], [*faded, other], strict=True):
        assert abs(later - earlier) <= step
