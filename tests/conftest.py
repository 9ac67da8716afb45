"""What all tests share: the order in which they run, and who may run beside whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

TESTS = Path(__file__).parent
WIRE = TESTS / "wire"


@pytest.fixture(autouse=True)
def _nobody_elses_log() -> Iterator[None]:
    """A test that sets the log up leaves none behind that writes into its own, closed, captured output."""
    yield
    structlog.reset_defaults()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is under tests/wire and puts it last, one worker for all of it: there real time is measured."""
    for item in items:
        if WIRE in item.path.parents:
            item.add_marker(pytest.mark.wire)
            item.add_marker(pytest.mark.xdist_group("wire"))
    items.sort(key=lambda item: item.get_closest_marker("wire") is not None)
