"""What all tests share: the order in which they run, and who may run beside whom."""

from __future__ import annotations

import gc
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
# Of the wire these judge no moment, nor how well a sound comes: programs are started, asked, told and ended, and
# whoever waits has patience. They run among the others, and first, so that none of them is left when the machine
# belongs to the wire.
AMONG_OTHERS = frozenset(
    f"tests/wire/test_{name}.py"
    for name in (
        *("addresses", "broker", "control", "demo", "desk", "dns", "malformed", "queue_state", "refusals"),
        *("registration", "report", "screen_pop", "start", "supervisor", "tls", "tools", "trace"),
    )
)
# Seconds for a test of the wire that names none itself: real phones start slowly on a busy machine.
WIRE_TIMEOUT = 180

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


class WireApart(LoadScopeScheduling):  # type: ignore[misc]  # xdist brings no types
    """Hands out single tests, but nearly all of tests/wire to one worker: there real time is measured, alone."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in AMONG_OTHERS:
            return file  # what it starts for all of its tests is started once
        return "wire" if file.startswith("tests/wire/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> WireApart:
    """Who runs what: in the order collected, so that the wire comes when the other worker runs dry."""
    config.option.loadscopereorder = False
    return WireApart(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks what is under tests/wire, so that it can be left out, and gives it more time."""
    if WIRE in item.path.parents:
        item.add_marker(pytest.mark.wire)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(WIRE_TIMEOUT))


def pytest_collection_finish() -> None:
    """What is loaded by now stays: who looks for garbage need not go through it again and again."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the wire last, and what may run among the others first."""

    def turn(item: pytest.Item) -> int:
        if item.get_closest_marker("wire") is None:
            return 1
        return 0 if item.nodeid.partition("::")[0] in AMONG_OTHERS else 2

    items.sort(key=turn)
