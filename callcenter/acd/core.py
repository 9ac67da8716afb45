"""Acd: events and time in, facts and effects out; who gets which call, and when."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from dataclasses import astuple, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, assert_never

from callcenter.acd.agenda import Agenda, Due
from callcenter.acd.agents import (
    MOVES,
    OFFERED,
    ON_THE_PHONE,
    REMOVED,
    Agent,
    AgentView,
    Move,
    begun,
    dismissed,
    forced,
    needs_disposition,
)
from callcenter.acd.audit import Stuck, stuck
from callcenter.acd.engagement import Engagement, result_of
from callcenter.acd.estimate import MOST_SERVERS, Outlook, Server
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
    MakeOffer,
    Offer,
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
    Ticket,
    TicketExpired,
    TicketRefused,
    WithdrawOffer,
    WrapUpAsked,
    WrapUpDone,
    WrapUpExtended,
)
from callcenter.acd.matching import LEVEL, score, ticket_rank, why, why_not
from callcenter.acd.pool import Match, Pool, members
from callcenter.acd.presence import Absence, Presence
from callcenter.acd.queue import Place, TicketView, Visit, aging, drop, position
from callcenter.acd.requirements import Needs, Requirement, merged, parse, plain, text
from callcenter.acd.roster import change_of, effective, same
from callcenter.acd.rosters import Agents
from callcenter.acd.settings import (
    QUEUE_RENAMED,
    AgentSettings,
    Plan,
    QueueSettings,
    RnaRule,
    Strategy,
    WrapUpSettings,
)
from callcenter.acd.why import (
    BY_LOT,
    HELD_BACK,
    NAMED,
    AgentWhy,
    Explanation,
    Passed,
    QueueWhy,
    TicketWhy,
    Waiters,
    cause_words,
)
from callcenter.model.facts import (
    AgentLegEnded,
    AgentRang,
    AgentSkillsChanged,
    AgentStateChanged,
    AgentTookOver,
    Body,
    BreakOverran,
    CallConnected,
    CallHeld,
    CallPrioritised,
    CallQueued,
    CallResumed,
    Decision,
    DispositionChosen,
    Draft,
    Fact,
    OfferEnded,
    OfferMade,
    PreferenceEnded,
    QueueLeft,
    RoutingRelaxed,
    WrapUpEnded,
    changed,
)
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome, Work, WrapUpMode

if TYPE_CHECKING:
    from collections.abc import Container
    from random import Random

WRAPUP_TIMEOUT = "WRAPUP_TIMEOUT"
# Why a waiting caller asks something else of an agent when the queue does so by another configuration.
RELOADED = "reload"

# Of how many agents who may take a waiting caller it is told what keeps them.
NAMED_AGENTS = 20

# How many visits that ended are remembered, so that a Join repeated late brings no ghost into the line.
REMEMBERED_VISITS = 4096

# Of so many kinds of callers, beside those who wait, it is kept who may take them, now and by later routing steps.
KEPT_KINDS = 1024

# No set of agents: what follows from who is signed in is to be looked at once more.
NOBODY_YET = -1

NO_WRAP_UP = WrapUpSettings(WrapUpMode.NONE)
NO_RULE = RnaRule()

# How an offer ends that the one agent whom a visit is for did not take: nobody else can, so the visit ends with it.
NOT_TAKEN = frozenset({OfferResult.NO_ANSWER, OfferResult.BUSY, OfferResult.DECLINED, OfferResult.UNREACHABLE})

OfferEvent: TypeAlias = OfferRinging | OfferAccepted | Connected | OfferFailed | Held | Resumed | TalkMoved | TalkEnded

# Queue, client, what is asked and what of it the ticket asks of its own (both in the text form), and how many routing
# steps are behind it.
Steps: TypeAlias = tuple[str, str, str, str, int]

EngagedFact: TypeAlias = AgentRang | OfferEnded | CallConnected | CallHeld | CallResumed | AgentTookOver | AgentLegEnded


class Asked(TypedDict):
    """What is asked, as facts tell it."""

    requirements: tuple[tuple[str, int], ...]
    needs: str


def asked_as(asked: Needs) -> Asked:
    """What is asked, for a fact: in pairs as far as these can tell it, in the text form else."""
    pairs = plain(asked)
    return Asked(
        requirements=tuple((need.skill, need.minimum) for need in pairs),
        needs=text(asked) if len(pairs) < len(asked) else "",
    )


def asked_in(body: CallQueued | RoutingRelaxed) -> Needs:
    """What a visit asks, as a fact tells it."""
    return parse(body.needs) if body.needs else tuple(Requirement(*pair) for pair in body.requirements)


def asked_at(queue: QueueSettings, step: int, own: Needs) -> Needs:
    """What a queue and a ticket ask together when so many routing steps are behind the caller."""
    if step == 0:
        return merged(queue.requirements, own)
    needs = queue.steps[step - 1].needs
    return merged(() if needs is None else (needs,), own)


def strategy_for(visit: Visit, queue: QueueSettings) -> Strategy:
    """How the agent of a visit is chosen. A callback that all are rung for would dial the customer many times."""
    together = queue.strategy is Strategy.RING_ALL and visit.callback
    return Strategy.LONGEST_IDLE if together else queue.strategy


class Acd:
    """The ACD of one floor: the agents and queues of a plan.

    Its state is what the facts tell and changes by facts alone: :meth:`handle` drafts them and takes them in by the
    code that :meth:`apply` uses, so that the log of a boot, folded over a new Acd, gives the same state. Lines, pool
    and agenda are indexes: they follow from state and plan.

    ``now`` is seconds of a clock that never goes back, kept in whole milliseconds: whoever numbers the facts of a
    decision stamps them with ``round(now * 1000)``.

    Where a strategy leaves the choice to the lot, ``random`` draws; what it drew is told by the fact of the offer.

    While ``offering`` is off nobody is offered anybody: who turns it on again calls :meth:`expire` for the matches.
    """

    def __init__(self, plan: Plan, *, epoch: int = 1, random: Random | None = None) -> None:
        self.epoch = epoch
        self._random = random
        self.offering = True
        self._plan = plan
        # The agents as they are matched: as configured, but for what is changed while the switch runs.
        self._roster: dict[str, AgentSettings] = {}
        self._changes: dict[str, AgentSkillsChanged] = {}
        self._now = 0
        self._agents: dict[str, Agent] = {}
        self._visits: dict[str, Visit] = {}
        self._engagements: dict[str, Engagement] = {}
        self._ended: dict[str, None] = {}
        self._joined = 0
        self._generation = 0
        # Who was offered a caller of each queue last.
        self._turns: dict[str, str] = {}
        self._lines: dict[str, list[Place]] = {}
        # Visits that still have routing steps before them, by all that decides about these.
        self._stepping: dict[Steps, dict[str, None]] = {}
        self._steps_of: dict[str, Steps] = {}
        # Who meets what these ask, and what they ask by each later step; the same until roster or plan changes.
        self._meeting: dict[Steps, tuple[Agents, ...]] = {}
        # Of these, who meets what those ask now who wait; all of them, or too few where it is to be looked up anew.
        self._present: dict[Steps, Agents] = {}
        # How many of a line are callbacks: nobody holds a phone there, and a full queue is full of callers.
        self._callbacks: dict[str, int] = {}
        # Who dialled each own call; who is asked for by name, by which visits; and of these whose state has changed.
        self._dialled: dict[str, str] = {}
        self._asked_for: dict[str, dict[str, None]] = {}
        self._changed: dict[str, None] = {}
        # Visits to look at once more: whether the preferred agent still comes, and anybody for their routing step.
        self._unsettled: dict[str, None] = {}
        self._staff: Agents = 0
        # Since when (ms) nobody has been there for whom the callers of a queue would wait on.
        self._empty: dict[str, int] = {}
        self._facts: list[Draft] = []
        self._effects: list[AcdEffect] = []
        self._index()

    def handle(self, event: AcdEvent, now: float) -> Decision[AcdEffect]:
        """Take an event in. Late, double and unknown ones change nothing; none raises."""
        self._now = max(self._now, round(now * 1000))
        self._on(event)
        return self._decide()

    @property
    def deadline(self) -> float | None:
        """When :meth:`expire` wants to be called; None when nothing is due."""
        due = self._agenda.first
        return None if due is None else due / 1000

    def expire(self, now: float) -> Decision[AcdEffect]:
        """Let pass what is due at ``now``."""
        self._now = max(self._now, round(now * 1000))
        return self._decide()

    def apply(self, fact: Fact) -> None:
        """Take in a fact of this boot's log, in the log's order. Facts that are not the ACD's are passed over.

        After the last one :meth:`expire` offers what the log had not come to offer.
        """
        self._now = max(self._now, fact.ms)
        self._take(fact.body, fact.call_id, fact.ms)

    # What others may see

    @property
    def plan(self) -> Plan:
        """The configuration in force."""
        return self._plan

    def agent(self, agent_id: str) -> AgentView | None:
        """An agent as he is now; None for an unknown one."""
        agent = self._agents.get(agent_id)
        if agent is None or not self._belongs(agent):
            return None
        engagement = self._engagements.get(agent.offer)
        if engagement is None:
            return AgentView.of(agent, self._call_of(agent) or "", "")
        return AgentView.of(agent, engagement.call_id, engagement.queue, engagement.disposition)

    def agents(self) -> tuple[AgentView, ...]:
        """All agents; also those who are gone from the configuration, while they are at work."""
        return tuple(view for agent_id in self._agents if (view := self.agent(agent_id)) is not None)

    def available(self, agent_id: str) -> bool:
        """Whether a caller could be offered to the agent now."""
        agent = self._agents.get(agent_id)
        return agent is not None and self._employed(agent) and agent.available

    def who(self, agent_id: str) -> AgentSettings:
        """Who an agent of the plan is to the routing now. Raises KeyError for anybody else."""
        return self._roster[agent_id]

    def change(self, agent_id: str) -> AgentSkillsChanged | None:
        """What is changed of an agent at run time; None when he is as configured."""
        return self._changes.get(agent_id)

    def stuck(self, calls: Container[str], now: float) -> tuple[Stuck, ...]:
        """What is held for a call that is none of ``calls``, or beyond its end, with the event that lets it go."""
        ms = round(now * 1000)
        return tuple(stuck(self._visits.values(), self._engagements.values(), self._dialled, calls, ms))

    def out(self, reason: str) -> set[str]:
        """Who is not ready for this reason, or will be when the present work ends."""
        away = (Intent.NOT_READY, reason)
        return {
            agent.id
            for agent in self._agents.values()
            if away in ((agent.intent, agent.reason), (agent.next, agent.next_reason))
        }

    def dialled_by(self, call_id: str) -> str:
        """Whose own call this is; empty when it is nobody's, or over."""
        return self._dialled.get(call_id, "")

    def waiting(self, queue: str) -> tuple[TicketView, ...]:
        """The callers of a queue who are not answered yet, in order; among them those being offered.

        The empty name is for those who ask for an agent and were brought by no queue.
        """
        visits = (self._visits[place[-1]] for place in self._lines.get(queue, ()))
        return tuple(self._view(visit, number) for number, visit in enumerate(visits, start=1))

    def ticket(self, ticket_id: str) -> TicketView | None:
        """A caller who is not answered yet; None for all others."""
        visit = self._visits.get(ticket_id)
        return None if visit is None else self._view(visit, position(self._lines[visit.queue], visit.place))

    def _view(self, visit: Visit, number: int) -> TicketView:
        return TicketView(
            id=visit.id,
            call_id=visit.call_id,
            queue=visit.queue,
            client=visit.client,
            priority=visit.priority,
            asked=visit.asked,
            joined=visit.joined / 1000,
            first_joined=visit.first_joined / 1000,
            tries=visit.tries,
            position=number,
            agent=self._engagements[visit.offer].agent.id if visit.offers else "",
            only=visit.agent,
            ringing=tuple(self._engagements[offer].agent.id for offer in visit.offers),
            preferred=visit.prefer if visit.preferred_until is not None else "",
            step=visit.step,
            callback=visit.callback,
        )

    def absence(self, queue: str) -> Absence | None:
        """Why nobody is there for a queue's callers; None when somebody is."""
        return self._presence.absence(queue)

    def outlook(self, ticket_id: str) -> Outlook | None:
        """What a waiting caller has before them; None when they do not wait in a queue for whoever comes free."""
        visit = self._visits.get(ticket_id)
        if visit is None or visit.agent or not visit.queue:
            return None
        servers: list[Server] = []
        agents, ids = self._presence.serving(visit.queue)
        for agent in (self._agents[each] for each in ids):
            if agent.next is Intent.READY and len(servers) < MOST_SERVERS:
                free_at = agent.until if agent.work is Work.WRAP_UP else None
                servers.append(Server(agent.id, None if free_at is None else max(0, free_at - self._now)))
        return Outlook(
            queue=visit.queue,
            position=position(self._lines[visit.queue], visit.place),
            rivals=sum(
                position(line, visit.place) - 1
                for queue, line in self._lines.items()
                if queue != visit.queue and self._presence.share(queue, visit.queue)
            ),
            servers=tuple(servers),
            agents=agents,
        )

    def position(self, ticket_id: str) -> int | None:
        """The caller's place in the queue, from 1; None when he does not wait."""
        visit = self._visits.get(ticket_id)
        return None if visit is None else position(self._lines[visit.queue], visit.place)

    def explain(self, ticket_id: str) -> dict[str, tuple[str, ...]]:
        """For a waiting caller: what keeps each agent from taking the call, in words."""
        visit = self._visits.get(ticket_id)
        if visit is None:
            return {}
        return {
            agent.id: why_not(agent, visit.client, visit.asked, visit.agent, visit.queue)
            + self._agents[agent.id].hindrances()
            for agent in self._roster.values()
        }

    # Why, and why not

    def explain_agent(self, agent_id: str, now: float = 0.0) -> AgentWhy | None:
        """Why an agent is offered nobody though callers wait, or whom he could take; None for an unknown one."""
        agent, settings = self._agents.get(agent_id), self._roster.get(agent_id)
        if agent is None or settings is None:
            return None
        ms = max(self._now, round(now * 1000))
        found: list[Waiters] = []
        for demand in sorted(self._pool.demands_waiting(), key=lambda each: each.rank(ms)):
            only = demand.named if demand.alone else ""
            reasons = why_not(settings, demand.client, demand.asked, only, demand.queue)
            if not reasons and demand.named not in ("", agent_id):
                reasons = (f"they wait for {demand.named} first, who is preferred",)
            if not reasons and agent_id in demand.without:
                reasons = ("he has declined to call them back",)
            step = self._visits[demand.waiting[0][-1]].step
            found.append(Waiters(demand.queue, text(demand.asked), len(demand.waiting), reasons, step))
        offered = Counter(visit.queue for visit in self._visits.values() if visit.offers)
        found += [
            Waiters(queue, "", many, ("they are being offered already",)) for queue, many in sorted(offered.items())
        ]
        return AgentWhy(agent_id, self._hindrances(agent), tuple(found))

    def _hindrances(self, agent: Agent) -> tuple[str, ...]:
        """What keeps an agent from taking anybody, in words, be it his own state or the floor's."""
        return agent.hindrances() + (() if self.offering else (HELD_BACK,))

    def explain_queue(self, queue_id: str, now: float = 0.0) -> QueueWhy | None:
        """How a queue stands and what keeps agents from its first caller; None for an unknown one."""
        queue = self._plan.queues.get(queue_id)
        if queue is None:
            return None
        line = self._lines.get(queue_id, [])
        waiters = []
        for demand in self._pool.demands_waiting():
            if demand.queue == queue_id:
                step = self._visits[demand.waiting[0][-1]].step
                causes = self._pool.excluded(demand)
                words = tuple(
                    f"{many} agent{'s' * (many != 1)} {cause_words(cause, many)}" for cause, many in causes.items()
                )
                waiters.append(Waiters(queue_id, text(demand.asked), len(demand.waiting), words, step))
        first = next((place[-1] for place in line if not self._visits[place[-1]].offers), "")
        claim = self._pool.claim(queue.client)
        return QueueWhy(
            queue=queue_id,
            strategy=queue.strategy,
            waiting=len(line),
            offered=sum(bool(self._visits[place[-1]].offers) for place in line),
            waiters=tuple(waiters),
            first=self.explain_ticket(first, now),
            share=None if claim is None else (claim.share.minimum, claim.share.weight, claim.busy),
        )

    def explain_ticket(self, ticket_id: str, now: float = 0.0) -> TicketWhy | None:
        """Why a caller still waits; None when they do not."""
        visit = self._visits.get(ticket_id)
        if visit is None:
            return None
        ms = max(self._now, round(now * 1000))
        queue = self._plan.queue(visit.queue)
        demand = self._pool.demand_of(ticket_id)
        steps = () if queue is None or visit.agent else queue.steps[visit.step :]
        agents: list[tuple[str, tuple[str, ...]]] = []
        if demand is not None:
            able = (self._pool.roster.ids[number] for number in members(demand.able))
            agents = [(each, self._hindrances(self._agents[each])) for each in islice(able, NAMED_AGENTS)]
            rank = ticket_rank(demand.claim.standing, visit.place, visit.aging, ms)
        else:
            rank = ticket_rank(LEVEL, visit.place, visit.aging, ms)
        return TicketWhy(
            ticket=visit.id,
            call_id=visit.call_id,
            queue=visit.queue,
            position=position(self._lines[visit.queue], visit.place),
            asked=visit.asks,
            step=visit.step,
            next_step=(visit.joined - ms) / 1000 + steps[0].after if steps else None,
            rank=rank,
            now=ms,
            offered_to=tuple(self._engagements[offer].agent.id for offer in visit.offers),
            only=visit.agent,
            preferred=visit.prefer if visit.preferred_until is not None else "",
            excluded={} if demand is None else self._pool.excluded(demand),
            agents=tuple(agents),
        )

    def snapshot(self) -> tuple[Any, ...]:
        """All that the facts told, as a value to compare: with equal ones (and plans) two ACDs decide alike."""
        return (
            sorted(astuple(agent) for agent in self._agents.values() if self._belongs(agent)),
            sorted(astuple(visit) for visit in self._visits.values()),
            [astuple(self._engagements[offer]) for offer in sorted(self._engagements)],
            list(self._ended),
            [astuple(self._changes[agent]) for agent in sorted(self._changes)],
            self._joined,
            self._generation,
            sorted(self._turns.items()),
        )

    def __str__(self) -> str:
        free = sum(self.available(agent_id) for agent_id in self._plan.agents)
        return f"<Acd {len(self._visits)} waiting, {free} of {len(self._plan.agents)} agents free>"

    # Events

    def _on(self, event: AcdEvent) -> None:
        match event:
            case Join(ticket=ticket):
                if ticket.id not in self._visits and ticket.id not in self._ended:
                    self._join(ticket)
            case Leave(ticket_id=ticket_id):
                if visit := self._visits.get(ticket_id):
                    self._leave(visit, event)
            case Prioritised(ticket_id=ticket_id, priority=priority, by=by):
                visit = self._visits.get(ticket_id)
                if visit is not None and visit.priority != priority:
                    self._tell(CallPrioritised(visit.id, visit.queue, priority, by), visit.call_id)
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
                if engagement := self._engagements.get(event.offer_id):
                    self._on_offer(engagement, event)
            case WrapUpDone(agent_id=agent_id) | WrapUpAsked(agent_id=agent_id) | WrapUpExtended(agent_id=agent_id):
                agent = self._agents.get(agent_id)
                if agent and agent.work is Work.WRAP_UP:
                    self._on_wrap_up(agent, event)
            case DispositionGiven(agent_id=agent_id):
                if agent := self._agents.get(agent_id):
                    self._on_disposition(agent, event)
            case DeviceChanged(agent_id=agent_id) | IntentChosen(agent_id=agent_id):
                agent = self._agents.get(agent_id)
                if agent and self._employed(agent):
                    self._on_agent(agent, event)
            case RosterChanged(agent_id=agent_id):
                change = change_of(event)
                if agent_id in self._plan.agents and not same(change, self._changes.get(agent_id)):
                    self._tell(change, None)
            case OwnCallBegan(agent_id=agent_id, call_id=call_id):
                agent = self._agents.get(agent_id)
                if agent and self._employed(agent) and call_id not in self._dialled:
                    self._begin_own_call(agent, call_id)
            case OwnCallEnded(agent_id=agent_id, call_id=call_id):
                agent = self._agents.get(agent_id)
                if agent and call_id in agent.own_calls:
                    self._end_own_call(agent, call_id)
            case Reconfigured(plan=plan):
                self._reconfigure(plan)
            case _:
                assert_never(event)

    def _on_offer(self, engagement: Engagement, event: OfferEvent) -> None:
        match engagement.agent.work, event:
            case Work.RESERVED, OfferRinging():
                self._ring(engagement)
            case Work.RESERVED | Work.RINGING, OfferAccepted():
                self._pick_up(engagement)
            case Work.RESERVED | Work.RINGING, Connected():
                self._pick_up(engagement)
                self._connect(engagement)
            case Work.RESERVED | Work.RINGING, OfferFailed(result=result, detail=detail):
                self._fail(engagement, result, detail)
            case Work.RESERVED | Work.RINGING, TalkEnded(by=by, cause=cause):
                self._fail(engagement, result_of(by), cause)
            case Work.TALKING | Work.HELD | Work.CONSULTING, Connected():
                self._connect(engagement)
            case Work.TALKING | Work.HELD | Work.CONSULTING, Held(by=by):
                self._hold(engagement, by)
            case Work.HELD | Work.CONSULTING, Resumed(by=by):
                self._resume(engagement, by)
            case Work.TALKING | Work.HELD | Work.CONSULTING, TalkMoved(call_id=call_id, queue=queue):
                if engagement.connected and call_id != engagement.call_id:
                    self._move_talk(engagement, call_id, queue)
            case Work.TALKING | Work.HELD | Work.CONSULTING, TalkEnded(by=by, cause=cause):
                self._end_talk(engagement, by, cause)
            case _:
                pass  # too late or told twice: a 180 behind the 200, a refusal behind the pick-up, all in the wrap-up

    # Callers come and go

    def _join(self, ticket: Ticket) -> None:
        queue = self._plan.queue(ticket.queue) if ticket.queue or ticket.agent else None
        if queue is None:
            refusal, priority, action = self._renamed(ticket.queue) or "unknown_queue", 0, ""
            asked: Needs = ticket.requirements
        else:
            refusal = self._refusal(ticket, queue)
            asked = () if ticket.agent else asked_at(queue, 0, ticket.requirements)
            priority, action = queue.priority, queue.action(refusal)
        asks = text(queue.requirements) if queue is not None and not ticket.agent else ""
        origins = (("queue", asks),) if asks else ()
        kept_place = self._now if ticket.first_joined is None else round(ticket.first_joined * 1000)
        own = () if ticket.agent else ticket.requirements
        queued = CallQueued(
            visit=ticket.id,
            queue=ticket.queue,
            client=ticket.client,
            priority=priority if ticket.priority is None else ticket.priority,
            first_joined_ms=min(kept_place, self._now),
            agent=ticket.agent,
            own=text(own),
            prefer="" if ticket.agent else ticket.prefer,
            prefer_ms=0 if ticket.agent or not ticket.prefer else round(ticket.prefer_for * 1000),
            visit_no=ticket.number,
            place_of=ticket.place_of,
            origins=origins + ticket.origins,
            callback=ticket.callback,
            reserve_ms=round(ticket.reserve_for * 1000),
            without=ticket.without,
            **asked_as(asked),
        )
        self._tell(queued, ticket.call_id)
        if refusal:
            self._end_visit(self._visits[ticket.id], VisitOutcome.REFUSED, refusal)
            self._effects.append(TicketRefused(ticket.id, action, refusal))

    def _refusal(self, ticket: Ticket, queue: QueueSettings) -> str:
        """Why a caller may not join, in a word; empty when they may."""
        if ticket.agent:
            refusal = self._absence(ticket.agent, ticket.client)
        elif ticket.callback:
            return ""
        else:
            refusal = "closed" if ticket.closed else str(self._presence.refuses(queue.id) or "")
        callers = len(self._lines.get(queue.id, ())) - self._callbacks.get(queue.id, 0)
        return refusal or ("full" if callers >= queue.max_waiting and not ticket.callback else "")

    def _absence(self, agent_id: str, client: str) -> str:
        """Why a caller who asks for one agent need not wait for him, in a word; empty when he can come."""
        agent, settings = self._agents.get(agent_id), self._roster.get(agent_id)
        if agent is None or settings is None:
            return "unknown_agent"
        if client and client not in settings.clients:
            return "wrong_client"
        if agent.work is not Work.IDLE:
            return ""  # what he will be, and whether his phone is there, shows when his work ends
        if agent.intent is not Intent.READY:
            return str(agent.intent)
        return str(Device.UNREACHABLE) if agent.device is Device.UNREACHABLE else ""

    def _leave(self, visit: Visit, event: Leave) -> None:
        if event.outcome is VisitOutcome.ABANDONED:
            self._abandon(visit, event.reason)
        else:
            self._end_visit(visit, event.outcome, event.reason)
        self._withdraw(visit, event.reason)

    def _abandon(self, visit: Visit, reason: str = "") -> None:
        queue = self._plan.queue(visit.queue)
        short = queue is not None and self._now - visit.joined < queue.short_abandon * 1000
        self._end_visit(visit, VisitOutcome.SHORT_ABANDONED if short else VisitOutcome.ABANDONED, reason)

    def _wait_too_long(self, visit: Visit) -> None:
        queue = self._plan.queue(visit.queue)
        if queue is None:
            self._flow_out(visit, self._renamed(visit.queue) or "queue_removed")
            return
        given_up = self._given_up_at(visit, queue)
        absence = self._presence.sends_away(queue.id) if given_up is not None and given_up <= self._now else None
        self._flow_out(visit, str(absence or "timeout"))

    def _renamed(self, queue_id: str) -> str:
        """Whether a queue that is not there has another name now: then what is told of who goes there."""
        return QUEUE_RENAMED if queue_id in self._plan.renamed else ""

    def _given_up_at(self, visit: Visit, queue: QueueSettings) -> int | None:
        """When (ms) a caller waits no longer for nobody; None while somebody is there."""
        empty = None if visit.agent else self._empty.get(queue.id)
        return None if empty is None else max(empty, visit.joined) + round(queue.leave_after * 1000)

    def _flow_out(self, visit: Visit, reason: str) -> None:
        queue = self._plan.queue(visit.queue)
        self._end_visit(visit, VisitOutcome.FLOWED_OUT, reason)
        self._withdraw(visit, reason)
        self._effects.append(TicketExpired(visit.id, queue.action(reason) if queue else "", reason))

    def _send_on(self, agent_id: str) -> None:
        """Let go on who waits for an agent that will not come."""
        for visit_id in list(self._asked_for.get(agent_id, ())):
            visit = self._visits[visit_id]
            if not visit.agent:
                self._unsettled[visit_id] = None
            elif reason := self._absence(agent_id, visit.client):
                self._flow_out(visit, reason)

    def _end_visit(self, visit: Visit, outcome: VisitOutcome, reason: str = "") -> None:
        self._tell(QueueLeft(visit.id, visit.queue, outcome, reason), visit.call_id)

    def _withdraw(self, visit: Visit, reason: str) -> None:
        """Take back the offers of a caller who left. An agent who picked up is let go by the end of his leg."""
        for offer in visit.offers:
            engagement = self._engagements.get(offer)
            if engagement is None:
                continue
            gone = OfferResult.CALLER_GONE
            self._effects.append(WithdrawOffer(offer, visit.id, engagement.agent.id, gone))
            if engagement.agent.work in OFFERED:
                self._end_offer(engagement, gone, reason)

    # What a waiting caller asks of agents, as time goes by

    def _settle(self, visit: Visit) -> None:
        """Let go at once the preference for an agent who does not come, and a step that nobody is there for."""
        if visit.preferred_until is not None and (reason := self._preference_over(visit)):
            self._end_preference(visit, reason)
        if visit.id in self._steps_of and (step := self._next_step(self._steps_of[visit.id])) is not None:
            self._relax(visit, step, "nobody_signed_in")

    def _settle_all(self) -> None:
        """Who is signed in has changed: see for whom that says something."""
        staff = self._staff = self._pool.signed_in
        if len(self._present) < len(self._stepping):
            self._present = {each: self._who_meets(each)[0] for each in self._stepping}
        for steps in [each for each, who in self._present.items() if not who & staff]:
            if (step := self._next_step(steps)) is not None:
                for visit_id in list(self._stepping[steps]):
                    self._relax(self._visits[visit_id], step, "nobody_signed_in")

    def _preference_over(self, visit: Visit) -> str:
        """Why the preferred agent will not take a caller soon, in a word; empty when he may."""
        agent, settings = self._agents.get(visit.prefer), self._roster.get(visit.prefer)
        if agent is None or settings is None:
            return "unknown_agent"
        if score(settings, visit.client, visit.queue, visit.asked) is None:
            return "cannot_serve"
        if agent.next is not Intent.READY:
            return str(agent.next)
        return str(Device.UNREACHABLE) if agent.device is Device.UNREACHABLE else ""

    def _end_preference(self, visit: Visit, reason: str) -> None:
        self._tell(PreferenceEnded(visit.id, visit.queue, visit.prefer, reason), visit.call_id)

    def _next_step(self, steps: Steps) -> int | None:
        """The step to go to at once: nobody is signed in who meets the present one, and somebody who meets that."""
        present, *later = self._who_meets(steps)
        if present & self._pool.signed_in:
            return None
        return next((step for step, who in enumerate(later, start=steps[-1] + 1) if who & self._pool.signed_in), None)

    def _who_meets(self, steps: Steps) -> tuple[Agents, ...]:
        """Who may take these callers, at the step where they are and at each that follows."""
        found = self._meeting.get(steps)
        if found is None:
            name, client, asked, own, behind = steps
            queue = self._plan.queues[name]
            later = (asked_at(queue, step, parse(own)) for step in range(behind + 1, len(queue.steps) + 1))
            found = tuple(self._pool.able(client, name, needs) for needs in (parse(asked), *later))
            if len(self._meeting) >= KEPT_KINDS + len(self._stepping):
                self._meeting = {each: who for each, who in self._meeting.items() if each in self._stepping}
            self._meeting[steps] = found
        return found

    def _relax(self, visit: Visit, step: int, reason: str) -> None:
        asked = asked_at(self._plan.queues[visit.queue], step, visit.own)
        relaxed = RoutingRelaxed(visit=visit.id, queue=visit.queue, step=step, reason=reason, **asked_as(asked))
        self._tell(relaxed, visit.call_id)

    # Offers

    def _offer_all(self, match: Match) -> None:
        """Offer a ticket to the agent who takes it, or to all who are rung at once."""
        visit = self._visits[match.ticket]
        explained = self._explained(visit, match)
        for agent_id, explanation in zip(match.agents, explained, strict=True):
            self._offer(visit, self._agents[agent_id], explanation)

    def _explained(self, visit: Visit, match: Match) -> list[Explanation]:
        """Why each agent of a match is offered the caller, told before anything is changed by it."""
        pool, demand = self._pool, match.demand
        following, more = pool.next_ones(match)
        excluded = pool.excluded(demand)
        ahead, ahead_more = self._ahead(visit)
        claim = pool.claim(visit.client)
        drawn = demand.strategy in BY_LOT and not demand.alone
        return [
            Explanation(
                agent=agent_id,
                now=self._now,
                ticket_rank=match.rank,
                agent_rank=pool.rank(demand, visit.id, pool.roster.number[agent_id]),
                strategy=demand.strategy,
                asked=visit.asks,
                next=following,
                more=more,
                drawn=match.candidates.bit_count() if drawn and visit.prefer != agent_id else 0,
                together=len(match.agents),
                excluded=excluded,
                ahead=ahead,
                ahead_more=ahead_more,
                step=visit.step,
                only=visit.agent,
                preferred=visit.prefer,
                share=None if claim is None else (claim.share.minimum, claim.share.weight, claim.busy),
                revision=self._plan.revision,
            )
            for agent_id in match.agents
        ]

    def _ahead(self, visit: Visit) -> tuple[tuple[tuple[str, Passed], ...], int]:
        """Who stands before a caller in the queue and is passed over: the first few by name, the others by number."""
        line = self._lines[visit.queue]
        many = position(line, visit.place) - 1
        found = []
        for *_, ticket in line[: min(many, NAMED)]:
            other = self._visits[ticket]
            if other.offers:
                found.append((ticket, Passed.OFFERED))
            else:
                found.append((ticket, Passed.NAMED if other.one_alone else Passed.ASKS_MORE))
        return tuple(found), many - len(found)

    def _offer(self, visit: Visit, agent: Agent, explanation: Explanation) -> None:
        queue = self._plan.queue(visit.queue)
        assert queue is not None, f"{visit} is in no line"
        ring_for = round(queue.ring_for * 1000)
        lease = ring_for + round(self._plan.offer_grace * 1000) + visit.reserve
        made = OfferMade(
            visit=visit.id,
            offer=f"{visit.id}-{visit.tries + 1}",
            generation=self._generation + 1,
            queue=visit.queue,
            agent=agent.id,
            ring_for_ms=ring_for,
            lease_ms=lease,
            explanation=explanation.text(),
            why=why(
                self._roster[agent.id],
                visit.asked,
                self._now - agent.idle_since,
                visit.agent,
                preferred=visit.prefer == agent.id,
            ),
        )
        offer = Offer(
            id=made.offer,
            ticket_id=visit.id,
            call_id=visit.call_id,
            queue=visit.queue,
            agent_id=agent.id,
            epoch=self.epoch,
            generation=made.generation,
            ring_for=ring_for / 1000,
            expires_at=(self._now + lease) / 1000,
            waited=(self._now - visit.joined) / 1000,
            skills=plain(visit.asked),
            why=made.why,
            explanation=made.explanation,
            together=explanation.together,
        )
        self._tell(made, visit.call_id)
        state = agent.state("a caller is offered", self._now)
        self._tell(changed(state, work=MOVES[agent.work, Move.RESERVE], offer=offer.id), visit.call_id)
        self._effects.append(MakeOffer(offer))

    def _ring(self, engagement: Engagement) -> None:
        self._tell(AgentRang(engagement.offer, engagement.agent.id), engagement.call_id)
        self._move(engagement, Move.RING, "the phone rings")

    def _pick_up(self, engagement: Engagement) -> None:
        agent = engagement.agent
        if agent.work is Work.RESERVED:
            self._tell(AgentRang(engagement.offer, agent.id), engagement.call_id)
        ended = OfferEnded(engagement.visit, engagement.offer, agent.id, OfferResult.ACCEPTED)
        self._tell(ended, engagement.call_id)
        self._move(engagement, Move.PICK_UP, "picked up")
        visit = self._visits.get(engagement.visit)
        for offer in visit.offers if visit else ():
            if offer != engagement.offer:
                self._let_off(self._engagements[offer])

    def _let_off(self, engagement: Engagement) -> None:
        """Another agent, rung for the same caller, was faster: nobody's fault, and nothing to pause for."""
        lost = OfferResult.LOST_RACE
        self._effects.append(WithdrawOffer(engagement.offer, engagement.visit, engagement.agent.id, lost))
        ended = OfferEnded(engagement.visit, engagement.offer, engagement.agent.id, lost, "another agent picked up")
        self._tell(ended, engagement.call_id)
        self._free(engagement, Move.RELEASE, "another agent picked up")

    def _fail(self, engagement: Engagement, result: OfferResult, detail: str) -> None:
        """The offer ended on the agent's side, or the caller hung up."""
        visit = self._visits[engagement.visit]
        if result is OfferResult.CALLER_GONE:
            self._abandon(visit)
        self._end_offer(engagement, result, detail)
        if result is OfferResult.CALLER_GONE:
            self._withdraw(visit, detail)

    def _take_back(self, engagement: Engagement, result: OfferResult, detail: str) -> None:
        """The ACD itself ends the offer."""
        self._effects.append(WithdrawOffer(engagement.offer, engagement.visit, engagement.agent.id, result))
        self._end_offer(engagement, result, detail)

    def _end_offer(self, engagement: Engagement, result: OfferResult, detail: str) -> None:
        ended = OfferEnded(engagement.visit, engagement.offer, engagement.agent.id, result, detail)
        self._tell(ended, engagement.call_id)
        self._not_taken(engagement, result)
        self._free(engagement, Move.RELEASE, f"offer ended: {result}", result)

    def _not_taken(self, engagement: Engagement, result: OfferResult) -> None:
        """An offer failed: whoever asked for this agent alone waits no longer, who preferred him does not insist."""
        visit = self._visits.get(engagement.visit)
        if visit is None or result not in NOT_TAKEN:
            return
        if visit.agent:
            self._flow_out(visit, str(result))
        elif visit.preferred_until is not None:
            self._end_preference(visit, str(result))

    # Talks

    def _connect(self, engagement: Engagement) -> None:
        visit = self._visits.get(engagement.visit)
        if visit is None:
            return  # told twice, or the caller left before the bridge
        self._tell(CallConnected(visit.id, engagement.offer, engagement.agent.id), visit.call_id)
        self._end_visit(visit, VisitOutcome.ANSWERED)

    def _hold(self, engagement: Engagement, by: Side) -> None:
        if by in engagement.held_by:
            return
        self._tell(CallHeld(by, engagement.offer), engagement.call_id)
        if engagement.agent.work is Work.TALKING:
            self._move(engagement, Move.HOLD, f"held by the {by}")

    def _resume(self, engagement: Engagement, by: Side) -> None:
        if by not in engagement.held_by:
            return
        self._tell(CallResumed(by, engagement.offer), engagement.call_id)
        if not engagement.held_by and engagement.agent.work is Work.HELD:
            self._move(engagement, Move.RESUME, f"resumed by the {by}")

    def _move_talk(self, engagement: Engagement, call_id: str, queue: str) -> None:
        agent, offer = engagement.agent, engagement.offer
        self._tell(AgentLegEnded(offer, agent.id, Side.SYSTEM, EndCause.TRANSFERRED), engagement.call_id)
        self._tell(AgentTookOver(offer, agent.id, queue), call_id)
        if agent.work is Work.HELD:
            self._move(engagement, Move.RESUME, "handed over")
        else:
            self._tell(agent.state("handed over", self._now), call_id)

    def _end_talk(self, engagement: Engagement, by: Side, cause: EndCause) -> None:
        visit = self._visits.get(engagement.visit)
        if visit is not None and by is Side.CALLER:
            self._abandon(visit)
            visit = None
        self._tell(AgentLegEnded(engagement.offer, engagement.agent.id, by, cause), engagement.call_id)
        if engagement.connected:
            self._wrap_up(engagement)
        else:
            result = OfferResult.CALLER_GONE if visit is None else result_of(by)
            self._not_taken(engagement, result)
            self._free(engagement, Move.RELEASE, f"leg ended before the bridge by the {by}", result)

    def _wrap_up(self, engagement: Engagement) -> None:
        queue = self._plan.queue(self._plan.renamed.get(engagement.queue, engagement.queue))
        settings = (queue and queue.wrap_up) or NO_WRAP_UP
        agent, mode = engagement.agent, settings.mode
        seconds, longer = round(settings.seconds * 1000), round(settings.extend_once * 1000)
        if mode is WrapUpMode.OPTIONAL:
            # What he may ask for is what the time of the choice can be extended by.
            seconds, longer = (round(settings.choice * 1000), seconds) if seconds else (0, 0)
        elif mode is WrapUpMode.MANDATORY:
            seconds = longer = 0
        # Who is gone from the configuration can say nothing any more, and would owe the disposition for ever.
        owed = self._employed(agent) if mode is WrapUpMode.MANDATORY else seconds > 0
        if mode is WrapUpMode.NONE or not owed:
            self._free(engagement, Move.RELEASE, "talk ended")
            return
        state = changed(
            agent.state("talk ended", self._now),
            work=MOVES[agent.work, Move.WRAP_UP],
            remaining_ms=seconds,
            extension_ms=longer,
            wrap_up=mode,
        )
        self._tell(state, engagement.call_id)

    def _on_wrap_up(self, agent: Agent, event: WrapUpDone | WrapUpAsked | WrapUpExtended) -> None:
        optional = agent.wrap_up is WrapUpMode.OPTIONAL
        match event:
            case WrapUpDone(disposition=given, by=by):
                disposition = self._disposition(agent, given)
                if disposition is not None:
                    self._finish(agent, disposition, f"wrap-up done by {by}")
            case WrapUpAsked(by=by) if optional:
                name = self._engagements[agent.offer].queue
                queue = self._plan.queue(self._plan.renamed.get(name, name))
                settings = (queue and queue.wrap_up) or NO_WRAP_UP
                state = changed(
                    agent.state(f"wrap-up asked for by {by}", self._now),
                    remaining_ms=agent.extension,
                    extension_ms=round(settings.extend_once * 1000),
                    wrap_up=WrapUpMode.TIMED,
                )
                self._tell(state, self._call_of(agent))
            case WrapUpExtended(by=by) if agent.extension and not optional:
                state = agent.state(f"wrap-up extended by {by}", self._now)
                longer = state.remaining_ms + agent.extension
                self._tell(changed(state, remaining_ms=longer, extension_ms=0), self._call_of(agent))
            case _:
                pass  # it was extended before, or has no end to extend

    def _disposition(self, agent: Agent, given: str) -> str | None:
        """What a wrap-up ends with by the agent's word; None when it does not end so."""
        engagement = self._engagements[agent.offer]
        known = self._plan.dispositions_of(engagement.queue)
        if given:
            return known.find(given)
        if engagement.disposition:
            return engagement.disposition
        return None if needs_disposition(agent.wrap_up, known) else ""

    def _on_disposition(self, agent: Agent, event: DispositionGiven) -> None:
        engagement = self._engagements.get(agent.offer)
        if engagement is None or engagement.offer != event.offer_id or not engagement.connected:
            return
        found = self._plan.dispositions_of(engagement.queue).find(event.disposition)
        if found:
            chosen = DispositionChosen(engagement.client, agent.id, engagement.offer, found, event.by, event.why)
            self._tell(chosen, engagement.call_id)

    def _finish(self, agent: Agent, disposition: str, cause: str) -> None:
        engagement = self._engagements[agent.offer]
        self._tell(WrapUpEnded(agent.id, engagement.offer, disposition), engagement.call_id)
        self._free(engagement, Move.FINISH, cause)

    # Agents

    def _on_agent(self, agent: Agent, event: DeviceChanged | IntentChosen) -> None:
        match event:
            case DeviceChanged(device=device, cause=cause):
                if device is not agent.device or (device is Device.REGISTERED and agent.given_up):
                    self._change_device(agent, device, cause)
            case IntentChosen(intent=intent, reason=reason):
                self._choose(agent, replace(event, reason="" if intent is Intent.READY else reason))

    def _change_device(self, agent: Agent, device: Device, cause: str) -> None:
        state = changed(agent.state(cause or f"phone {device}", self._now), device=device)
        came_back = agent.device is Device.UNREACHABLE or agent.given_up
        if came_back and agent.work is Work.IDLE:
            state = changed(state, remaining_ms=0)
            sign_in = self._plan.agents[agent.id].sign_in
            chose_to_stay_away = agent.intent is not Intent.READY and not agent.forced
            if agent.intent is not Intent.READY and sign_in is not Intent.SIGNED_OUT and not chose_to_stay_away:
                reason = "" if sign_in is Intent.READY else "signed_in"
                state = forced(state, sign_in, reason)
        self._tell(state, self._call_of(agent))
        if device is Device.UNREACHABLE and agent.work in OFFERED:
            self._take_back(self._engagements[agent.offer], OfferResult.UNREACHABLE, "phone lost")

    def _choose(self, agent: Agent, chosen: IntentChosen) -> None:
        intent, reason, before = chosen.intent, chosen.reason, agent.state("", self._now)
        state = changed(before, next=intent, next_reason=reason)
        if (intent, reason) != (agent.next, agent.next_reason):
            # At least one: 0 would say that it has no limit, where there is nothing left of it.
            limited = chosen.lasts is not None and intent is Intent.NOT_READY
            state = changed(state, next_break_ms=max(1, round((chosen.lasts or 0.0) * 1000)) if limited else 0)
        if agent.work is Work.IDLE:
            state = changed(begun(state), forced=False, remaining_ms=0)
        if state != before:
            cause = f"{intent} chosen by {chosen.by}"
            self._tell(changed(state, cause=cause, by=chosen.by), self._call_of(agent))
        if intent is Intent.SIGNED_OUT and agent.work in OFFERED:
            self._take_back(self._engagements[agent.offer], OfferResult.DECLINED, "signed out")

    def _move(self, engagement: Engagement, move: Move, cause: str) -> None:
        agent = engagement.agent
        self._tell(changed(agent.state(cause, self._now), work=MOVES[agent.work, move]), engagement.call_id)

    def _free(self, engagement: Engagement, move: Move, cause: str, result: OfferResult | None = None) -> None:
        """The agent is through with a caller. He is idle, unless a call goes on that he dialled himself."""
        agent = engagement.agent
        work = MOVES[agent.work, Move.DIAL if move is Move.FINISH and agent.own_calls else move]
        state = changed(agent.state(cause, self._now), work=work, offer="", remaining_ms=0, extension_ms=0)
        state = changed(state, wrap_up=WrapUpMode.NONE)
        self._tell(self._at_rest(agent, state, result) if work is Work.IDLE else state, None)

    def _at_rest(self, agent: Agent, state: AgentStateChanged, result: OfferResult | None) -> AgentStateChanged:
        """His work is over: what was chosen meanwhile holds now; else what follows an offer that failed."""
        state = begun(state)
        rule = self._plan.rna.rule(result) if result else NO_RULE
        if not self._employed(agent):
            state = dismissed(state)
        elif agent.pending:
            state = changed(state, forced=False)
        elif result and rule.limit is not None and agent.misses.get(result, 0) >= rule.limit:
            state = forced(state, Intent.NOT_READY, str(result))
        else:
            state = changed(state, remaining_ms=round(rule.delay * 1000))
        return state

    # Calls that an agent dials

    def _begin_own_call(self, agent: Agent, call_id: str) -> None:
        if agent.work in OFFERED:
            # Whoever dials cannot take a caller too, and did not refuse one: nobody is to blame.
            self._take_back(self._engagements[agent.offer], OfferResult.LOST_RACE, "the agent dials")
        state = changed(agent.state("dials", self._now), own_calls=(*agent.own_calls, call_id))
        if agent.work is Work.IDLE:
            state = changed(state, remaining_ms=0)
        # In a wrap-up the call waits for its end to be his work; beside another of his own it is the same work.
        work = agent.work if agent.work is Work.WRAP_UP else MOVES.get((agent.work, Move.DIAL), agent.work)
        self._tell(changed(state, work=work), call_id)

    def _end_own_call(self, agent: Agent, call_id: str) -> None:
        left = tuple(each for each in agent.own_calls if each != call_id)
        state = changed(agent.state("own call over", self._now), own_calls=left)
        match agent.work:
            case Work.OUTBOUND if not left:
                state = self._at_rest(agent, changed(state, work=MOVES[agent.work, Move.HANG_UP]), None)
            case Work.CONSULTING if not left:
                held = bool(self._engagements[agent.offer].held_by)
                state = changed(state, work=MOVES[agent.work, Move.HOLD if held else Move.RESUME])
            case _:
                pass  # another one goes on, or the wrap-up does
        self._tell(state, call_id)

    def _employed(self, agent: Agent) -> bool:
        return agent.id in self._roster

    def _belongs(self, agent: Agent) -> bool:
        """Whether the agent is to be seen: of the plan, or gone from it and still at work."""
        return self._employed(agent) or agent.work is not Work.IDLE

    def _call_of(self, agent: Agent) -> str | None:
        engagement = self._engagements.get(agent.offer)
        if engagement is not None:
            return engagement.call_id
        return agent.own_calls[-1] if agent.own_calls else None

    # Time, matches, configuration

    def _decide(self) -> Decision[AcdEffect]:
        """After every event: what is due first, so that nobody is offered who must go; then all matches there are."""
        while self._decide_what_is_due():
            pass
        if self.offering:
            for match in self._pool.matches(self._now):
                self._offer_all(match)
        decision = Decision(tuple(self._facts), tuple(self._effects))
        self._facts, self._effects = [], []
        return decision

    def _decide_what_is_due(self) -> bool:
        """Let happen what is due or follows at once; whether there was anything, so that there may be more."""
        some = False
        while entry := self._agenda.take(self._now):
            self._fall_due(*entry)
            some = True
        while self._changed:
            self._send_on(self._changed.popitem()[0])
        while self._unsettled:
            if visit := self._visits.get(self._unsettled.popitem()[0]):
                self._settle(visit)
                some = True
        if self._staff != self._pool.signed_in:
            self._settle_all()
            some = True
        return some

    def _fall_due(self, _when: int, what: Due, whose: str) -> None:
        match what:
            case Due.OFFER:
                engagement = self._engagements[whose]
                if engagement.agent.work is Work.RINGING:
                    self._take_back(engagement, OfferResult.NO_ANSWER, "rang too long")
                else:
                    self._take_back(engagement, OfferResult.UNREACHABLE, "never rang")
            case Due.PREFERENCE:
                self._end_preference(self._visits[whose], "time")
            case Due.STEP:
                visit = self._visits[whose]
                self._relax(visit, visit.step + 1, "time")
            case Due.VISIT:
                self._wait_too_long(self._visits[whose])
            case Due.AGENT:
                agent = self._agents[whose]
                if agent.work is Work.WRAP_UP and agent.wrap_up is WrapUpMode.OPTIONAL:
                    self._finish(agent, self._engagements[agent.offer].disposition, "no wrap-up asked for")
                elif agent.work is Work.WRAP_UP:
                    said = self._engagements[agent.offer].disposition
                    self._finish(agent, said or WRAPUP_TIMEOUT, "wrap-up timed out")
                else:
                    self._tell(changed(agent.state("pause over", self._now), remaining_ms=0), None)
            case Due.BREAK:
                agent = self._agents[whose]
                self._tell(BreakOverran(agent.id, agent.reason), None)
                state = agent.state(f"{agent.reason or 'not ready'}: as long as it may be", self._now)
                self._tell(changed(state, break_ms=0, overrun=True), self._call_of(agent))
            case _:
                assert_never(what)

    def _reconfigure(self, plan: Plan) -> None:
        self._plan = plan
        # What was changed of an agent stays, until he is gone: who comes back is who the configuration says.
        for agent_id, change in list(self._changes.items()):
            if agent_id not in plan.agents:
                self._tell(AgentSkillsChanged(agent_id, REMOVED), None)
            elif plan.renamed.keys() & set(change.queues):
                queues = {plan.renamed.get(queue, queue) for queue in change.queues}
                self._tell(replace(change, queues=tuple(sorted(queues))), None)
        self._index()
        for visit in self._visits.values():
            self._ask_anew(visit)
        for agent in self._agents.values():
            if self._employed(agent):
                continue
            if agent.work in OFFERED:
                self._take_back(self._engagements[agent.offer], OfferResult.UNREACHABLE, REMOVED)
            elif agent.work is Work.WRAP_UP and agent.until is None:
                self._finish(agent, "", REMOVED)
            elif agent.work is Work.IDLE:
                state = agent.state(REMOVED, self._now)
                if dismissed(state) != state:
                    self._tell(dismissed(state), None)

    def _ask_anew(self, visit: Visit) -> None:
        """Let who waits ask what the queue asks by now, at the routing step that the wait has come to."""
        queue = self._plan.queue(visit.queue)
        if queue is None or visit.agent:
            return
        due = sum(round(step.after * 1000) <= self._now - visit.joined for step in queue.steps)
        step = max(due, min(visit.step, len(queue.steps)))
        if (step, asked_at(queue, step, visit.own)) != (visit.step, visit.asked):
            self._relax(visit, step, RELOADED)

    def _index(self) -> None:
        """Build pool and agenda anew, from plan and state."""
        self._roster = {
            agent.id: effective(agent, self._changes.get(agent.id), self._plan.renamed)
            for agent in self._plan.agents.values()
        }
        self._pool = Pool(self._plan, self._roster.values(), self._random)
        self._pool.turns = self._turns
        self._presence = Presence(self._plan, self._roster.values())
        self._agenda = Agenda()
        self._stepping, self._steps_of, self._lines, self._callbacks = {}, {}, {}, {}
        self._meeting.clear()
        self._present.clear()
        for agent_id in self._roster:
            self._agents.setdefault(agent_id, Agent(agent_id))
        for engagement in self._engagements.values():
            self._pool.share(engagement.client, 1)
        for agent in self._agents.values():
            self._follow_agent(agent)
            self._presence.follow(agent)
        self._empty = {queue: since for queue, since in self._empty.items() if queue in self._presence.leaving}
        self._follow_presence()
        for visit in self._visits.values():
            self._stand_in_line(visit)

    # Facts

    def _tell(self, body: Body, call_id: str | None) -> None:
        self._facts.append(Draft(body, call_id))
        self._take(body, call_id, self._now)

    def _take(self, body: Body, call_id: str | None, ms: int) -> None:
        """Take in what happened at ``ms``: the only place where the state changes."""
        match body:
            case AgentStateChanged():
                self._take_agent_state(body, ms)
            case AgentSkillsChanged():
                self._take_change(body)
            case CallQueued():
                self._take_queued(body, call_id or "", ms)
            case RoutingRelaxed(visit=visit_id, step=step):
                if visit := self._visits.get(visit_id):
                    visit.ask(asked_in(body))
                    visit.step = step
                    self._follow_visit(visit)
                    self._unsettled[visit_id] = None
            case CallPrioritised(visit=visit_id, priority=priority):
                if visit := self._visits.get(visit_id):
                    self._take_priority(visit, priority)
            case PreferenceEnded(visit=visit_id):
                if visit := self._visits.get(visit_id):
                    self._ask_no_more(visit)
                    visit.preferred_until = None
                    self._follow_visit(visit)
            case OfferMade():
                self._take_offer(body, ms)
            case AgentTookOver():
                if engagement := self._engagements.get(body.offer):
                    engagement.call_id = call_id or ""
                    self._take_engaged(engagement, body, ms)
            case AgentRang() | OfferEnded() | CallConnected() | CallHeld() | CallResumed() | AgentLegEnded():
                if engagement := self._engagements.get(body.offer):
                    self._take_engaged(engagement, body, ms)
            case DispositionChosen(offer=offer, disposition=disposition):
                if engagement := self._engagements.get(offer):
                    engagement.disposition = disposition
            case QueueLeft(visit=visit_id):
                if visit := self._visits.pop(visit_id, None):
                    self._take_left(visit)
            case _:
                pass  # WrapUpEnded, BreakOverran: the state that follows says it all; and what others tell

    def _take_agent_state(self, body: AgentStateChanged, ms: int) -> None:
        agent = self._agents.setdefault(body.agent, Agent(body.agent))
        if agent.offer and not body.offer:
            self._pool.share(self._engagements.pop(agent.offer).client, -1)
            self._agenda.set(Due.OFFER, agent.offer, None)
        for call_id in agent.own_calls:
            del self._dialled[call_id]
        agent.take(body, ms)
        self._dialled.update(dict.fromkeys(agent.own_calls, agent.id))
        self._follow_agent(agent)
        if self._presence.follow(agent):
            self._follow_presence()

    def _take_change(self, body: AgentSkillsChanged) -> None:
        self._changes.pop(body.agent, None)
        if body.changed:
            self._changes[body.agent] = body
        configured = self._plan.agents.get(body.agent)
        if configured is not None:
            self._roster[body.agent] = effective(configured, body, self._plan.renamed)
            self._pool.change_agent(self._roster[body.agent])
            self._meeting.clear()
            self._present.clear()
            if self._presence.change_agent(self._roster[body.agent]):
                self._follow_presence()
            if body.agent in self._asked_for:
                self._changed[body.agent] = None
            self._staff = NOBODY_YET  # who is signed in is as before, and may be of another step's kind

    def _take_queued(self, body: CallQueued, call_id: str, ms: int) -> None:
        self._joined += 1
        visit = Visit(
            id=body.visit,
            call_id=call_id,
            queue=body.queue,
            client=body.client,
            asked=asked_in(body),
            priority=body.priority,
            joined=ms,
            first_joined=body.first_joined_ms,
            number=self._joined,
            agent=body.agent,
            own=parse(body.own),
            prefer=body.prefer,
            preferred_until=ms + body.prefer_ms if body.prefer_ms else None,
            callback=body.callback,
            reserve=body.reserve_ms,
            without=body.without,
        )
        self._visits[visit.id] = visit
        self._stand_in_line(visit)

    def _stand_in_line(self, visit: Visit) -> None:
        """Let a visit have its place, which hangs on what the queue says about ageing."""
        queue = self._plan.queue(visit.queue)
        visit.aging = aging(queue.age_weight) if queue else 0
        insort(self._lines.setdefault(visit.queue, []), visit.place)
        if visit.one_alone:
            self._asked_for.setdefault(visit.one_alone, {})[visit.id] = None
        self._unsettled[visit.id] = None
        if visit.callback:
            self._callbacks[visit.queue] = self._callbacks.get(visit.queue, 0) + 1
        self._follow_visit(visit)

    def _take_priority(self, visit: Visit, priority: int) -> None:
        """Let a visit stand elsewhere in its line: whatever sorts by the place forgets the one that it had."""
        self._pool.serve(visit)
        line = self._lines[visit.queue]
        drop(line, visit.place)
        visit.priority = priority
        insort(line, visit.place)
        self._unsettled[visit.id] = None
        self._follow_visit(visit)

    def _ask_no_more(self, visit: Visit) -> None:
        """Let the one agent whom the visit is for be asked no more."""
        asking = self._asked_for.get(visit.one_alone)
        if asking is not None and asking.pop(visit.id, visit) is None and not asking:
            del self._asked_for[visit.one_alone]

    def _take_offer(self, body: OfferMade, ms: int) -> None:
        visit = self._visits[body.visit]
        visit.offers, visit.tries = (*visit.offers, body.offer), visit.tries + 1
        self._generation = body.generation
        self._turns[body.queue] = body.agent
        self._engagements[body.offer] = Engagement(
            offer=body.offer,
            visit=body.visit,
            call_id=visit.call_id,
            queue=body.queue,
            agent=self._agents[body.agent],
            ring_for=body.ring_for_ms,
            due=ms + body.lease_ms,
            client=visit.client,
        )
        self._pool.share(visit.client, 1)
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
            case AgentLegEnded(by=by) if engagement.visit in self._visits:
                agent.missed(result_of(by), ms)
                self._take_back_to_line(engagement)
            case AgentLegEnded():
                pass  # the caller had left before the bridge

    def _take_back_to_line(self, engagement: Engagement) -> None:
        visit = self._visits.get(engagement.visit)
        if visit is not None:
            visit.offers = tuple(offer for offer in visit.offers if offer != engagement.offer)
            self._unsettled[visit.id] = None
            self._follow_visit(visit)

    def _take_left(self, visit: Visit) -> None:
        self._pool.serve(visit)
        for due in (Due.VISIT, Due.STEP, Due.PREFERENCE):
            self._agenda.set(due, visit.id, None)
        self._group(visit, None)
        self._ask_no_more(visit)
        line = self._lines[visit.queue]
        drop(line, visit.place)
        if visit.callback:
            self._callbacks[visit.queue] -= 1
        if not line:
            del self._lines[visit.queue]
        self._ended[visit.id] = None
        if len(self._ended) > REMEMBERED_VISITS:
            del self._ended[next(iter(self._ended))]

    def _follow_agent(self, agent: Agent) -> None:
        """Let pool and agenda follow an agent's state, and what hangs on it: his offer's end, his caller's patience."""
        self._pool.follow(agent)
        self._agenda.set(Due.AGENT, agent.id, agent.until)
        self._agenda.set(Due.BREAK, agent.id, agent.break_until)
        if agent.id in self._asked_for:
            self._changed[agent.id] = None
        if engagement := self._engagements.get(agent.offer):
            self._agenda.set(Due.OFFER, engagement.offer, engagement.due if agent.work in OFFERED else None)
            if visit := self._visits.get(engagement.visit):
                self._follow_visit(visit)

    def _follow_presence(self) -> None:
        """Note which queues nobody is there for, and since when, where callers do not wait for nobody."""
        for queue in self._presence.leaving:
            empty = self._presence.sends_away(queue) is not None
            if empty is (queue in self._empty):
                continue
            if empty:
                self._empty[queue] = self._now
            else:
                del self._empty[queue]
            for place in self._lines.get(queue, ()):
                self._follow_visit(self._visits[place[-1]])

    def _follow_visit(self, visit: Visit) -> None:
        """Let pool and agenda follow a visit. No longest wait runs while the agent is on the phone already."""
        queue = self._plan.queue(visit.queue)
        if visit.offers or queue is None:
            self._pool.serve(visit)
        else:
            self._pool.wait(visit, strategy_for(visit, queue))
        steps = () if queue is None or visit.agent else queue.steps[visit.step :]
        if visit.offers and any(self._engagements[offer].agent.work in ON_THE_PHONE for offer in visit.offers):
            patience = None
        elif queue is None:
            # The queue is gone from the configuration: the caller goes on at once. Under another name it is still
            # there, so that the phone that rings may go on to ring.
            patience = None if visit.offers and self._renamed(visit.queue) else visit.joined
        elif visit.callback:
            patience = None  # nobody holds a phone to their ear
        else:
            limit = None if queue.max_wait is None else visit.joined + round(queue.max_wait * 1000)
            given_up = self._given_up_at(visit, queue)
            patience = limit if given_up is None else given_up if limit is None else min(limit, given_up)
        self._agenda.set(Due.VISIT, visit.id, patience)
        self._agenda.set(Due.STEP, visit.id, visit.joined + round(steps[0].after * 1000) if steps else None)
        self._agenda.set(Due.PREFERENCE, visit.id, visit.preferred_until)
        waits = bool(steps) and not visit.offers
        self._group(visit, (visit.queue, visit.client, visit.asks, text(visit.own), visit.step) if waits else None)

    def _group(self, visit: Visit, steps: Steps | None) -> None:
        """Let a visit be among those of the same routing step, or (None) among none."""
        before = self._steps_of.get(visit.id)
        if before == steps:
            return
        if before is not None:
            del self._steps_of[visit.id]
            others = self._stepping[before]
            del others[visit.id]
            if not others:
                del self._stepping[before]
                self._present.pop(before, None)
        if steps is not None:
            self._steps_of[visit.id] = steps
            if steps not in self._stepping:
                self._stepping[steps] = {}
                self._present[steps] = self._who_meets(steps)[0]
            self._stepping[steps][visit.id] = None
