"""Lane: the way to one receiver, one delivery after the other; when the next one goes, and when it is given up. Pure.

Times are seconds since 1970, so that they hold over a restart. A delivery that fails keeps all behind it waiting, as
they would overtake it else; whatever fails for long enough is given up, and the next one is tried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

FIRST_RETRY = 5.0
LAST_RETRY = 3_600.0
# However long a receiver asks us to stay away, a day later we come again.
LONGEST_RETRY_AFTER = 86_400.0
# By these a receiver refuses the one event, not us (RFC 9110): it would hold up all others for nothing.
REFUSES_THIS_ONE = frozenset({400, 413, 415, 422})
MOST_REFUSALS = 5
GONE = 410


class Verdict(StrEnum):
    """What becomes of a delivery after an attempt."""

    DELIVERED = "delivered"
    RETRY = "pending"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Policy:
    """How long is tried: for one delivery, and altogether without one success, in seconds."""

    give_up_after: float = 86_400.0
    disable_after: float = 5 * 86_400.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one. ``status`` of the answer, 0 without; ``retry_after`` in seconds, as the receiver asks."""

    status: int
    why: str = ""
    retry_after: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether the receiver has it."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Lane:
    """How it goes. ``failures`` since the last success, the first of them at ``failing_since``; nothing is sent before
    ``retry_at``, and nothing at all while ``disabled`` says why.
    """

    failures: int = 0
    failing_since: float | None = None
    retry_at: float = 0.0
    disabled: str = ""

    def after(
        self, attempt: Attempt, *, attempts: int, queued_at: float, now: float, policy: Policy, random: Random
    ) -> tuple[Lane, Verdict]:
        """The lane after an attempt at its first delivery, the ``attempts``-th, and what becomes of that.

        It was queued at ``queued_at``.
        """
        if attempt.delivered:
            return Lane(), Verdict.DELIVERED
        failures, since = self.failures + 1, now if self.failing_since is None else self.failing_since
        lane = Lane(failures, since, now + _pause(failures, attempt.retry_after, random))
        if attempt.status == GONE:
            return replace(lane, disabled="the receiver says that it is gone (410)"), Verdict.RETRY
        if now - since >= policy.disable_after:
            why = f"nothing was taken for {(now - since) / 86_400:.1f} days; the last time: {attempt.why}"
            return replace(lane, disabled=why), Verdict.RETRY
        if attempt.status in REFUSES_THIS_ONE and attempts >= MOST_REFUSALS:
            # The receiver is there: the next one need not wait.
            return replace(lane, retry_at=now), Verdict.GIVEN_UP
        return lane, Verdict.GIVEN_UP if now - queued_at >= policy.give_up_after else Verdict.RETRY

    def enabled(self) -> Lane:
        """As if nothing had failed yet."""
        return Lane()


def _pause(failures: int, retry_after: float, random: Random) -> float:
    """Twice as long each time, up to an hour; with chance in it, so that not all come at once when a receiver is back.

    Never shorter than what the receiver asks for.
    """
    doubled = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(failures - 1, 30))
    return max(doubled * (0.5 + random.random() / 2), min(retry_after, LONGEST_RETRY_AFTER))


def retry_after(header: str, now: float) -> float:
    """The seconds of a ``Retry-After`` (RFC 9110 10.2.3): a number, or a date; 0 for none, and for anything else."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), LONGEST_RETRY_AFTER)
    try:
        then = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, (then if then.tzinfo is not None else then.replace(tzinfo=UTC)).timestamp() - now)
