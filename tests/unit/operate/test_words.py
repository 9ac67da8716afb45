"""Spans of time as the configuration writes them."""

from __future__ import annotations

import pytest

from callcenter.config.shape import seconds
from callcenter.operate.words import span


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0s"),
        (0.05, "0.05s"),
        (1, "1s"),
        (59.6, "1m"),
        (90, "1m30s"),
        (600, "10m"),
        (3600, "1h"),
        (5025, "1h23m45s"),
    ],
)
def test_a_span_is_written_as_it_would_be_configured(number: float, text: str) -> None:
    assert span(number) == text
    if number == round(number):
        assert seconds(text) == number
