"""Seeded days on a floor with bad weather: nothing is left over, whatever people and networks do."""

from __future__ import annotations

import pytest

from callcenter.simulation.network import Weather
from callcenter.simulation.workload import day
from callcenter.simulation.world import tell

SEEDS = range(1, 21)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_in_fair_weather(seed: int) -> None:
    world = tell(day, seed=seed)
    assert any(fact.kind == "CallConnected" for fact in world.facts), "nobody talked: the day proves nothing"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_in_foul_weather(seed: int) -> None:
    """One datagram in ten lost, some doubled, some late behind others."""
    tell(day, seed=seed, weather=Weather(jitter=0.01, loss=0.1, duplicate=0.05, late=0.05))


def test_the_same_seed_is_the_same_day() -> None:
    """A failure that prints its seed can be seen again."""
    one, other = (tell(day, seed=7, weather=Weather(loss=0.1)) for _ in range(2))
    assert [(fact.ms, fact.kind, fact.call_id) for fact in one.facts] == [
        (fact.ms, fact.kind, fact.call_id) for fact in other.facts
    ]
