"""Waiting: what a caller in line asks of agents as time goes by, and whom they wait for alone."""

from __future__ import annotations

from callcenter.acd.asked import asked_as, asked_at
from callcenter.acd.floor import Floor
from callcenter.acd.matching import score
from callcenter.acd.queue import Visit
from callcenter.model.facts import PreferenceEnded, RoutingRelaxed
from callcenter.model.states import Device, Intent

# Why a waiting caller asks something else of an agent when the queue does so by another configuration.
RELOADED = "reload"


def settle(floor: Floor, visit: Visit) -> None:
    """Let go at once the preference for an agent who does not come, and a step that nobody is there for."""
    if visit.preferred_until is not None and (reason := _preference_over(floor, visit)):
        end_preference(floor, visit, reason)
    if (step := floor.stepping.next_step(visit.id)) is not None:
        relax(floor, visit, step, "nobody_signed_in")


def settle_all(floor: Floor) -> None:
    """Who is signed in has changed: see for whom that says something."""
    floor.staff = floor.pool.signed_in
    for step, visits in floor.stepping.stranded():
        for visit_id in visits:
            relax(floor, floor.visits[visit_id], step, "nobody_signed_in")


def _preference_over(floor: Floor, visit: Visit) -> str:
    """Why the preferred agent will not take a caller soon, in a word; empty when he may."""
    agent, settings = floor.agents.get(visit.prefer), floor.roster.get(visit.prefer)
    if agent is None or settings is None:
        return "unknown_agent"
    if score(settings, visit.client, visit.queue, visit.asked) is None:
        return "cannot_serve"
    if agent.next is not Intent.READY:
        return str(agent.next)
    return str(Device.UNREACHABLE) if agent.device is Device.UNREACHABLE else ""


def end_preference(floor: Floor, visit: Visit, reason: str) -> None:
    """A caller waits for one agent alone no longer."""
    floor.tell(PreferenceEnded(visit.id, visit.queue, visit.prefer, reason), visit.call_id)


def relax(floor: Floor, visit: Visit, step: int, reason: str) -> None:
    """A caller asks what the queue asks at another routing step."""
    asked = asked_at(floor.plan.queues[visit.queue], step, visit.own)
    relaxed = RoutingRelaxed(visit=visit.id, queue=visit.queue, step=step, reason=reason, **asked_as(asked))
    floor.tell(relaxed, visit.call_id)


def ask_anew(floor: Floor, visit: Visit) -> None:
    """Let who waits ask what the queue asks by now, at the routing step that the wait has come to."""
    queue = floor.plan.queue(visit.queue)
    if queue is None or visit.agent:
        return
    due = sum(round(step.after * 1000) <= floor.now - visit.joined for step in queue.steps)
    step = max(due, min(visit.step, len(queue.steps)))
    if (step, asked_at(queue, step, visit.own)) != (visit.step, visit.asked):
        relax(floor, visit, step, RELOADED)
