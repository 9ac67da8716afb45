"""Checks: what must hold when every call of a story is over: nothing left, every book closed, every state explained."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from callcenter.acd.matching import why_not
from callcenter.acd.roster import effective
from callcenter.acd.settings import Plan
from callcenter.app.house import House
from callcenter.calls.queue_status import QueueStatus, Today
from callcenter.ledger.agent_time import PARTS, kind, part_of
from callcenter.ledger.days import figures_of
from callcenter.ledger.figures import total
from callcenter.ledger.ledger import fold
from callcenter.model.erasure import MARK
from callcenter.model.facts import (
    AgentLegEnded,
    AgentSkillsChanged,
    AgentStateChanged,
    AgentTookOver,
    CallAnswered,
    CallArrived,
    CallbackRequested,
    CallConnected,
    CallEnded,
    CallQueued,
    Fact,
    OfferEnded,
    OfferMade,
    OutsideConnected,
    PhoneChanged,
    QueueLeft,
    SupervisionEnded,
    SupervisionStarted,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import TAKEN, Device, Direction, EndCause, Intent, Outcome, Side, VisitOutcome, Work
from callcenter.model.timeline import LEFT_OUT, timeline
from callcenter.publish import topics
from callcenter.publish.channels import mistake_in
from callcenter.publish.payloads import call_event, followup_event
from callcenter.publish.publisher import Published
from callcenter.simulation.phone import Phone
from callcenter.sip.endpoint import Endpoint

# What an agent may be doing with no call on the floor.
AT_REST = frozenset({Work.IDLE, Work.WRAP_UP})
# What ends a call although nobody hung up.
FAILURES = frozenset({EndCause.MEDIA_FAILED, EndCause.MEDIA_TIMEOUT, EndCause.NETWORK, EndCause.ERROR})
# A call that a crash of the switch came upon within so many seconds may be unknown to it, or known twice.
AROUND_A_CRASH = 45.0


@dataclass(slots=True)
class Leftovers:
    """What was found, in words; nothing is what one hopes for."""

    found: list[str] = field(default_factory=list)

    def none_or_fail(self) -> None:
        """Fail with everything that was found."""
        assert not self.found, "left over:\n  " + "\n  ".join(self.found)

    def expect(self, holds: bool, sentence: str) -> None:
        """Note ``sentence`` unless it holds."""
        if not holds:
            self.found.append(sentence)


async def look_for_leftovers(house: House, facts: Sequence[Fact], phones: Iterable[Endpoint]) -> Leftovers:
    """Look everywhere. Every call of ``facts`` has to be over."""
    found = Leftovers()
    found.expect(not house.supervisor.calls, f"calls: {list(house.supervisor.calls.values())}")
    found.expect(not house.user_agent.legs, f"legs of the switch: {list(house.user_agent.legs.values())}")
    for who, endpoint in [("switch", house.endpoint), *(("a phone", phone) for phone in phones)]:
        status = endpoint.status()
        left = (status.transactions, status.dialogs, status.sessions)
        found.expect(not any(left), f"{who} keeps transactions, dialogs, sessions: {left}")
    sessions = house.edges.plane.status().sessions
    found.expect(sessions == 0, f"media sessions: {sessions}")
    for trunk in house.trunks:
        found.expect(trunk.calls == 0, f"lines of trunk {trunk.id}: {trunk.calls}")
    found.expect(house.books.open_calls == 0, f"open books: {house.books.open_calls}")
    for queue in (*house.acd.plan.queues, ""):
        found.expect(not house.acd.waiting(queue), f"tickets in {queue}: {house.acd.waiting(queue)}")
    look_at_agents(house, facts, found)
    look_at_visits(facts, found)
    look_at_supervisions(house, facts, found)
    look_at_timelines(facts, found)
    look_at_queues(house, facts, found)
    await look_at_ledger(house, facts, found)
    await look_at_records(house, facts, found)
    return found


def look_at_agents(house: House, facts: Sequence[Fact], found: Leftovers) -> None:
    """Each agent rests, in the state that the facts of this run of the switch tell."""
    ours = (fact for fact in facts if fact.boot == house.stream.boot)
    told = {fact.body.agent: fact.body for fact in ours if isinstance(fact.body, AgentStateChanged)}
    for view in house.acd.agents():
        found.expect(view.work in AT_REST, f"agent {view.id} is {view.work}")
        last = told.get(view.id)
        if last is not None:
            states = (view.intent, view.work, view.device)
            found.expect(
                states == (last.intent, last.work, last.device), f"agent {view.id} is {states}, the facts say {last}"
            )


def look_at_visits(facts: Sequence[Fact], found: Leftovers) -> None:
    """Every visit and every offer began once and ended once; no agent had two offers at once."""
    joined = Counter(fact.body.visit for fact in facts if isinstance(fact.body, CallQueued))
    left = Counter(fact.body.visit for fact in facts if isinstance(fact.body, QueueLeft))
    found.expect(joined == left, f"visits that did not end once: {(joined - left) + (left - joined)}")
    offered: dict[str, str] = {}
    for fact in facts:
        match fact.body:
            case OfferMade(offer=offer, agent=agent):
                found.expect(agent not in offered, f"{agent} has offers {offered.get(agent)} and {offer}")
                offered[agent] = offer
            case OfferEnded(offer=offer, agent=agent):
                found.expect(offered.pop(agent, None) == offer, f"offer {offer} ended and was not open")
            case _:
                pass
    found.expect(not offered, f"offers that never ended: {offered}")


def look_at_timelines(facts: Sequence[Fact], found: Leftovers) -> None:
    """Every fact of a call is told by its timeline, or left out by name; and its durations are those of the record."""
    of_calls: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.call_id is not None:
            of_calls.setdefault(fact.call_id, []).append(fact)
    for call_id, told in of_calls.items():
        if not isinstance(told[0].body, CallArrived):
            continue
        entries, call = timeline(told), Interaction.from_facts(told)
        wanted = [fact.seq for fact in told if type(fact.body) not in LEFT_OUT]
        found.expect([entry.seq for entry in entries] == wanted, f"the timeline of {call_id} does not tell every fact")
        for name, sum_of in (("wait_ms", call.wait_ms), ("talk_ms", call.talk_ms), ("hold_ms", call.hold_ms),
                             ("wrap_up_ms", call.wrap_up_ms)):  # fmt: skip
            times = sum(entry.data.get(name, 0) for entry in entries)
            found.expect(times == sum_of, f"{call_id}: {name} is {sum_of} in the record, {times} in the timeline")
        ended = [entry.ms for entry in entries if entry.kind == "call_ended"]
        found.expect(ended in ([], [call.duration_ms]), f"{call_id} ended at {ended}, after {call.duration_ms}")


def look_at_supervisions(house: House, facts: Sequence[Fact], found: Leftovers) -> None:
    """Whoever began to hear a call heard the end of it, and nobody hears anything any more."""
    found.expect(not len(house.supervisions), f"supervisors in talks: {list(house.supervisions)}")
    lost = {fact.call_id for fact in facts if isinstance(fact.body, CallEnded) and fact.body.cause is EndCause.RESTART}
    began = Counter(fact.body.supervision for fact in facts if isinstance(fact.body, SupervisionStarted))
    ended = Counter(fact.body.supervision for fact in facts if isinstance(fact.body, SupervisionEnded))
    cut = Counter(
        fact.body.supervision for fact in facts if isinstance(fact.body, SupervisionStarted) and fact.call_id in lost
    )
    found.expect(began - cut <= ended <= began, f"began to hear: {began}, ended: {ended}, cut by a crash: {cut}")


def look_at_queues(house: House, facts: Sequence[Fact], found: Leftovers) -> None:
    """What the floor was told last of each queue is what all facts together say."""
    clock = house.edges.clock
    ours = [fact for fact in facts if fact.boot == house.stream.boot]
    ms, now = round(clock.monotonic() * 1000), clock.now()
    for queue in house.acd.plan.queues:
        shown = house.queue_board.shown(queue)
        client = house.services.settings.clients.get(house.acd.plan.queues[queue].client)
        zone = (client.zone if client is not None else None) or UTC
        true = queue_from_facts(queue, ours, house.acd.plan, ms, now.astimezone(zone), facts)
        true = replace(true, planned=house.callbacks.planned(queue))
        found.expect(shown == true, f"queue {queue} was told as {shown}, the facts say {true}")


async def look_at_ledger(house: House, facts: Sequence[Fact], found: Leftovers) -> None:
    """The live ledger stands where a fold over the whole log stands, bit for bit, and every figure adds up.

    Days that were published meanwhile are in the database, and the two together are the whole.
    """
    live, database = house.live_ledger, house.edges.storage.database
    await live.published()
    found.expect(live.ready, "the live ledger has not caught up with the log")
    again = fold(facts)
    # Agents' time runs: up to one moment in both.
    ms = max(again.last_ms, live.ledger.last_ms)
    cells = again.figures(ms)
    whole = total(figures for _, figures in cells.every)
    for gap in cells.gaps():
        found.expect(False, f"figures that do not add up: {gap}")
    waiting = [key for key, figures in cells.visits.items() if figures.waiting]
    found.expect(not waiting, f"callers whom the ledger has waiting: {waiting}")
    kept = [
        figures_of(kind, values)
        for (told,) in await database.fetch_all("SELECT figures FROM metric_rows")
        for kind, by_agent in json.loads(told).items()
        for values in by_agent.values()
    ]
    parts = total((*kept, *(figures for _, figures in live.ledger.figures(ms).every)))
    found.expect(parts == whole, f"published days and the live ledger are {parts}, the facts say {whole}")
    # What is under way, and the cells of days that are not over.
    if not kept:
        told_state, true = live.ledger.plain(), again.plain()
        for name, value in true.items():
            found.expect(told_state[name] == value, f"the live ledger has {name} {told_state[name]}, not {value}")


def queue_from_facts(
    name: str, ours: Sequence[Fact], plan: Plan, ms: int, now: datetime, logged: Sequence[Fact] = ()
) -> QueueStatus:
    """A queue at a moment, worked out the long way: from every fact so far, by the definitions. ``now`` is in the time
    zone of the client.

    ``ours`` are the facts of this boot, ``logged`` those of all; without these there was none before.
    """
    queue = plan.queues[name]
    joined: dict[str, Fact] = {}
    left: set[str] = set()
    states: dict[str, AgentStateChanged] = {}
    talks: dict[str, str] = {}
    changes: dict[str, AgentSkillsChanged] = {}
    for fact in ours:
        match fact.body:
            case CallQueued(visit=visit, queue=where) if where == name:
                joined[visit] = fact
            case QueueLeft(visit=visit):
                left.add(visit)
            case AgentStateChanged(agent=agent) as body:
                states[agent] = body
            case AgentSkillsChanged(agent=agent) as body:
                changes[agent] = body
            case CallConnected(visit=visit, offer=offer) if visit in joined:
                talks[offer] = visit
            case AgentTookOver(offer=offer, queue=where) if where == name:
                talks[offer] = offer
            case AgentLegEnded(offer=offer):
                talks.pop(offer, None)
            case _:
                pass
    waiting = [fact for visit, fact in joined.items() if visit not in left]
    able = [
        agent.id
        for agent in (effective(each, changes.get(each.id), plan.renamed) for each in plan.agents.values())
        if not why_not(agent, queue.client, queue.requirements, queue=queue.id) and agent.id in states
    ]
    parts = Counter(kind(part_of(states[agent])) for agent in able)
    return QueueStatus(
        waiting=len(waiting),
        callbacks=sum(bool(fact.body.callback) for fact in waiting if isinstance(fact.body, CallQueued)),
        longest_since=min((place_since(fact) for fact in waiting), default=None),
        ready=sum(could_be_offered(states[agent]) for agent in able),
        signed_in=sum(states[agent].intent is not Intent.SIGNED_OUT for agent in able),
        talking=len(talks),
        today=today_from_facts(name, logged or ours, ms, now),
        agents=tuple((part, parts[part]) for part in PARTS if parts[part]),
    )


def today_from_facts(name: str, facts: Sequence[Fact], ms: int, now: datetime) -> Today:
    """What the visits to a queue that began on the day of ``now`` came to, worked out the long way."""
    joined: dict[str, Fact] = {}
    left: dict[str, tuple[Fact, QueueLeft]] = {}
    # Whom a supervisor has somebody offered to is in the same visit, of more than one name.
    first: dict[str, str] = {}
    chosen: set[str] = set()
    sent_on: dict[str | None, str] = {}
    for fact in facts:
        match fact.body:
            case CallQueued(visit=visit, queue=where, callback="", agent=agent) if where == name:
                if fact.call_id in sent_on:
                    first[visit] = sent_on.pop(fact.call_id)
                    chosen |= {visit} if agent else set()
                elif _same_day(fact, now):
                    joined[visit] = fact
            case QueueLeft(visit=visit, queue=where, outcome=how, reason=why) as body:
                back = visit in chosen and how in (VisitOutcome.FLOWED_OUT, VisitOutcome.REFUSED)
                if where == name and (back or (how is VisitOutcome.FLOWED_OUT and why == TAKEN)):
                    sent_on[fact.call_id] = first.get(visit, visit)
                else:
                    left[first.get(visit, visit)] = fact, body
            case _:
                pass
    waits, abandoned, counted = [], 0, 0
    for visit, fact in joined.items():
        end = left.get(visit)
        outcome, reason = (end[1].outcome, end[1].reason) if end is not None else (None, "")
        if end is not None and outcome is VisitOutcome.ANSWERED:
            waits.append(end[0].ms - fact.ms)
        abandoned += outcome is VisitOutcome.ABANDONED
        counted += not (
            outcome is VisitOutcome.SHORT_ABANDONED
            or (outcome is VisitOutcome.REFUSED and reason == "closed")
            or (outcome is None and ms - fact.ms < 20_000)
        )
    level = round(sum(wait <= 20_000 for wait in waits) / counted, 4) if counted else None
    asa = int(sum(waits) / len(waits) + 0.5) if waits else None
    return Today(len(joined), len(waits), abandoned, asa, level, level)


def _same_day(fact: Fact, now: datetime) -> bool:
    return fact.at.astimezone(now.tzinfo).date() == now.date()


def place_since(fact: Fact) -> datetime:
    """Since when a caller who joined has a place in line."""
    assert isinstance(fact.body, CallQueued)
    return fact.at - timedelta(milliseconds=fact.ms - fact.body.first_joined_ms)


def could_be_offered(state: AgentStateChanged) -> bool:
    """Whether an agent of this state could be offered a caller."""
    there = (state.intent, state.work, state.device) == (Intent.READY, Work.IDLE, Device.REGISTERED)
    return there and not state.remaining_ms


async def look_at_records(house: House, facts: Sequence[Fact], found: Leftovers) -> None:
    """One record for each call, and one end."""
    arrived = [fact.call_id for fact in facts if isinstance(fact.body, CallArrived)]
    ended = Counter(fact.call_id for fact in facts if isinstance(fact.body, CallEnded))
    found.expect(ended == Counter(arrived), f"calls arrived {arrived}, ended {dict(ended)}")
    for call_id in arrived:
        record = await house.edges.storage.interactions.by_call(call_id or "")
        found.expect(record is not None, f"call {call_id} was not saved")
        if record is not None:
            told = [fact for fact in facts if fact.call_id == call_id]
            found.expect(record == Interaction.from_facts(told).plain(), f"call {call_id}: {record} is not what was")
            look_at_outcome(record, told, found)


def look_at_outcome(record: Mapping[str, Any], facts: Sequence[Fact], found: Leftovers) -> None:
    """The facts of a call bear its outcome out, and its times fit into it."""
    outcome = record["outcome"]
    said = f"call {record['call_id']}: outcome {outcome}"
    bodies = [fact.body for fact in facts]
    answered = any(isinstance(body, CallAnswered) for body in bodies)
    queued = any(isinstance(body, CallQueued) for body in bodies)
    connected = any(isinstance(body, CallConnected | OutsideConnected) for body in bodies)
    (arrived,) = (body for body in bodies if isinstance(body, CallArrived))
    dials_unqueued = arrived.direction is Direction.OUTBOUND and not arrived.callback
    (end,) = (body for body in bodies if isinstance(body, CallEnded))
    found.expect(connected is (outcome == Outcome.HANDLED), f"{said}, connected: {connected}")
    match outcome:
        case Outcome.HANDLED:
            found.expect(answered and queued is not dials_unqueued, f"{said}, and never answered or queued")
        case Outcome.NOT_REACHED:
            found.expect(arrived.direction is not Direction.INBOUND, f"{said} of a call that is {arrived.direction}")
        case Outcome.ABANDONED:
            found.expect(queued and end.by is Side.CALLER, f"{said}, ended by {end.by}, queued: {queued}")
        case Outcome.LEFT_IN_MENU:
            found.expect(not queued and end.by is Side.CALLER, f"{said}, ended by {end.by}, queued: {queued}")
        case Outcome.SELF_SERVED:
            found.expect(answered and end.cause is EndCause.FLOW_ENDED, f"{said}, ended with {end.cause}")
        case Outcome.UNSERVED:
            flowed_out = any(isinstance(body, QueueLeft) and body.outcome is VisitOutcome.FLOWED_OUT for body in bodies)
            found.expect(flowed_out, f"{said}, and never left a queue for want of agents")
        case Outcome.CALLBACK:
            asked = any(isinstance(body, CallbackRequested) for body in bodies)
            found.expect(asked, f"{said}, and never asked for one")
        case Outcome.REFUSED:
            found.expect(end.sip_status >= 400 or queued, f"{said}, ended with {end.sip_status}")
        case Outcome.LOST:
            found.expect(end.by is Side.SYSTEM or end.cause in FAILURES, f"{said}, ended by {end.by} with {end.cause}")
        case _:
            found.expect(False, f"{said} is none")
    parts = record["ivr_ms"] + record["wait_ms"] + record["talk_ms"] + record["hold_ms"]
    found.expect(0 <= parts <= record["duration_ms"], f"{said}: {parts} ms in parts of {record['duration_ms']} ms")


def look_at_callers(
    phones: Iterable[Phone], facts: Sequence[Fact], crashed_at: Iterable[float], found: Leftovers
) -> None:
    """Each call that a phone made is one call of the switch, or none when it was refused at the door.

    A crash makes an exception: what was not written is gone, and an INVITE repeated to the next run is a new call. So
    does erasure: of whose call it was is nothing left.
    """
    arrived = Counter(fact.body.sip_call_id for fact in facts if isinstance(fact.body, CallArrived))
    # Or a part of one, in the place of another phone.
    arrived.update(fact.body.sip_call_id for fact in facts if isinstance(fact.body, PhoneChanged))
    erased = arrived.pop(MARK, 0)
    for phone in phones:
        for call in phone.calls:
            # What follows a star is a code, and no call.
            if (
                call.leg.incoming
                or call.number.startswith("*")
                or any(abs(call.began - at) < AROUND_A_CRASH for at in crashed_at)
            ):
                continue
            count = arrived[call.sip_call_id]
            wanted = (1,) if call.leg.answered else (0, 1)
            if not count and call.leg.answered and erased:
                erased -= 1
                continue
            found.expect(count in wanted, f"{call!r} is {count} calls of the switch, not {wanted}")


def look_at_payloads(messages: Iterable[Published], found: Leftovers) -> None:
    """Everything that was published is as its model says. What a state is cleared by has no payload."""
    wrong = [mistake_in(each.topic, each.payload) for each in messages if each.payload is not None]
    found.expect(not any(wrong), f"published: {next(filter(None, wrong), '')}")


def look_at_events(messages: Iterable[Published], facts: Sequence[Fact], found: Leftovers, *, repeats: bool) -> None:
    """What was published of calls is what the facts say, in order; with ``repeats`` some of it may come again."""
    wanted = []
    for fact in facts:
        if event := call_event(fact):
            wanted.append((topics.call_event(event["call"]), event["seq"]))
        elif event := followup_event(fact):
            wanted.append((topics.followup_event(event["client"]), event["seq"]))
    told = [(each.topic, each.payload["seq"]) for each in messages if each.topic.endswith("/event")]
    first = list(dict.fromkeys(told))
    found.expect(first == wanted, f"events {sorted(set(wanted) ^ set(first)) or 'in another order'}")
    found.expect(repeats or first == told, f"events that came again: {Counter(told) - Counter(first)}")
