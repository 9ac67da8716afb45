"""Fate: what one seed holds for a day: the weather, what breaks and when, the people and their manners."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from callcenter.simulation.network import Weather
from callcenter.simulation.phone import Manner
from callcenter.sip.flow import Transport

# A day: callers come in its first half; then everybody has time to finish.
SECONDS = 240.0
SKILLS = ({"english": 4}, {"spanish": 3}, {"english": 3, "spanish": 3})


@dataclass(frozen=True, slots=True)
class Span:
    """Something is away from ``begin`` on, for ``seconds``."""

    begin: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.begin:.0f}-{self.begin + self.seconds:.0f} s"


@dataclass(frozen=True, slots=True)
class Restart:
    """The switch goes down at ``at`` and is back ``down`` seconds later; with ``crash`` as if its power failed."""

    at: float
    down: float
    crash: bool

    def __str__(self) -> str:
        return f"{'crash' if self.crash else 'restart'} at {self.at:.0f} s for {self.down:.0f} s"


@dataclass(frozen=True, slots=True)
class AgentFate:
    """An agent: what he can, how he is by weight when it rings, and how likely in each round of some seconds he
    holds, hangs up, leaves his desk, vanishes, dials somebody, hands his caller over, and asks somebody before he does.
    ``orders``: how likely his program orders something of his talk, every few seconds.
    ``second``: he has two phones; ``private``: they speak SRTP, by TLS.
    """

    name: str
    skills: dict[str, int]
    manners: dict[Manner, float]
    transport: Transport
    holds: float
    hangs_up: float
    pauses: float
    vanishes: float
    dials: float = 0.0
    transfers: float = 0.0
    consults: float = 0.0
    second: bool = False
    private: bool = False
    orders: float = 0.0


@dataclass(frozen=True, slots=True)
class CallerFate:
    """A caller: whom he calls, when first, how often, and how likely he vanishes or holds during a call.

    ``private``: his phone speaks SRTP, by TLS.
    """

    number: str
    dials: str
    transport: Transport
    at: float
    calls: int
    vanishes: float
    holds: float
    private: bool = False


@dataclass(frozen=True, slots=True)
class CarrierFate:
    """A carrier: when somebody calls in by it, what it says by weight (0: it rings) and how long it rings by weight
    (None: for ever), whether it lets early media be heard, how many lines we have, and how often we ask after it.
    """

    calls: tuple[float, ...]
    statuses: dict[int, float]
    rings: dict[float | None, float]
    early: bool
    lines: int
    qualify: float | None


@dataclass(frozen=True, slots=True)
class Fate:
    """One seed's day. Two draws of the same seed are equal.

    ``supervised``: there is somebody who listens to agents; ``recorded``: the share of talks that is.
    """

    seed: int
    weather: Weather
    storms: tuple[tuple[float, Weather], ...]
    broker: tuple[Span, ...]
    broker_delay: float
    database: tuple[Span, ...]
    workers: tuple[float, ...]
    restarts: tuple[Restart, ...]
    agents: tuple[AgentFate, ...]
    callers: tuple[CallerFate, ...]
    carriers: tuple[CarrierFate, ...]
    max_calls: int
    max_sessions: int | None
    barge_in: bool
    supervised: bool
    recorded: float

    @classmethod
    def of(cls, seed: int) -> Fate:
        """Draw."""
        # What people do beyond being called and calling is drawn apart: so a day that is known stays as it is.
        chance, more = Random(f"fate {seed}"), Random(f"more of fate {seed}")
        talks = Random(f"talks of fate {seed}")
        transport = chance.choice((Transport.UDP, Transport.UDP, Transport.TCP, None))
        return cls(
            seed=seed,
            weather=_weather(chance),
            storms=tuple((chance.uniform(0, SECONDS), _weather(chance)) for _ in range(chance.choice((0, 0, 1, 2)))),
            broker=_spans(chance, (0, 0, 1, 2), 60.0),
            broker_delay=chance.choice((0.0, 0.02, 0.1, 0.8)),
            database=_spans(chance, (0, 0, 0, 1, 2), 20.0),
            workers=tuple(chance.uniform(0, SECONDS) for _ in range(chance.choice((0, 0, 0, 1)))),
            agents=tuple(
                replace(_enterprising(more, _agent(chance, number, transport)), orders=talks.choice((0, 0.3, 0.8)))
                for number in range(chance.randint(1, 6))
            ),
            callers=tuple(
                _discreet(more, _caller(chance, number, transport)) for number in range(chance.randint(3, 12))
            ),
            carriers=tuple(_carrier(more) for _ in range(more.choice((0, 1, 1, 2)))),
            max_calls=chance.choice((400, 400, 400, 3)),
            max_sessions=chance.choice((None, None, None, 6)),
            barge_in=chance.random() < 0.7,
            supervised=talks.random() < 0.5,
            recorded=talks.choice((0.0, 0.0, 0.5, 1.0)),
            restarts=tuple(
                Restart(chance.uniform(5, SECONDS), chance.uniform(0.5, 40), chance.random() < 0.5)
                for _ in range(chance.choice((0, 0, 1)))
            ),
        )

    def __str__(self) -> str:
        breaks = [
            *(f"broker away {span}" for span in self.broker),
            *(f"database away {span}" for span in self.database),
            *(f"media worker dead at {at:.0f} s" for at in self.workers),
            *map(str, self.restarts),
        ]
        return (
            f"{len(self.callers)} callers, {len(self.agents)} agents, {len(self.carriers)} carriers, {self.weather}, "
            f"{len(self.storms)} storms, "
            f"room for {self.max_calls} calls and {self.max_sessions or 'any number of'} sessions"
            + "".join(f", {each}" for each in breaks)
        )


def _weather(chance: Random) -> Weather:
    """From fair to one datagram in six lost."""
    kind = chance.choice(("fair", "foul", "foul", "awful"))
    if kind == "fair":
        return Weather(delay=chance.choice((0.001, 0.05)))
    worst = 1.0 if kind == "foul" else 1.7
    return Weather(
        delay=chance.uniform(0.001, 0.1),
        jitter=chance.uniform(0, 0.05),
        loss=chance.uniform(0, 0.1) * worst,
        duplicate=chance.uniform(0, 0.1) * worst,
        late=chance.uniform(0, 0.1) * worst,
        late_by=chance.choice((0.05, 0.2, 1.0)),
    )


def _spans(chance: Random, counts: tuple[int, ...], longest: float) -> tuple[Span, ...]:
    """Outages one after the other: each has a part of the day for itself."""
    count = chance.choice(counts)
    part = SECONDS / max(1, count)
    return tuple(
        Span(number * part + chance.uniform(0, part / 2), chance.uniform(0.1, min(longest, part / 2)))
        for number in range(count)
    )


def _agent(chance: Random, number: int, transport: Transport | None) -> AgentFate:
    patience = chance.uniform(0.2, 3)
    return AgentFate(
        name=f"agent-{number}",
        skills=chance.choice(SKILLS),
        manners={
            Manner.TAKES: 12,
            Manner.RINGS: patience,
            Manner.BUSY: patience,
            Manner.DECLINES: patience,
            Manner.IGNORES: patience,
        },
        transport=transport or chance.choice((Transport.UDP, Transport.TCP)),
        holds=chance.uniform(0, 0.5),
        hangs_up=chance.uniform(0.1, 0.5),
        pauses=chance.uniform(0, 0.2),
        vanishes=chance.choice((0, 0.02, 0.05)),
    )


def _caller(chance: Random, number: int, transport: Transport | None) -> CallerFate:
    return CallerFate(
        number=f"+1415555{number:04d}",
        dials=chance.choices(("1000", "4040"), (19, 1))[0],
        transport=transport or chance.choice((Transport.UDP, Transport.TCP)),
        at=chance.uniform(0, SECONDS / 2),
        calls=chance.choice((1, 1, 2, 3)),
        vanishes=chance.choice((0, 0.1)),
        holds=chance.choice((0, 0.3)),
    )


def _enterprising(chance: Random, agent: AgentFate) -> AgentFate:
    private = chance.random() < 0.2
    return replace(
        agent,
        dials=chance.choice((0, 0.2, 0.6)),
        transfers=chance.choice((0, 0.3, 0.8)),
        consults=chance.choice((0, 0.3, 0.8)),
        second=chance.random() < 0.25,
        private=private,
        transport=Transport.TLS if private else agent.transport,
    )


def _discreet(chance: Random, caller: CallerFate) -> CallerFate:
    private = chance.random() < 0.1
    return replace(caller, private=private, transport=Transport.TLS if private else caller.transport)


def _carrier(chance: Random) -> CarrierFate:
    return CarrierFate(
        calls=tuple(chance.uniform(0, SECONDS * 0.7) for _ in range(chance.randint(0, 5))),
        statuses={0: 10, 486: 1, 404: 1, 503: chance.choice((1, 8))},
        rings={0.01: 1, 0.5: 3, 4.0: 3, None: 1},
        early=chance.random() < 0.5,
        lines=chance.choice((30, 30, 1, 3)),
        qualify=chance.choice((None, 15.0)),
    )
