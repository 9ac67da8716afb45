"""Memory: when the garbage collector looks, and at what."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

# A call that is over holds on to nothing in a ring (tests/scenarios/test_gone_at_once.py), so that the collector finds
# nothing: it need not look every 700 objects. Rings cost pauses of half a second at 400 calls a second before.
THRESHOLDS = (10_000, 20, 20)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """What is loaded stays: the collector does not look at it again and again, until :func:`settle` or the end."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle() -> None:
    """All is loaded: leave it out of the collector's rounds from now on, and let there be fewer."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
