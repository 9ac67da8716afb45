"""What all tests share: the order in which they run, and who may run beside whom."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
WIRE = TESTS / "wire"
# Here real time is measured: these run one at a time.
REAL_TIME = (WIRE, TESTS / "unit" / "media")
# Seconds for a test of the wire that names none itself: real phones start slowly on a busy machine.
WIRE_TIMEOUT = 180
# All others run beside these, and give way to them (nice(2)): phones leave them most of the time.
GIVE_WAY = 10

# Of a property that names no number itself so many examples are tried; the quick run wants fewer.
EXAMPLES = int(os.environ.get("CALLCENTER_EXAMPLES", "100"))
# How long an example takes is a matter of the machine, and no property.
settings.register_profile("house", max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _nobody_elses_log() -> Iterator[None]:
    """A test that sets the log up leaves none behind that writes into its own, closed, captured output."""
    yield
    structlog.reset_defaults()


class RealTimeApart(LoadScopeScheduling):  # type: ignore[misc]  # xdist brings no types
    """Hands out single tests, but all that measure real time to one worker, which begins with them."""

    def _split_scope(self, nodeid: str) -> str:
        return "real time" if measures_real_time(TESTS.parent / nodeid.split("::", maxsplit=1)[0]) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> RealTimeApart:
    """Who runs what: in the order collected, so that what takes longest is begun first."""
    config.option.loadscopereorder = False
    return RealTimeApart(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks what is under tests/wire, so that it can be left out, and gives it more time."""
    if WIRE in item.path.parents:
        item.add_marker(pytest.mark.wire)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(WIRE_TIMEOUT))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what measures real time first."""
    items.sort(key=lambda item: not measures_real_time(item.path))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lets a worker give way to the one that measures real time, once it has begun with anything else."""
    if "PYTEST_XDIST_WORKER" in os.environ and not measures_real_time(item.path) and os.nice(0) < GIVE_WAY:
        os.nice(GIVE_WAY)


def measures_real_time(path: Path) -> bool:
    """Whether a test's file is one of those."""
    return any(folder in path.parents for folder in REAL_TIME)
