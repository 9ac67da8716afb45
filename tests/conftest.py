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


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks what is under tests/wire: one worker for all of it, one test at a time, for real time is measured there."""
    if WIRE in item.path.parents:
        item.add_marker(pytest.mark.wire)
        item.add_marker(pytest.mark.xdist_group("wire"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the wire last, when the other worker has nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("wire") is not None)
