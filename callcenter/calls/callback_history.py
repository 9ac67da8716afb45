"""Callback history: what was tried of a callback, the last of it, and what came of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from callcenter.model.callback import Attempt, Callback

# Attempts and refusals that are kept of one callback, the last ones.
MOST_HISTORY = 50


def noted(value: Callback, attempt: Attempt) -> Callback:
    """The callback with one attempt more, or one refusal."""
    history = [*value.history, attempt]
    if len(history) > MOST_HISTORY:  # attempts are counted by the day: refusals go first
        del history[next((at for at, tried in enumerate(history[:-1]) if not tried.number), 0)]
    return replace(value, history=tuple(history))


def attempt_over(value: Callback, cause: str, detail: str, now: datetime) -> Callback:
    """The callback with what its last attempt came to."""
    *before, last = value.history or (Attempt(value.attempts, now),)
    if last.number and not last.cause:
        last = replace(last, cause=cause, detail=detail, ended_at=now)
    return replace(value, history=(*before, last))
