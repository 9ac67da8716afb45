"""Stepping: who waits with routing steps before them, and which of these nobody is there for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from callcenter.acd.asked import asked_at
from callcenter.acd.requirements import parse

if TYPE_CHECKING:
    from callcenter.acd.pool import Pool
    from callcenter.acd.rosters import Agents
    from callcenter.acd.settings import Plan

# Of so many kinds of callers, beside those who wait, it is kept who may take them, now and by later routing steps.
KEPT_KINDS = 1024

# Queue, client, what is asked and what of it the ticket asks of its own (both in the text form), and how many routing
# steps are behind it: all that decides about the steps to come.
Steps: TypeAlias = tuple[str, str, str, str, int]


class Stepping:
    """An index over the visits of a floor that still have routing steps before them."""

    def __init__(self, plan: Plan, pool: Pool) -> None:
        self._plan = plan
        self._pool = pool
        self._visits: dict[Steps, dict[str, None]] = {}
        self._steps_of: dict[str, Steps] = {}
        # Who meets what these ask, and what they ask by each later step; the same until roster or plan changes.
        self._meeting: dict[Steps, tuple[Agents, ...]] = {}
        # Of these, who meets what those ask now who wait; all of them, or too few where it is to be looked up anew.
        self._present: dict[Steps, Agents] = {}

    def follow(self, visit: str, steps: Steps | None) -> None:
        """Let a visit be among those of the same routing step, or (None) among none."""
        before = self._steps_of.get(visit)
        if before == steps:
            return
        if before is not None:
            del self._steps_of[visit]
            others = self._visits[before]
            del others[visit]
            if not others:
                del self._visits[before]
                self._present.pop(before, None)
        if steps is not None:
            self._steps_of[visit] = steps
            if steps not in self._visits:
                self._visits[steps] = {}
                self._present[steps] = self._who_meets(steps)[0]
            self._visits[steps][visit] = None

    def forget(self) -> None:
        """Somebody is another one to the routing: who meets what is to be looked up anew."""
        self._meeting.clear()
        self._present.clear()

    def next_step(self, visit: str) -> int | None:
        """The step to go to at once: nobody is signed in who meets the present one, and somebody who meets that."""
        steps = self._steps_of.get(visit)
        return None if steps is None else self._next_step(steps)

    def stranded(self) -> list[tuple[int, list[str]]]:
        """All visits that go to another step at once, by the step that they go to."""
        staff = self._pool.signed_in
        if len(self._present) < len(self._visits):
            self._present = {each: self._who_meets(each)[0] for each in self._visits}
        nobody = [each for each, who in self._present.items() if not who & staff]
        return [(step, list(self._visits[each])) for each in nobody if (step := self._next_step(each)) is not None]

    def _next_step(self, steps: Steps) -> int | None:
        staff = self._pool.signed_in
        present, *later = self._who_meets(steps)
        if present & staff:
            return None
        return next((step for step, who in enumerate(later, start=steps[-1] + 1) if who & staff), None)

    def _who_meets(self, steps: Steps) -> tuple[Agents, ...]:
        """Who may take these callers, at the step where they are and at each that follows."""
        found = self._meeting.get(steps)
        if found is None:
            name, client, asked, own, behind = steps
            queue = self._plan.queues[name]
            later = (asked_at(queue, step, parse(own)) for step in range(behind + 1, len(queue.steps) + 1))
            found = tuple(self._pool.able(client, name, needs) for needs in (parse(asked), *later))
            if len(self._meeting) >= KEPT_KINDS + len(self._visits):
                self._meeting = {each: who for each, who in self._meeting.items() if each in self._visits}
            self._meeting[steps] = found
        return found
