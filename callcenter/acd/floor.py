"""Floor: agents, visits and engagements as the facts tell them, and the indexes that follow: lines, pool, agenda."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, TypeAlias

from callcenter.acd.agenda import Agenda, Due
from callcenter.acd.agents import OFFERED, ON_THE_PHONE, Agent
from callcenter.acd.asked import asked_in
from callcenter.acd.engagement import Engagement, result_of
from callcenter.acd.events import AcdEffect
from callcenter.acd.pool import Pool
from callcenter.acd.presence import Presence
from callcenter.acd.queue import Place, Visit, aging, drop
from callcenter.acd.requirements import parse, text
from callcenter.acd.roster import effective
from callcenter.acd.rosters import Agents
from callcenter.acd.settings import QUEUE_RENAMED, AgentSettings, Plan, QueueSettings, Strategy
from callcenter.acd.stepping import Stepping
from callcenter.model.facts import (
    AgentLegEnded,
    AgentRang,
    AgentSkillsChanged,
    AgentStateChanged,
    AgentTookOver,
    Body,
    CallConnected,
    CallHeld,
    CallPrioritised,
    CallQueued,
    CallResumed,
    DispositionChosen,
    Draft,
    OfferEnded,
    OfferMade,
    PreferenceEnded,
    QueueLeft,
    RoutingRelaxed,
)
from callcenter.model.states import OfferResult, Work

if TYPE_CHECKING:
    from random import Random

# How many visits that ended are remembered, so that a Join repeated late brings no ghost into the line.
REMEMBERED_VISITS = 4096

# No set of agents: what follows from who is signed in is to be looked at once more.
NOBODY_YET = -1

EngagedFact: TypeAlias = AgentRang | OfferEnded | CallConnected | CallHeld | CallResumed | AgentTookOver | AgentLegEnded


def strategy_for(visit: Visit, queue: QueueSettings) -> Strategy:
    """How the agent of a visit is chosen. A callback that all are rung for would dial the customer many times."""
    together = queue.strategy is Strategy.RING_ALL and visit.callback
    return Strategy.LONGEST_IDLE if together else queue.strategy


class Floor:
    """The state of an :class:`~callcenter.acd.core.Acd`: it is what the facts tell, and changes by facts alone.

    Whoever decides drafts facts by :meth:`tell`, which takes them in at once, and notes effects in ``effects``; what
    others do with a floor beyond that is to read it. Lines, pool, presence, agenda and stepping follow from state and
    plan. Times are milliseconds.

    ``changed`` and ``unsettled`` are to be looked at before the decision is out: agents who are asked for by name and
    have another state, and visits that may not wait on as they do.
    """

    def __init__(self, plan: Plan, epoch: int, random: Random | None) -> None:
        self.epoch = epoch
        self.offering = True
        self.plan = plan
        self.now = 0
        self.facts: list[Draft] = []
        self.effects: list[AcdEffect] = []
        self.agents: dict[str, Agent] = {}
        self.visits: dict[str, Visit] = {}
        self.engagements: dict[str, Engagement] = {}
        self.ended: dict[str, None] = {}
        self.generation = 0
        # Who was offered a caller of each queue last.
        self.turns: dict[str, str] = {}
        # The agents as they are matched: as configured, but for what is changed while the switch runs.
        self.roster: dict[str, AgentSettings] = {}
        self.changes: dict[str, AgentSkillsChanged] = {}
        self.lines: dict[str, list[Place]] = {}
        # How many of a line are callbacks: nobody holds a phone there, and a full queue is full of callers.
        self.callbacks: dict[str, int] = {}
        # Who dialled each own call; who is asked for by name, by which visits.
        self.dialled: dict[str, str] = {}
        self.asked_for: dict[str, dict[str, None]] = {}
        self.changed: dict[str, None] = {}
        self.unsettled: dict[str, None] = {}
        # Who was signed in when it was looked last for whom that says something.
        self.staff: Agents = 0
        # Since when nobody has been there for whom the callers of a queue would wait on.
        self.empty: dict[str, int] = {}
        self.joined = 0
        self._random = random
        self.index()

    # What of it is asked by many

    def employed(self, agent: Agent) -> bool:
        """Whether the agent is of the plan."""
        return agent.id in self.roster

    def belongs(self, agent: Agent) -> bool:
        """Whether the agent is to be seen: of the plan, or gone from it and still at work."""
        return self.employed(agent) or agent.work is not Work.IDLE

    def call_of(self, agent: Agent) -> str | None:
        """The call that the agent has to do with, a caller's or his own; None: none."""
        engagement = self.engagements.get(agent.offer)
        if engagement is not None:
            return engagement.call_id
        return agent.own_calls[-1] if agent.own_calls else None

    def renamed(self, queue_id: str) -> str:
        """Whether a queue that is not there has another name now: then what is told of who goes there."""
        return QUEUE_RENAMED if queue_id in self.plan.renamed else ""

    def given_up_at(self, visit: Visit, queue: QueueSettings) -> int | None:
        """When a caller waits no longer for nobody; None while somebody is there."""
        empty = None if visit.agent else self.empty.get(queue.id)
        return None if empty is None else max(empty, visit.joined) + round(queue.leave_after * 1000)

    # How it changes

    def index(self) -> None:
        """Build pool and agenda anew, from plan and state."""
        self.roster = {
            agent.id: effective(agent, self.changes.get(agent.id), self.plan.renamed)
            for agent in self.plan.agents.values()
        }
        self.pool = Pool(self.plan, self.roster.values(), self._random)
        self.pool.turns = self.turns
        self.presence = Presence(self.plan, self.roster.values())
        self.agenda = Agenda()
        self.stepping = Stepping(self.plan, self.pool)
        self.lines, self.callbacks = {}, {}
        for agent_id in self.roster:
            self.agents.setdefault(agent_id, Agent(agent_id))
        for engagement in self.engagements.values():
            self.pool.share(engagement.client, 1)
        for agent in self.agents.values():
            self._follow_agent(agent)
            self.presence.follow(agent)
        self.empty = {queue: since for queue, since in self.empty.items() if queue in self.presence.leaving}
        self._follow_presence()
        for visit in self.visits.values():
            self._stand_in_line(visit)

    def tell(self, body: Body, call_id: str | None) -> None:
        """Something happened: draft the fact, and take it in."""
        self.facts.append(Draft(body, call_id))
        self.take(body, call_id, self.now)

    def take(self, body: Body, call_id: str | None, ms: int) -> None:
        """Take in what happened at ``ms``: the only place where the state changes."""
        match body:
            case AgentStateChanged():
                self._take_agent_state(body, ms)
            case AgentSkillsChanged():
                self._take_change(body)
            case CallQueued():
                self._take_queued(body, call_id or "", ms)
            case RoutingRelaxed(visit=visit_id, step=step):
                if visit := self.visits.get(visit_id):
                    visit.ask(asked_in(body))
                    visit.step = step
                    self._follow_visit(visit)
                    self.unsettled[visit_id] = None
            case CallPrioritised(visit=visit_id, priority=priority):
                if visit := self.visits.get(visit_id):
                    self._take_priority(visit, priority)
            case PreferenceEnded(visit=visit_id):
                if visit := self.visits.get(visit_id):
                    self._ask_no_more(visit)
                    visit.preferred_until = None
                    self._follow_visit(visit)
            case OfferMade():
                self._take_offer(body, ms)
            case AgentTookOver():
                if engagement := self.engagements.get(body.offer):
                    engagement.call_id = call_id or ""
                    self._take_engaged(engagement, body, ms)
            case AgentRang() | OfferEnded() | CallConnected() | CallHeld() | CallResumed() | AgentLegEnded():
                if engagement := self.engagements.get(body.offer):
                    self._take_engaged(engagement, body, ms)
            case DispositionChosen(offer=offer, disposition=disposition):
                if engagement := self.engagements.get(offer):
                    engagement.disposition = disposition
            case QueueLeft(visit=visit_id):
                if visit := self.visits.pop(visit_id, None):
                    self._take_left(visit)
            case _:
                pass  # WrapUpEnded, BreakOverran: the state that follows says it all; and what others tell

    def _take_agent_state(self, body: AgentStateChanged, ms: int) -> None:
        agent = self.agents.setdefault(body.agent, Agent(body.agent))
        if agent.offer and not body.offer:
            self.pool.share(self.engagements.pop(agent.offer).client, -1)
            self.agenda.set(Due.OFFER, agent.offer, None)
        for call_id in agent.own_calls:
            del self.dialled[call_id]
        agent.take(body, ms)
        self.dialled.update(dict.fromkeys(agent.own_calls, agent.id))
        self._follow_agent(agent)
        if self.presence.follow(agent):
            self._follow_presence()

    def _take_change(self, body: AgentSkillsChanged) -> None:
        self.changes.pop(body.agent, None)
        if body.changed:
            self.changes[body.agent] = body
        configured = self.plan.agents.get(body.agent)
        if configured is not None:
            self.roster[body.agent] = effective(configured, body, self.plan.renamed)
            self.pool.change_agent(self.roster[body.agent])
            self.stepping.forget()
            if self.presence.change_agent(self.roster[body.agent]):
                self._follow_presence()
            if body.agent in self.asked_for:
                self.changed[body.agent] = None
            self.staff = NOBODY_YET  # who is signed in is as before, and may be of another step's kind

    def _take_queued(self, body: CallQueued, call_id: str, ms: int) -> None:
        self.joined += 1
        visit = Visit(
            id=body.visit,
            call_id=call_id,
            queue=body.queue,
            client=body.client,
            asked=asked_in(body),
            priority=body.priority,
            joined=ms,
            first_joined=body.first_joined_ms,
            number=self.joined,
            agent=body.agent,
            own=parse(body.own),
            prefer=body.prefer,
            preferred_until=ms + body.prefer_ms if body.prefer_ms else None,
            callback=body.callback,
            reserve=body.reserve_ms,
            without=body.without,
        )
        self.visits[visit.id] = visit
        self._stand_in_line(visit)

    def _stand_in_line(self, visit: Visit) -> None:
        """Let a visit have its place, which hangs on what the queue says about ageing."""
        queue = self.plan.queue(visit.queue)
        visit.aging = aging(queue.age_weight) if queue else 0
        insort(self.lines.setdefault(visit.queue, []), visit.place)
        if visit.one_alone:
            self.asked_for.setdefault(visit.one_alone, {})[visit.id] = None
        self.unsettled[visit.id] = None
        if visit.callback:
            self.callbacks[visit.queue] = self.callbacks.get(visit.queue, 0) + 1
        self._follow_visit(visit)

    def _take_priority(self, visit: Visit, priority: int) -> None:
        """Let a visit stand elsewhere in its line: whatever sorts by the place forgets the one that it had."""
        self.pool.serve(visit)
        line = self.lines[visit.queue]
        drop(line, visit.place)
        visit.priority = priority
        insort(line, visit.place)
        self.unsettled[visit.id] = None
        self._follow_visit(visit)

    def _ask_no_more(self, visit: Visit) -> None:
        """Let the one agent whom the visit is for be asked no more."""
        asking = self.asked_for.get(visit.one_alone)
        if asking is not None and asking.pop(visit.id, visit) is None and not asking:
            del self.asked_for[visit.one_alone]

    def _take_offer(self, body: OfferMade, ms: int) -> None:
        visit = self.visits[body.visit]
        visit.offers, visit.tries = (*visit.offers, body.offer), visit.tries + 1
        self.generation = body.generation
        self.turns[body.queue] = body.agent
        self.engagements[body.offer] = Engagement(
            offer=body.offer,
            visit=body.visit,
            call_id=visit.call_id,
            queue=body.queue,
            agent=self.agents[body.agent],
            ring_for=body.ring_for_ms,
            due=ms + body.lease_ms,
            client=visit.client,
        )
        self.pool.share(visit.client, 1)
        self._follow_visit(visit)

    def _take_engaged(self, engagement: Engagement, body: EngagedFact, ms: int) -> None:
        agent = engagement.agent
        match body:
            case AgentRang():
                engagement.due = min(engagement.due, ms + engagement.ring_for)
            case OfferEnded(result=result):
                agent.missed(result, ms)
                if result is not OfferResult.ACCEPTED:
                    self._take_back_to_line(engagement)
            case CallConnected():
                engagement.connected = True
                agent.misses.clear()
                agent.began_talk(ms)
            case CallHeld(by=by):
                engagement.held_by.add(by)
            case CallResumed(by=by):
                engagement.held_by.discard(by)
            case AgentTookOver(queue=queue):
                engagement.queue = queue
                engagement.held_by.clear()
                agent.began_talk(ms)
            case AgentLegEnded() if engagement.connected:
                agent.ended_talk(ms)
                agent.idle_since = ms
            case AgentLegEnded(by=by) if engagement.visit in self.visits:
                agent.missed(result_of(by), ms)
                self._take_back_to_line(engagement)
            case AgentLegEnded():
                pass  # the caller had left before the bridge

    def _take_back_to_line(self, engagement: Engagement) -> None:
        visit = self.visits.get(engagement.visit)
        if visit is not None:
            visit.offers = tuple(offer for offer in visit.offers if offer != engagement.offer)
            self.unsettled[visit.id] = None
            self._follow_visit(visit)

    def _take_left(self, visit: Visit) -> None:
        self.pool.serve(visit)
        for due in (Due.VISIT, Due.STEP, Due.PREFERENCE):
            self.agenda.set(due, visit.id, None)
        self.stepping.follow(visit.id, None)
        self._ask_no_more(visit)
        line = self.lines[visit.queue]
        drop(line, visit.place)
        if visit.callback:
            self.callbacks[visit.queue] -= 1
        if not line:
            del self.lines[visit.queue]
        self.ended[visit.id] = None
        if len(self.ended) > REMEMBERED_VISITS:
            del self.ended[next(iter(self.ended))]

    def _follow_agent(self, agent: Agent) -> None:
        """Let pool and agenda follow an agent's state, and what hangs on it: his offer's end, his caller's patience."""
        self.pool.follow(agent)
        self.agenda.set(Due.AGENT, agent.id, agent.until)
        self.agenda.set(Due.BREAK, agent.id, agent.break_until)
        if agent.id in self.asked_for:
            self.changed[agent.id] = None
        if engagement := self.engagements.get(agent.offer):
            self.agenda.set(Due.OFFER, engagement.offer, engagement.due if agent.work in OFFERED else None)
            if visit := self.visits.get(engagement.visit):
                self._follow_visit(visit)

    def _follow_presence(self) -> None:
        """Note which queues nobody is there for, and since when, where callers do not wait for nobody."""
        for queue in self.presence.leaving:
            empty = self.presence.sends_away(queue) is not None
            if empty is (queue in self.empty):
                continue
            if empty:
                self.empty[queue] = self.now
            else:
                del self.empty[queue]
            for place in self.lines.get(queue, ()):
                self._follow_visit(self.visits[place[-1]])

    def _follow_visit(self, visit: Visit) -> None:
        """Let pool and agenda follow a visit. No longest wait runs while the agent is on the phone already."""
        queue = self.plan.queue(visit.queue)
        if visit.offers or queue is None:
            self.pool.serve(visit)
        else:
            self.pool.wait(visit, strategy_for(visit, queue))
        steps = () if queue is None or visit.agent else queue.steps[visit.step :]
        if visit.offers and any(self.engagements[offer].agent.work in ON_THE_PHONE for offer in visit.offers):
            patience = None
        elif queue is None:
            # The queue is gone from the configuration: the caller goes on at once. Under another name it is still
            # there, so that the phone that rings may go on to ring.
            patience = None if visit.offers and self.renamed(visit.queue) else visit.joined
        elif visit.callback:
            patience = None  # nobody holds a phone to their ear
        else:
            limit = None if queue.max_wait is None else visit.joined + round(queue.max_wait * 1000)
            given_up = self.given_up_at(visit, queue)
            patience = limit if given_up is None else given_up if limit is None else min(limit, given_up)
        self.agenda.set(Due.VISIT, visit.id, patience)
        self.agenda.set(Due.STEP, visit.id, visit.joined + round(steps[0].after * 1000) if steps else None)
        self.agenda.set(Due.PREFERENCE, visit.id, visit.preferred_until)
        waits = bool(steps) and not visit.offers
        steps_of = (visit.queue, visit.client, visit.asks, text(visit.own), visit.step) if waits else None
        self.stepping.follow(visit.id, steps_of)
