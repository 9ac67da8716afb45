"""Audit: what nobody works on any more, found by looking at what is there; the watchdog of a floor.

Every talk, offer and visit is held by the script of a call, which tells its end however it ends. Should one ever be
gone without a word, its agent would stand engaged for ever: here that is seen, and what tells the missing word is made.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from callcenter.acd.agents import OFFERED, ON_THE_PHONE
from callcenter.acd.engagement import Engagement
from callcenter.acd.events import Leave, OfferFailed, OwnCallEnded, TalkEnded
from callcenter.acd.queue import Visit
from callcenter.model.states import EndCause, OfferResult, Side, VisitOutcome

# An offer so much (ms) beyond its end, which nobody took back.
OVERDUE = 5_000


@dataclass(frozen=True, slots=True)
class Stuck:
    """Something that nobody works on, in words, and the event that lets it go."""

    what: str
    remedy: Leave | OfferFailed | TalkEnded | OwnCallEnded
    agent: str = ""
    offer: str = ""
    visit: str = ""


def stuck(
    visits: Iterable[Visit],
    engagements: Iterable[Engagement],
    own_calls: Mapping[str, str],
    calls: Container[str],
    now: int,
) -> Iterator[Stuck]:
    """All that is stuck at ``now`` (ms): held for a call that is none of ``calls``, or beyond its end.

    ``own_calls`` says who dialled each. A caller who is gone takes the offer along.
    """
    gone = set()
    for visit in visits:
        if visit.call_id not in calls:
            gone.add(visit.id)
            lost = Leave(visit.id, VisitOutcome.LOST, "watchdog")
            yield Stuck(f"waited in {visit.queue or 'no queue'} for a call that is over", lost, visit=visit.id)
    for engagement in engagements:
        agent, offer = engagement.agent, engagement.offer
        if agent.work in ON_THE_PHONE and engagement.call_id not in calls:
            ended = TalkEnded(offer, Side.SYSTEM, EndCause.ERROR)
            yield Stuck(f"{agent.work} in a call that is over", ended, agent.id, offer, engagement.visit)
        elif agent.work in OFFERED and engagement.visit not in gone and engagement.due < now - OVERDUE:
            failed = OfferFailed(offer, OfferResult.UNREACHABLE, "watchdog")
            yield Stuck(f"{agent.work} beyond the end of the offer", failed, agent.id, offer, engagement.visit)
    for call_id, dialler in own_calls.items():
        if call_id not in calls:
            yield Stuck("in an own call that is over", OwnCallEnded(dialler, call_id), dialler)


class Audit:
    """Looks twice: what is seen once may be on its way."""

    def __init__(self) -> None:
        self._seen: frozenset[Stuck] = frozenset()

    def look(self, found: Iterable[Stuck]) -> tuple[Stuck, ...]:
        """What was found the last time too, and is to be let go."""
        now = tuple(found)
        again = tuple(each for each in now if each in self._seen)
        self._seen = frozenset(now)
        return again
