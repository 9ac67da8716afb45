"""Acd: events and time in, facts and effects out; who gets which call, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from callcenter.acd import choices, offers, talks, tickets, waiting, wrap_up
from callcenter.acd.agenda import Due
from callcenter.acd.agents import OFFERED, REMOVED, AgentView, dismissed
from callcenter.acd.audit import Stuck, stuck
from callcenter.acd.engagement import Engagement, result_of
from callcenter.acd.estimate import Outlook
from callcenter.acd.events import (
    AcdEffect,
    AcdEvent,
    Connected,
    DeviceChanged,
    DispositionGiven,
    Held,
    IntentChosen,
    Join,
    Leave,
    OfferAccepted,
    OfferFailed,
    OfferRinging,
    OwnCallBegan,
    OwnCallEnded,
    Prioritised,
    Reconfigured,
    Resumed,
    RosterChanged,
    TalkEnded,
    TalkMoved,
    WrapUpAsked,
    WrapUpDone,
    WrapUpExtended,
)
from callcenter.acd.explain import explain_agent, explain_queue, explain_ticket, hindrances_of
from callcenter.acd.floor import Floor
from callcenter.acd.presence import Absence
from callcenter.acd.queue import TicketView, position
from callcenter.acd.roster import change_of, same
from callcenter.acd.settings import AgentSettings, Plan
from callcenter.acd.views import agent_view, outlook, snapshot, ticket_view
from callcenter.acd.why import AgentWhy, QueueWhy, TicketWhy
from callcenter.model.facts import AgentSkillsChanged, BreakOverran, CallPrioritised, Decision, Fact, changed
from callcenter.model.states import Intent, OfferResult, Work

if TYPE_CHECKING:
    from collections.abc import Container
    from random import Random

OfferEvent: TypeAlias = OfferRinging | OfferAccepted | Connected | OfferFailed | Held | Resumed | TalkMoved | TalkEnded


class Acd:
    """The ACD of one floor: the agents and queues of a plan.

    Its state, the :class:`~callcenter.acd.floor.Floor`, is what the facts tell and changes by facts alone:
    :meth:`handle` drafts them and takes them in by the code that :meth:`apply` uses, so that the log of a boot, folded
    over a new Acd, gives the same state. What an event leads to is decided beside the noun that it is about:
    ``tickets``, ``waiting``, ``offers``, ``talks``, ``wrap_up`` and ``choices``.

    ``now`` is seconds of a clock that never goes back, kept in whole milliseconds: whoever numbers the facts of a
    decision stamps them with ``round(now * 1000)``.

    Where a strategy leaves the choice to the lot, ``random`` draws; what it drew is told by the fact of the offer.

    While ``offering`` is off nobody is offered anybody: who turns it on again calls :meth:`expire` for the matches.
    """

    def __init__(self, plan: Plan, *, epoch: int = 1, random: Random | None = None) -> None:
        self._floor = Floor(plan, epoch, random)

    def handle(self, event: AcdEvent, now: float) -> Decision[AcdEffect]:
        """Take an event in. Late, double and unknown ones change nothing; none raises."""
        self._floor.now = max(self._floor.now, round(now * 1000))
        self._on(event)
        return self._decide()

    @property
    def deadline(self) -> float | None:
        """When :meth:`expire` wants to be called; None when nothing is due."""
        due = self._floor.agenda.first
        return None if due is None else due / 1000

    def expire(self, now: float) -> Decision[AcdEffect]:
        """Let pass what is due at ``now``."""
        self._floor.now = max(self._floor.now, round(now * 1000))
        return self._decide()

    def apply(self, fact: Fact) -> None:
        """Take in a fact of this boot's log, in the log's order. Facts that are not the ACD's are passed over.

        After the last one :meth:`expire` offers what the log had not come to offer.
        """
        self._floor.now = max(self._floor.now, fact.ms)
        self._floor.take(fact.body, fact.call_id, fact.ms)

    @property
    def offering(self) -> bool:
        """Whether anybody is offered anybody."""
        return self._floor.offering

    @offering.setter
    def offering(self, on: bool) -> None:
        self._floor.offering = on

    # What others may see

    @property
    def plan(self) -> Plan:
        """The configuration in force."""
        return self._floor.plan

    def agent(self, agent_id: str) -> AgentView | None:
        """An agent as he is now; None for an unknown one."""
        return agent_view(self._floor, agent_id)

    def agents(self) -> tuple[AgentView, ...]:
        """All agents; also those who are gone from the configuration, while they are at work."""
        return tuple(view for agent_id in self._floor.agents if (view := self.agent(agent_id)) is not None)

    def available(self, agent_id: str) -> bool:
        """Whether a caller could be offered to the agent now."""
        agent = self._floor.agents.get(agent_id)
        return agent is not None and self._floor.employed(agent) and agent.available

    def who(self, agent_id: str) -> AgentSettings:
        """Who an agent of the plan is to the routing now. Raises KeyError for anybody else."""
        return self._floor.roster[agent_id]

    def change(self, agent_id: str) -> AgentSkillsChanged | None:
        """What is changed of an agent at run time; None when he is as configured."""
        return self._floor.changes.get(agent_id)

    def stuck(self, calls: Container[str], now: float) -> tuple[Stuck, ...]:
        """What is held for a call that is none of ``calls``, or beyond its end, with the event that lets it go."""
        floor, ms = self._floor, round(now * 1000)
        return tuple(stuck(floor.visits.values(), floor.engagements.values(), floor.dialled, calls, ms))

    def out(self, reason: str) -> set[str]:
        """Who is not ready for this reason, or will be when the present work ends."""
        away = (Intent.NOT_READY, reason)
        return {
            agent.id
            for agent in self._floor.agents.values()
            if away in ((agent.intent, agent.reason), (agent.next, agent.next_reason))
        }

    def dialled_by(self, call_id: str) -> str:
        """Whose own call this is; empty when it is nobody's, or over."""
        return self._floor.dialled.get(call_id, "")

    def waiting(self, queue: str) -> tuple[TicketView, ...]:
        """The callers of a queue who are not answered yet, in order; among them those being offered.

        The empty name is for those who ask for an agent and were brought by no queue.
        """
        floor = self._floor
        visits = (floor.visits[place[-1]] for place in floor.lines.get(queue, ()))
        return tuple(ticket_view(floor, visit, number) for number, visit in enumerate(visits, start=1))

    def ticket(self, ticket_id: str) -> TicketView | None:
        """A caller who is not answered yet; None for all others."""
        floor, visit = self._floor, self._floor.visits.get(ticket_id)
        return None if visit is None else ticket_view(floor, visit, position(floor.lines[visit.queue], visit.place))

    def absence(self, queue: str) -> Absence | None:
        """Why nobody is there for a queue's callers; None when somebody is."""
        return self._floor.presence.absence(queue)

    def outlook(self, ticket_id: str) -> Outlook | None:
        """What a waiting caller has before them; None when they do not wait in a queue for whoever comes free."""
        return outlook(self._floor, ticket_id)

    def position(self, ticket_id: str) -> int | None:
        """The caller's place in the queue, from 1; None when he does not wait."""
        visit = self._floor.visits.get(ticket_id)
        return None if visit is None else position(self._floor.lines[visit.queue], visit.place)

    def explain(self, ticket_id: str) -> dict[str, tuple[str, ...]]:
        """For a waiting caller: what keeps each agent from taking the call, in words."""
        return hindrances_of(self._floor, ticket_id)

    def explain_agent(self, agent_id: str, now: float = 0.0) -> AgentWhy | None:
        """Why an agent is offered nobody though callers wait, or whom he could take; None for an unknown one."""
        return explain_agent(self._floor, agent_id, now)

    def explain_queue(self, queue_id: str, now: float = 0.0) -> QueueWhy | None:
        """How a queue stands and what keeps agents from its first caller; None for an unknown one."""
        return explain_queue(self._floor, queue_id, now)

    def explain_ticket(self, ticket_id: str, now: float = 0.0) -> TicketWhy | None:
        """Why a caller still waits; None when they do not."""
        return explain_ticket(self._floor, ticket_id, now)

    def snapshot(self) -> tuple[Any, ...]:
        """All that the facts told, as a value to compare: with equal ones (and plans) two ACDs decide alike."""
        return snapshot(self._floor)

    def __str__(self) -> str:
        free = sum(self.available(agent_id) for agent_id in self.plan.agents)
        return f"<Acd {len(self._floor.visits)} waiting, {free} of {len(self.plan.agents)} agents free>"

    # Events

    def _on(self, event: AcdEvent) -> None:
        floor = self._floor
        match event:
            case Join(ticket=ticket):
                if ticket.id not in floor.visits and ticket.id not in floor.ended:
                    tickets.join(floor, ticket)
            case Leave(ticket_id=ticket_id):
                if visit := floor.visits.get(ticket_id):
                    tickets.leave(floor, visit, event)
            case Prioritised(ticket_id=ticket_id, priority=priority, by=by):
                visit = floor.visits.get(ticket_id)
                if visit is not None and visit.priority != priority:
                    floor.tell(CallPrioritised(visit.id, visit.queue, priority, by), visit.call_id)
            case (
                OfferRinging()
                | OfferAccepted()
                | Connected()
                | OfferFailed()
                | Held()
                | Resumed()
                | TalkMoved()
                | TalkEnded()
            ):
                if engagement := floor.engagements.get(event.offer_id):
                    self._on_offer(engagement, event)
            case WrapUpDone(agent_id=agent_id) | WrapUpAsked(agent_id=agent_id) | WrapUpExtended(agent_id=agent_id):
                agent = floor.agents.get(agent_id)
                if agent and agent.work is Work.WRAP_UP:
                    wrap_up.on_wrap_up(floor, agent, event)
            case DispositionGiven(agent_id=agent_id):
                if agent := floor.agents.get(agent_id):
                    wrap_up.on_disposition(floor, agent, event)
            case DeviceChanged(agent_id=agent_id) | IntentChosen(agent_id=agent_id):
                agent = floor.agents.get(agent_id)
                if agent and floor.employed(agent):
                    choices.on_agent(floor, agent, event)
            case RosterChanged(agent_id=agent_id):
                change = change_of(event)
                if agent_id in floor.plan.agents and not same(change, floor.changes.get(agent_id)):
                    floor.tell(change, None)
            case OwnCallBegan(agent_id=agent_id, call_id=call_id):
                agent = floor.agents.get(agent_id)
                if agent and floor.employed(agent) and call_id not in floor.dialled:
                    choices.begin_own_call(floor, agent, call_id)
            case OwnCallEnded(agent_id=agent_id, call_id=call_id):
                agent = floor.agents.get(agent_id)
                if agent and call_id in agent.own_calls:
                    choices.end_own_call(floor, agent, call_id)
            case Reconfigured(plan=plan):
                self._reconfigure(plan)
            case _:
                assert_never(event)

    def _on_offer(self, engagement: Engagement, event: OfferEvent) -> None:
        floor = self._floor
        match engagement.agent.work, event:
            case Work.RESERVED, OfferRinging():
                offers.ring(floor, engagement)
            case Work.RESERVED | Work.RINGING, OfferAccepted():
                offers.pick_up(floor, engagement)
            case Work.RESERVED | Work.RINGING, Connected():
                offers.pick_up(floor, engagement)
                talks.connect(floor, engagement)
            case Work.RESERVED | Work.RINGING, OfferFailed(result=result, detail=detail):
                offers.fail(floor, engagement, result, detail)
            case Work.RESERVED | Work.RINGING, TalkEnded(by=by, cause=cause):
                offers.fail(floor, engagement, result_of(by), cause)
            case Work.TALKING | Work.HELD | Work.CONSULTING, Connected():
                talks.connect(floor, engagement)
            case Work.TALKING | Work.HELD | Work.CONSULTING, Held(by=by):
                talks.hold(floor, engagement, by)
            case Work.HELD | Work.CONSULTING, Resumed(by=by):
                talks.resume(floor, engagement, by)
            case Work.TALKING | Work.HELD | Work.CONSULTING, TalkMoved(call_id=call_id, queue=queue):
                if engagement.connected and call_id != engagement.call_id:
                    talks.move_talk(floor, engagement, call_id, queue)
            case Work.TALKING | Work.HELD | Work.CONSULTING, TalkEnded(by=by, cause=cause):
                talks.end_talk(floor, engagement, by, cause)
            case _:
                pass  # too late or told twice: a 180 behind the 200, a refusal behind the pick-up, all in the wrap-up

    # Time, matches, configuration

    def _decide(self) -> Decision[AcdEffect]:
        """After every event: what is due first, so that nobody is offered who must go; then all matches there are."""
        floor = self._floor
        while self._decide_what_is_due():
            pass
        if floor.offering:
            for match in floor.pool.matches(floor.now):
                offers.offer_all(floor, match)
        decision = Decision(tuple(floor.facts), tuple(floor.effects))
        floor.facts, floor.effects = [], []
        return decision

    def _decide_what_is_due(self) -> bool:
        """Let happen what is due or follows at once; whether there was anything, so that there may be more."""
        floor = self._floor
        some = False
        while entry := floor.agenda.take(floor.now):
            self._fall_due(*entry)
            some = True
        while floor.changed:
            tickets.send_on(floor, floor.changed.popitem()[0])
        while floor.unsettled:
            if visit := floor.visits.get(floor.unsettled.popitem()[0]):
                waiting.settle(floor, visit)
                some = True
        if floor.staff != floor.pool.signed_in:
            waiting.settle_all(floor)
            some = True
        return some

    def _fall_due(self, _when: int, what: Due, whose: str) -> None:
        floor = self._floor
        match what:
            case Due.OFFER:
                engagement = floor.engagements[whose]
                if engagement.agent.work is Work.RINGING:
                    offers.take_back(floor, engagement, OfferResult.NO_ANSWER, "rang too long")
                else:
                    offers.take_back(floor, engagement, OfferResult.UNREACHABLE, "never rang")
            case Due.PREFERENCE:
                waiting.end_preference(floor, floor.visits[whose], "time")
            case Due.STEP:
                visit = floor.visits[whose]
                waiting.relax(floor, visit, visit.step + 1, "time")
            case Due.VISIT:
                tickets.wait_too_long(floor, floor.visits[whose])
            case Due.AGENT:
                agent = floor.agents[whose]
                if agent.work is Work.WRAP_UP:
                    wrap_up.run_out(floor, agent)
                else:
                    floor.tell(changed(agent.state("pause over", floor.now), remaining_ms=0), None)
            case Due.BREAK:
                agent = floor.agents[whose]
                floor.tell(BreakOverran(agent.id, agent.reason), None)
                state = agent.state(f"{agent.reason or 'not ready'}: as long as it may be", floor.now)
                floor.tell(changed(state, break_ms=0, overrun=True), floor.call_of(agent))
            case _:
                assert_never(what)

    def _reconfigure(self, plan: Plan) -> None:
        floor = self._floor
        floor.plan = plan
        # What was changed of an agent stays, until he is gone: who comes back is who the configuration says.
        for agent_id, change in list(floor.changes.items()):
            if agent_id not in plan.agents:
                floor.tell(AgentSkillsChanged(agent_id, REMOVED), None)
            elif plan.renamed.keys() & set(change.queues):
                queues = {plan.renamed.get(queue, queue) for queue in change.queues}
                floor.tell(replace(change, queues=tuple(sorted(queues))), None)
        floor.index()
        for visit in floor.visits.values():
            waiting.ask_anew(floor, visit)
        for agent in floor.agents.values():
            if floor.employed(agent):
                continue
            if agent.work in OFFERED:
                offers.take_back(floor, floor.engagements[agent.offer], OfferResult.UNREACHABLE, REMOVED)
            elif agent.work is Work.WRAP_UP and agent.until is None:
                wrap_up.finish(floor, agent, "", REMOVED)
            elif agent.work is Work.IDLE:
                state = agent.state(REMOVED, floor.now)
                if dismissed(state) != state:
                    floor.tell(dismissed(state), None)
