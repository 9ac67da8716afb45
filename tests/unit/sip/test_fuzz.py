"""Wrong messages by chance, the same ones each time: a short form of ./scripts/fuzz, which goes on for hours."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.unit.sip.fuzzing.targets import TARGETS, try_one

# How many inputs of each target: some seconds together; the quick run tries a share of them.
INPUTS = {
    "datagram": 4_000,
    "stream": 2_000,
    "description": 4_000,
    "value": 4_000,
    "registrations": 500,
    "strangers": 200,
    "conversation": 400,
}


def test_every_target_is_tried() -> None:
    assert INPUTS.keys() == TARGETS.keys()


@pytest.mark.parametrize("target", INPUTS)
def test_whatever_comes_is_read_or_refused_and_forgotten(target: str) -> None:
    for seed in range(INPUTS[target] * settings().max_examples // 100):
        try:
            try_one(target, seed)
        except Exception as error:
            raise AssertionError(f"./scripts/fuzz --target {target} --seed {seed} --inputs 1") from error
