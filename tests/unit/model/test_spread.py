"""A histogram: how many values came up to each bound."""

from __future__ import annotations

from callcenter.model.spread import Spread


def test_values_are_counted_up_to_each_bound_which_is_its_own() -> None:
    spread = Spread((0.005, 0.02, 0.1, 0.5, 2.0, 8.0, 32.0))
    for value in (0.001, 0.02, 0.3, 40.0):
        spread.add(value)
    assert spread.plain() == {
        "count": 4,
        "sum": 40.321,
        "up_to": [[0.005, 1], [0.02, 2], [0.1, 2], [0.5, 3], [2.0, 3], [8.0, 3], [32.0, 3]],
    }
