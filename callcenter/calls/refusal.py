"""Refusal: what a phone that calls us is answered when no sound can be opened for it."""

from __future__ import annotations

from callcenter.media.plane import BadDescription, MediaError, NoCapacity, NotAcceptable
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side
from callcenter.signaling.leg import Leg


def refused(leg: Leg, error: MediaError) -> Ending:
    """Refuse whoever calls us for what keeps their sound from being opened."""
    match error:
        case NoCapacity(retry_after=retry_after):
            leg.reject(503, headers=(("Retry-After", str(retry_after)),))
            return Ending(Side.SYSTEM, EndCause.REJECTED, 503, str(error))
        case NotAcceptable():
            warning = str(error).replace('"', "'")
            leg.reject(488, headers=(("Warning", f'399 callcenter "{warning}"'),))
            return Ending(Side.SYSTEM, EndCause.REJECTED, 488, str(error))
        case BadDescription():
            leg.reject(400)
            return Ending(Side.SYSTEM, EndCause.REJECTED, 400, str(error))
        case _:
            raise error
