"""Settings of the ACD: queues, agents, wrap-up and what follows an offer that failed. Durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from callcenter.acd.requirements import Need, Needs
from callcenter.model.states import Intent, OfferResult, WrapUpMode

QUEUE_RENAMED = "queue_renamed"
"""Why a visit ends whose queue has another name now: another one begins there, on the same place."""


class Strategy(StrEnum):
    """Which of the free agents who may take a caller takes him. ``matching.agent_rank`` says it to the letter.

    LONGEST_IDLE: the one idle longest. BEST_SKILL: the best match (sum of the levels in the skills asked); of equals,
    the one idle longest. FEWEST_CALLS, LEAST_TALK: who has talked with the fewest callers, or for the shortest time, of
    all queues, since signing in; of equals, the one idle longest. ROUND_ROBIN: in the order of the configuration,
    beginning behind the one who was offered this queue's caller last. LINEAR: the first of the configuration. RANDOM:
    by lot; WEIGHTED_RANDOM: by lot, in proportion to the agents' weights. RING_ALL: all of them at once
    (``RING_ALL_MOST`` of those idle longest), and who picks up first has the caller.
    """

    LONGEST_IDLE = "longest_idle"
    BEST_SKILL = "best_skill"
    FEWEST_CALLS = "fewest_calls"
    LEAST_TALK = "least_talk"
    ROUND_ROBIN = "round_robin"
    LINEAR = "linear"
    RANDOM = "random"
    WEIGHTED_RANDOM = "weighted_random"
    RING_ALL = "ring_all"


# So many phones may ring for one caller: each costs a reservation, a screen pop and an INVITE.
RING_ALL_MOST = 20


@dataclass(frozen=True, slots=True)
class WrapUpSettings:
    """The time after a talk. A timed wrap-up of ``seconds`` may be extended once, by ``extend_once`` seconds.

    An optional one is asked for within ``choice`` seconds after the talk, and is a timed one from then on; who does not
    ask is free when they have passed.
    """

    mode: WrapUpMode = WrapUpMode.TIMED
    seconds: float = 30.0
    extend_once: float = 0.0
    choice: float = 5.0


# What a disposition may be long: it is a word or two, or the path of one in a tree.
MAX_DISPOSITION = 64


@dataclass(frozen=True, slots=True)
class Dispositions:
    """What calls of a client may come to, as agents say it in the wrap-up.

    ``codes`` are the leaves of a tree, each by its path (``not-sold/too-dear``), with its label. ``required``: a
    wrap-up ends by no word of the agent but with one of them; when its time runs out, it is WRAPUP_TIMEOUT.
    """

    codes: Mapping[str, str] = field(default_factory=dict)
    required: bool = False

    def find(self, given: str) -> str | None:
        """The path of a code, which may be given by its last part where no other ends so; None for an unknown one.

        Where no codes are configured, a disposition is any word.
        """
        if not self.codes or given in self.codes:
            return given
        ending = [code for code in self.codes if code.rpartition("/")[2] == given]
        return ending[0] if len(ending) == 1 else None


ANY_WORD = Dispositions()


@dataclass(frozen=True, slots=True)
class RoutingStep:
    """From ``after`` seconds since joining on, ``needs`` stands in place of what the queue requires; None: nothing.

    What the caller's own ticket asks stays asked.
    """

    after: float
    needs: Need | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What a client has of a floor that several share, while it has callers waiting.

    ``minimum`` agents are at work for it before any client that has its minimum gets another one; beyond the minimums
    agents come in proportion to ``weight``.
    """

    minimum: int = 0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """A queue. Of two callers the higher ``priority`` goes first, then who joined first.

    ``ring_for`` counts from the agent's phone ringing. ``max_wait`` (None: no limit) counts from joining; then the
    visit ends and ``on_max_wait``, a name that only the call's script understands, says what comes after.
    A caller who hangs up before ``short_abandon`` counts as a short abandon. A caller too many for ``max_waiting``
    is refused. ``steps``, in the order of their times, relax ``requirements`` for who waits longer. ``age_weight`` is
    the points of priority that a caller gains for each minute waited.

    ``join_empty`` are the absences (see ``acd.presence``) for which a caller is refused, ``leave_empty`` those for
    which callers wait no longer, when it has lasted ``leave_after`` seconds of their wait. ``on_full``, ``on_empty``
    and ``on_closed`` are as ``on_max_wait``, for a caller too many, for nobody there, and for outside the hours; None
    takes that one.

    ``dispositions_required`` says it for this queue in place of its client; None: as that does.

    Of the callers counted by the service level ``service_level_target`` (a share) shall be answered within
    ``service_level_ms``.
    """

    id: str
    client: str
    requirements: Needs = ()
    priority: int = 0
    ring_for: float = 20.0
    max_wait: float | None = None
    on_max_wait: str = ""
    wrap_up: WrapUpSettings | None = None
    strategy: Strategy = Strategy.LONGEST_IDLE
    short_abandon: float = 5.0
    max_waiting: int = 500
    join_empty: frozenset[str] = frozenset()
    leave_empty: frozenset[str] = frozenset()
    leave_after: float = 30.0
    on_full: str | None = None
    on_empty: str | None = None
    on_closed: str | None = None
    service_level_ms: int = 20_000
    service_level_target: float = 0.8
    steps: tuple[RoutingStep, ...] = ()
    age_weight: float = 0.0
    dispositions_required: bool | None = None

    def action(self, reason: str) -> str:
        """What comes after a visit that ended for this reason without an answer."""
        match reason:
            case "full":
                action = self.on_full
            case "closed":
                action = self.on_closed
            case "nobody_has_the_skill" | "nobody_signed_in" | "nobody_ready":
                action = self.on_empty
            case _:
                action = self.on_max_wait
        return self.on_max_wait if action is None else action


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """An agent: skills with levels 1 to 5, and the clients whose callers he may take, those and no others.

    ``sign_in`` is the intent that a phone which comes back (or comes first) gives its agent; SIGNED_OUT: none.
    ``queues`` are the only ones whose callers he may take; None: all of his clients. ``weight`` is his share of what
    is dealt out by lot.
    """

    id: str
    name: str
    skills: Mapping[str, int] = field(default_factory=dict)
    clients: frozenset[str] = frozenset()
    sign_in: Intent = Intent.READY
    queues: frozenset[str] | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class RnaRule:
    """After an offer that failed: a pause of ``delay`` seconds; after ``limit`` in a row (None: never) not ready.

    Without either, a phone that refuses at once is rung again at once.
    """

    delay: float = 0.0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class RnaSettings:
    """Ring-no-answer by cause. The pauses keep what fails at once from being tried in a tight loop.

    A lost race is nobody's fault: it is not counted and costs no place among the idle; its pause only spares a switch
    that could not make the offer good. A caller who is gone costs the agent nothing at all.
    """

    no_answer: RnaRule = RnaRule(limit=1)
    busy: RnaRule = RnaRule(delay=10.0)
    declined: RnaRule = RnaRule(delay=10.0, limit=3)
    unreachable: RnaRule = RnaRule(delay=30.0, limit=3)
    lost_race: RnaRule = RnaRule(delay=1.0)

    def rule(self, result: OfferResult) -> RnaRule:
        """The rule for how an offer ended."""
        match result:
            case OfferResult.NO_ANSWER:
                return self.no_answer
            case OfferResult.BUSY:
                return self.busy
            case OfferResult.DECLINED:
                return self.declined
            case OfferResult.UNREACHABLE:
                return self.unreachable
            case OfferResult.LOST_RACE:
                return self.lost_race
            case OfferResult.CALLER_GONE | OfferResult.ACCEPTED:
                return RnaRule()


# Who asks for one agent by name, behind no queue. He alone can take them, so that they come before the callers whom
# others can take too; colleagues owe each other no wrap-up.
DIRECT = QueueSettings(id="", client="", priority=100, max_wait=30.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole configuration of the ACD; queues and agents by id, in their order.

    ``direct`` is for visits to an agent that no queue brought. ``offer_grace`` is what an offer may take beyond
    ``ring_for``, for the screen pop and the phone's first sign of life, before the reservation ends by itself.
    ``dispositions`` by client.
    ``shares`` is what each client has of the floor; without any, callers of all clients stand in one order.
    ``revision`` names the configuration in what is told of decisions. ``renamed`` are queues that have another name
    now, by the one that they had: who stands in the old one, or comes to it by an older configuration, goes to the new.
    """

    queues: Mapping[str, QueueSettings]
    agents: Mapping[str, AgentSettings]
    rna: RnaSettings = RnaSettings()
    offer_grace: float = 5.0
    direct: QueueSettings = DIRECT
    dispositions: Mapping[str, Dispositions] = field(default_factory=dict)
    shares: Mapping[str, Share] = field(default_factory=dict)
    revision: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)

    def queue(self, queue_id: str) -> QueueSettings | None:
        """The queue of this id, the empty one for visits to an agent; None when it is not there (any more)."""
        return self.queues.get(queue_id) if queue_id else self.direct

    def dispositions_of(self, queue_id: str) -> Dispositions:
        """What a call that came by this queue may come to."""
        queue = self.queue(self.renamed.get(queue_id, queue_id))
        if queue is None:
            return ANY_WORD
        known, required = self.dispositions.get(queue.client, ANY_WORD), queue.dispositions_required
        return known if required is None else replace(known, required=required)
