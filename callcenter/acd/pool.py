"""Pool: free agents and waiting tickets, so that a match costs the same however many there are of each.

Tickets that ask the same in one queue are of one demand, in order. Who may take a demand is a set of agents, a bit for
each (``rosters``); cut with the set of the free ones it tells at once whether anybody can, and the order in which
agents became free tells who. A free agent looks at the first ticket of each demand that he may take, which he knows.
Tickets for one agent alone are demands of their own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import compress
from typing import TYPE_CHECKING, TypeAlias

from callcenter.acd.agents import Agent
from callcenter.acd.matching import (
    LEVEL,
    NO_SHARE,
    ONE_ALONE,
    AgentRank,
    Standing,
    TicketRank,
    agent_rank,
    score,
    standing,
    ticket_rank,
)
from callcenter.acd.queue import Place, Visit, aging, drop
from callcenter.acd.requirements import Needs, merged, text
from callcenter.acd.rosters import Agents, Roster
from callcenter.acd.settings import RING_ALL_MOST, AgentSettings, Plan, Share, Strategy
from callcenter.acd.why import BY_LOT, NAMED, Cause
from callcenter.model.states import Device, Intent, Work

if TYPE_CHECKING:
    from random import Random

# Client, queue, what is asked (in the text form), how the agent is chosen, what waiting counts; the only agent who is
# asked, and whether nobody else ever is.
Ask: TypeAlias = tuple[str, str, str, Strategy, int, str, bool, tuple[str, ...]]

# Demands kept beyond one for each queue, for what callers add to theirs. Further ones go with their last ticket: what
# tickets may ask is not ours to bound.
SPARE_DEMANDS = 256


RULES = (Cause.OTHER_CLIENT, Cause.OTHER_QUEUE, Cause.SKILL)
STATES = (Cause.SIGNED_OUT, Cause.NOT_READY, Cause.UNREACHABLE, Cause.AT_WORK, Cause.PAUSING)


@dataclass(slots=True, eq=False)
class Claim:
    """What a client has of the floor: its share, and how many agents are at work for it."""

    share: Share
    busy: int = 0
    standing: Standing = LEVEL


@dataclass(slots=True, eq=False)
class Demand:
    """A kind of ticket: those that wait, in order, and the agents who may take them.

    ``named`` is the only agent who is asked, or empty. ``tiers`` are the agents by how well they match, the best
    first, when the strategy asks for that; ``out`` counts those who may not take them, whatever their state, by cause.
    """

    ask: Ask
    asked: Needs
    serial: int
    claim: Claim
    able: Agents
    waiting: list[Place] = field(default_factory=list)
    tiers: list[tuple[int, Agents]] | None = None
    out: dict[Cause, int] | None = None
    gone: bool = False

    @property
    def client(self) -> str:
        """The company in whose name they wait."""
        return self.ask[0]

    @property
    def queue(self) -> str:
        """Where they wait."""
        return self.ask[1]

    @property
    def strategy(self) -> Strategy:
        """How their agent is chosen."""
        return self.ask[3]

    @property
    def aging(self) -> int:
        """What waiting gains them."""
        return self.ask[4]

    @property
    def named(self) -> str:
        """The only agent who is asked."""
        return self.ask[5]

    @property
    def alone(self) -> bool:
        """Whether nobody else ever is."""
        return self.ask[6]

    @property
    def without(self) -> tuple[str, ...]:
        """Who is not asked, whatever they know."""
        return self.ask[7]

    def rank(self, now: int) -> TicketRank:
        """The rank of the first in line."""
        return ticket_rank(self.claim.standing, self.waiting[0], self.ask[4], now)


@dataclass(frozen=True, slots=True)
class Match:
    """A ticket and who takes it: one agent, or all who are rung at once; who else could is in ``candidates``."""

    ticket: str
    agents: tuple[str, ...]
    demand: Demand
    rank: TicketRank
    candidates: Agents


@dataclass(slots=True)
class _Known:
    """What an agent knows of the demands: those that he may take, up to a serial number."""

    demands: list[Demand] = field(default_factory=list)
    serial: int = 0


class Pool:
    """Who is free and who waits. Holds no state of its own: it follows what it is told."""

    def __init__(self, plan: Plan, roster: Iterable[AgentSettings], random: Random | None = None) -> None:
        self.roster = Roster(())
        self._plan = plan
        self._random = random
        # Sets of agents, for matches and for what is told of them.
        self.free: Agents = 0
        self.signed_in: Agents = 0
        self.ready: Agents = 0
        self.reachable: Agents = 0
        self.at_rest: Agents = 0
        self._marks: list[int] = []
        self._people: list[Agent | None] = []
        # Free agents in the order in which they became it; by calls and by talk where a strategy counts these.
        self._idle: list[tuple[int, int]] = []
        self._talked: list[tuple[int, int, int]] = []
        self._called: dict[int, Agents] = {}
        self._keys: dict[int, tuple[int, int, int]] = {}
        used = {queue.strategy for queue in (*plan.queues.values(), plan.direct)}
        self._counts_calls = Strategy.FEWEST_CALLS in used
        self._counts_talk = Strategy.LEAST_TALK in used
        self._weights: dict[int, Agents] = {}
        # Who was offered a caller of a queue last.
        self.turns: dict[str, str] = {}
        self._claims: dict[str, Claim] = {}
        self._alone = Claim(NO_SHARE, 0, ONE_ALONE)
        self._demands: dict[Ask, Demand] = {}
        self._demands_kept = len(plan.queues) + SPARE_DEMANDS
        # The demands in the order of their serials, and who may take each: a row of bytes for each, a bit for an agent.
        self._created: list[Demand] = []
        self._able = bytearray()
        self._stride = 1
        self._serial = 0
        self._gone = 0
        self._known: list[_Known] = []
        self._named: dict[str, dict[Ask, Demand]] = {}
        self._waiting: dict[str, Demand] = {}
        self._preferred: dict[str, str] = {}
        self._new_agents: dict[int, None] = {}
        self._new_demands: dict[int, Demand] = {}
        for agent in roster:
            self.change_agent(agent)
        # Agents get to know these as they sign in, not when the first caller waits for them.
        for queue in plan.queues.values():
            asked = merged(queue.requirements)
            points = aging(queue.age_weight)
            self._demand((queue.client, queue.id, text(asked), queue.strategy, points, "", False, ()), asked)

    # Agents

    def change_agent(self, settings: AgentSettings) -> None:
        """Let an agent, new or known, have other skills, clients, queues or weight; if he was free he still is."""
        before = self.roster.number.get(settings.id)
        if before is not None:
            self._weights[self.roster.settings[before].weight] &= ~(1 << before)
        number = self.roster.change(settings)
        if before is None:
            self._marks.append(0)
            self._people.append(None)
            self._known.append(_Known())
        else:
            self._known[number] = _Known()
        bit = 1 << number
        self._weights[settings.weight] = self._weights.get(settings.weight, 0) | bit
        if number >= 8 * self._stride:
            self._stride = 2 * self._stride
            self._lay_out()
        byte = number >> 3
        for demand in (*self._created, *self._named.get(settings.id, {}).values()):
            may = demand.alone or score(settings, demand.client, demand.queue, demand.asked) is not None
            may = may and settings.id not in demand.without
            demand.able = demand.able | bit if may else demand.able & ~bit
            demand.tiers = demand.out = None
        for row, demand in enumerate(self._created):
            eight = demand.able >> 8 * byte & 255
            self._able[row * self._stride + byte] = eight
        if self.free & bit:
            self._new_agents[number] = None

    def follow(self, agent: Agent) -> None:
        """Let an agent be found, or no more, as his state says. Strangers to the roster are passed over."""
        number = self.roster.number.get(agent.id)
        if number is None:
            return
        self._people[number] = agent
        marks = (
            (agent.intent is not Intent.SIGNED_OUT)
            | (agent.intent is Intent.READY) << 1
            | (agent.device is Device.REGISTERED) << 2
            | (agent.work is Work.IDLE) << 3
        )
        if marks != self._marks[number]:
            self._mark(number, marks)
        key = (agent.idle_since, agent.calls, agent.talk) if agent.available else None
        if self._keys.get(number) != key:
            self._engage(number)
            if key is not None:
                self._release(number, key)

    def _mark(self, number: int, marks: int) -> None:
        bit, changed = 1 << number, marks ^ self._marks[number]
        self._marks[number] = marks
        if changed & 1:
            self.signed_in ^= bit
            self._demands_of(number)
        if changed & 2:
            self.ready ^= bit
        if changed & 4:
            self.reachable ^= bit
        if changed & 8:
            self.at_rest ^= bit

    def _release(self, number: int, key: tuple[int, int, int]) -> None:
        idle_since, calls, talk = self._keys[number] = key
        self.free |= 1 << number
        insort(self._idle, (idle_since, number))
        if self._counts_talk:
            insort(self._talked, (talk, idle_since, number))
        if self._counts_calls:
            self._called[calls] = self._called.get(calls, 0) | 1 << number
        self._new_agents[number] = None

    def _engage(self, number: int) -> None:
        key = self._keys.pop(number, None)
        if key is None:
            return
        idle_since, calls, talk = key
        self.free ^= 1 << number
        del self._idle[bisect_left(self._idle, (idle_since, number))]
        if self._counts_talk:
            del self._talked[bisect_left(self._talked, (talk, idle_since, number))]
        if self._counts_calls:
            self._called[calls] ^= 1 << number
            if not self._called[calls]:
                del self._called[calls]
        self._new_agents.pop(number, None)

    def able(self, client: str, queue: str, asked: Needs) -> Agents:
        """Who may take a caller of a client in a queue who asks this much, free or not."""
        return self.roster.able(client, queue, asked)

    # Tickets

    def wait(self, visit: Visit, strategy: Strategy) -> None:
        """Let a ticket be found. May be called twice."""
        only = visit.one_alone
        ask = (visit.client, visit.queue, visit.asks, strategy, visit.aging, only, bool(visit.agent), visit.without)
        demand = self._waiting.get(visit.id)
        if demand is not None:
            if demand.ask == ask:
                return
            self.serve(visit)
        demand = self._demand(ask, visit.asked)
        insort(demand.waiting, visit.place)
        self._waiting[visit.id] = demand
        if visit.prefer:
            self._preferred[visit.id] = visit.prefer
        self._new_demands[demand.serial] = demand

    def serve(self, visit: Visit) -> None:
        """Let a ticket not be found any more. May be called twice."""
        demand = self._waiting.pop(visit.id, None)
        if demand is None:
            return
        self._preferred.pop(visit.id, None)
        drop(demand.waiting, visit.place)
        if demand.waiting:
            return
        self._new_demands.pop(demand.serial, None)
        if demand.named:
            named = self._named[demand.named]
            del named[demand.ask]
            if not named:
                del self._named[demand.named]
        elif len(self._demands) > self._demands_kept:
            self._forget(demand)

    def share(self, client: str, change: int) -> None:
        """So many more agents are at work for a client."""
        claim = self._claim(client)
        claim.busy += change
        if self._plan.shares:
            claim.standing = standing(claim.share, claim.busy)

    def claim(self, client: str) -> Claim | None:
        """What a client has of the floor; None where there are no shares."""
        return self._claim(client) if self._plan.shares else None

    def _claim(self, client: str) -> Claim:
        claim = self._claims.get(client)
        if claim is None:
            share = self._plan.shares.get(client, NO_SHARE)
            level = standing(share, 0) if self._plan.shares else LEVEL
            claim = self._claims[client] = Claim(share, 0, level)
        return claim

    # Matches

    def matches(self, now: int) -> Iterator[Match]:
        """The matches there are at ``now`` (ms), the one that ranks first of all pairs first.

        Whoever takes one lets ticket and agents not be found any more before the next is asked for. After the last,
        nobody free may take anybody waiting; so the next time a match must have somebody in it who is new.
        """
        demands, self._new_demands = self._new_demands, {}
        agents, self._new_agents = self._new_agents, {}
        line: list[tuple[TicketRank, int]] = []
        found: tuple[TicketRank, Demand] | None = None
        for which in (*demands, *(~number for number in agents)):
            found = self._still(which, demands, now)
            if found is not None:
                line.append((found[0], which))
        # Mostly it is one caller or agent who is new, and what was found just now still holds.
        fresh = found if len(demands) + len(agents) == 1 else None
        heapify(line)
        # While matches are made a rank gets worse at most: who else has got the ticket, or the client another agent.
        while line:
            rank, which = heappop(line)
            found, fresh = fresh or self._still(which, demands, now), None
            if found is None:
                continue
            if found[0] > rank:
                heappush(line, (found[0], which))
                continue
            match = self._match(found[1], found[0])
            yield match
            assert match.ticket not in self._waiting or not self.is_free(match.agents[0]), (
                f"{match.agents[0]} did not take {match.ticket}"
            )
            heappush(line, (rank, which))

    def _still(self, which: int, demands: dict[int, Demand], now: int) -> tuple[TicketRank, Demand] | None:
        """What a demand (by its serial) or an agent (by his number, inverted) would be matched by now."""
        if which < 0:
            return self._first_for(~which, now) if self.free >> ~which & 1 else None
        demand = demands[which]
        return (demand.rank(now), demand) if demand.waiting and demand.able & self.free else None

    def is_free(self, agent_id: str) -> bool:
        """Whether an agent can be found."""
        number = self.roster.number.get(agent_id)
        return number is not None and bool(self.free >> number & 1)

    def demand_of(self, visit_id: str) -> Demand | None:
        """The kind of a ticket that waits."""
        return self._waiting.get(visit_id)

    def demands_waiting(self) -> Iterator[Demand]:
        """All kinds of tickets that somebody waits with."""
        yield from (demand for demand in self._demands.values() if demand.waiting)
        for named in self._named.values():
            yield from named.values()

    def _first_for(self, number: int, now: int) -> tuple[TicketRank, Demand] | None:
        """The first of all tickets that the agent may take, by its demand."""
        best: TicketRank | None = None
        chosen: Demand | None = None
        for demand in self._demands_of(number):
            waiting = demand.waiting
            if waiting:
                base, first_joined, order, _ = waiting[0]
                rank = (*demand.claim.standing, base - demand.ask[4] * now, first_joined, order)
                if best is None or rank < best:
                    best, chosen = rank, demand
        named = self._named.get(self.roster.ids[number])
        for demand in named.values() if named else ():
            if demand.able >> number & 1:
                rank = demand.rank(now)
                if best is None or rank < best:
                    best, chosen = rank, demand
        return None if best is None or chosen is None else (best, chosen)

    def _match(self, demand: Demand, rank: TicketRank) -> Match:
        ticket = demand.waiting[0][-1]
        candidates = demand.able & self.free
        if demand.strategy is Strategy.RING_ALL and not demand.named:
            numbers: list[int] = []
            left = candidates
            while left and len(numbers) < RING_ALL_MOST:
                numbers.append(self.first(demand, ticket, left))
                left ^= 1 << numbers[-1]
        else:
            numbers = [self.first(demand, ticket, candidates)]
        return Match(ticket, tuple(self.roster.ids[number] for number in numbers), demand, rank, candidates)

    def first(self, demand: Demand, ticket: str, candidates: Agents) -> int:
        """Of these free agents, of whom there is one at least, the one who ranks first for a ticket."""
        if demand.strategy is Strategy.BEST_SKILL:
            candidates = next(both for _, who in self.tiers(demand) if (both := who & candidates))
        if (prefer := self._preferred.get(ticket)) is not None:
            number = self.roster.number.get(prefer)
            if number is not None and candidates >> number & 1:
                return number
        match demand.strategy:
            case Strategy.FEWEST_CALLS:
                candidates = next(both for calls in sorted(self._called) if (both := self._called[calls] & candidates))
            case Strategy.LEAST_TALK:
                bits = as_bytes(candidates | 1 << len(self.roster.ids))
                return next(number for *_, number in self._talked if bits[number >> 3] >> (number & 7) & 1)
            case Strategy.ROUND_ROBIN:
                last = self._last(demand.queue)
                behind = 0 if last is None else candidates >> last + 1 << last + 1
                return lowest(behind or candidates)
            case Strategy.LINEAR:
                return lowest(candidates)
            case Strategy.RANDOM:
                return nth(candidates, self._draw(candidates.bit_count()))
            case Strategy.WEIGHTED_RANDOM:
                return self._by_weight(candidates)
            case _:
                pass
        return self._idle_longest(candidates)

    def next_ones(self, match: Match) -> tuple[tuple[tuple[str, AgentRank], ...], int]:
        """Who of the candidates would have come next, with their ranks, and how many more there were."""
        left = match.candidates
        for agent in match.agents:
            left ^= 1 << self.roster.number[agent]
        found: list[tuple[str, AgentRank]] = []
        if match.demand.strategy not in BY_LOT:
            while left and len(found) < NAMED:
                number = self.first(match.demand, match.ticket, left)
                found.append((self.roster.ids[number], self.rank(match.demand, match.ticket, number)))
                left ^= 1 << number
        return tuple(found), left.bit_count()

    def rank(self, demand: Demand, ticket: str, number: int) -> AgentRank:
        """The rank of a free agent for a ticket."""
        idle_since, calls, talk = self._keys[number]
        settings = self.roster.settings[number]
        best = demand.strategy is Strategy.BEST_SKILL and not demand.alone
        return agent_rank(
            demand.strategy,
            number=number,
            idle_since=idle_since,
            score=score(settings, demand.client, demand.queue, demand.asked) or 0 if best else 0,
            preferred=self._preferred.get(ticket) == settings.id,
            calls=calls,
            talk=talk,
            last=self._last(demand.queue),
            among=len(self.roster.ids),
        )

    def tiers(self, demand: Demand) -> list[tuple[int, Agents]]:
        """The agents who may take a demand by how well they match, the best first."""
        if demand.tiers is None:
            one = [(0, demand.able)]
            demand.tiers = one if demand.alone else self.roster.by_match(demand.asked, demand.able)
        return demand.tiers

    def excluded(self, demand: Demand) -> dict[Cause, int]:
        """How many agents do not take a demand now, by cause; causes of nobody are left out."""
        if demand.out is None:
            demand.out = self._out(demand)
        able = demand.able
        steps = [able]
        for allowed in (self.signed_in, self.ready, self.reachable, self.at_rest, self.free):
            able &= allowed
            steps.append(able)
        counts = [each.bit_count() for each in steps]
        found = dict(demand.out)
        for cause, before, after in zip(STATES, counts, counts[1:], strict=False):
            if before > after:
                found[cause] = before - after
        return found

    def _out(self, demand: Demand) -> dict[Cause, int]:
        client, queue, asked = demand.client, demand.queue, demand.asked
        roster, found = self.roster, {}
        sets = [roster.everybody]
        if not demand.alone:
            sets.append(sets[-1] & roster.of_client(client))
            sets.append(sets[-1] & roster.of_queue(queue))
            sets.append(roster.able(client, queue, asked))
        sets.append(demand.able)
        causes = (Cause.NOT_ASKED,) if demand.alone else (*RULES, Cause.NOT_ASKED)
        for cause, before, after in zip(causes, sets, sets[1:], strict=False):
            if many := (before & ~after).bit_count():
                found[cause] = many
        return found

    def cause(self, demand: Demand, agent_id: str) -> Cause | None:
        """What keeps an agent from taking a demand now; None when nothing does, and for a stranger."""
        number = self.roster.number.get(agent_id)
        if number is None:
            return None
        if not demand.able >> number & 1:
            sets = (
                self.roster.of_client(demand.client),
                self.roster.of_queue(demand.queue),
                self.roster.able(demand.client, demand.queue, demand.asked),
            )
            first = next((c for c, who in zip(RULES, sets, strict=True) if not who >> number & 1), Cause.NOT_ASKED)
            return Cause.NOT_ASKED if demand.alone else first
        states = (self.signed_in, self.ready, self.reachable, self.at_rest, self.free)
        return next((c for c, who in zip(STATES, states, strict=True) if not who >> number & 1), None)

    def _last(self, queue: str) -> int | None:
        return self.roster.number.get(self.turns.get(queue, ""))

    def _idle_longest(self, candidates: Agents) -> int:
        many = candidates.bit_count()
        if many == 1:
            return lowest(candidates)
        # Either way is short: of many candidates one stands early in the line, few are looked through.
        if many * many > len(self._idle):
            bits = as_bytes(candidates | 1 << len(self.roster.ids))
            return next(number for _, number in self._idle if bits[number >> 3] >> (number & 7) & 1)
        return min((self._keys[number][0], number) for number in members(candidates))[1]

    def _by_weight(self, candidates: Agents) -> int:
        tickets = [(weight, who & candidates) for weight, who in sorted(self._weights.items()) if who & candidates]
        drawn = self._draw(sum(weight * who.bit_count() for weight, who in tickets))
        for weight, who in tickets:
            many = weight * who.bit_count()
            if drawn < many:
                return nth(who, drawn // weight)
            drawn -= many
        raise AssertionError(drawn)

    def _draw(self, many: int) -> int:
        assert self._random is not None, "a floor on which lots are drawn needs a Random"
        return self._random.randrange(many)

    # Demands

    def _demand(self, ask: Ask, asked: Needs) -> Demand:
        client, queue, _, _, _, named, alone, without = ask
        asked_of = ~sum(1 << self.roster.number[each] for each in set(without) if each in self.roster.number)
        if named:
            held = self._named.setdefault(named, {})
            demand = held.get(ask)
            if demand is None:
                bit = 1 << number if (number := self.roster.number.get(named)) is not None else 0
                able = (bit if alone else bit & self.roster.able(client, queue, asked)) & asked_of
                self._serial += 1
                demand = held[ask] = Demand(
                    ask, asked, self._serial, self._alone if alone else self._claim(client), able
                )
            return demand
        demand = self._demands.get(ask)
        if demand is None:
            self._serial += 1
            able = self.roster.able(client, queue, asked) & asked_of
            demand = self._demands[ask] = Demand(ask, asked, self._serial, self._claim(client), able)
            self._created.append(demand)
            self._able += able.to_bytes(self._stride, "little")
        return demand

    def _demands_of(self, number: int) -> list[Demand]:
        """The demands that an agent may take; those that are new to him are looked at once."""
        known = self._known[number]
        if known.serial < self._serial:
            at = bisect_right(self._created, known.serial, key=_serial)
            # The agent's own byte of every row, and of it his bit: a column, read in one go.
            column = self._able[at * self._stride + (number >> 3) :: self._stride].translate(BIT[number & 7])
            known.demands = [demand for demand in known.demands if not demand.gone]
            known.demands.extend(compress(self._created[at:], column))
            known.serial = self._serial
        return known.demands

    def _forget(self, demand: Demand) -> None:
        del self._demands[demand.ask]
        demand.gone = True
        self._gone += 1
        if self._gone > SPARE_DEMANDS:
            self._created = [each for each in self._created if not each.gone]
            self._gone = 0
            self._lay_out()

    def _lay_out(self) -> None:
        self._able = bytearray(b"".join(each.able.to_bytes(self._stride, "little") for each in self._created))


# For each bit of a byte the table by which a column of bytes becomes one of zeros and ones.
BIT = tuple(bytes(byte >> bit & 1 for byte in range(256)) for bit in range(8))


def _serial(demand: Demand) -> int:
    return demand.serial


def as_bytes(agents: Agents) -> bytes:
    """A set as bytes, eight agents each; those behind the last member have none."""
    return agents.to_bytes((agents.bit_length() + 7) >> 3, "little")


def lowest(agents: Agents) -> int:
    """The number of the first agent of a set that is not empty."""
    return (agents & -agents).bit_length() - 1


def members(agents: Agents) -> Iterator[int]:
    """The numbers of the agents of a set."""
    while agents:
        bit = agents & -agents
        yield bit.bit_length() - 1
        agents ^= bit


def nth(agents: Agents, which: int) -> int:
    """The number of the agent of a set who has ``which`` others of it before him."""
    base, width = 0, agents.bit_length()
    while width > 1:
        half = width >> 1
        below = agents & (1 << half) - 1
        many = below.bit_count()
        if which < many:
            agents, width = below, half
        else:
            agents >>= half
            which -= many
            base += half
            width -= half
    return base
