"""Memory: when the garbage collector looks, and at what."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

# A call makes some thousand objects that die without the collector; it need not look every 700. In whole calls it took
# a tenth of the time before.
THRESHOLDS = (20_000, 20, 20)


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
