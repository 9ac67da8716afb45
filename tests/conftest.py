"""What all tests share: the order in which they run, and who may run beside whom."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
WIRE = TESTS / "wire"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is under tests/wire and puts it last, one worker for all of it: there real time is measured."""
    for item in items:
        if WIRE in item.path.parents:
            item.add_marker(pytest.mark.wire)
            item.add_marker(pytest.mark.xdist_group("wire"))
    items.sort(key=lambda item: item.get_closest_marker("wire") is not None)
