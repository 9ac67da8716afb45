"""Interaction: what one call came to, as a pure fold over its facts; nothing else computes a duration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from callcenter.model.customer import Match
from callcenter.model.facts import (
    AgentLegEnded,
    AgentMediaStarted,
    AgentTookOver,
    AttributeSet,
    CallAnswered,
    CallArrived,
    CallbackRequested,
    CallConnected,
    CallEnded,
    CallerMediaStarted,
    CallHeld,
    CallQueued,
    CallResumed,
    CallTransferred,
    ConferenceJoined,
    ConferenceLeft,
    CustomerFound,
    DigitsEntered,
    DispositionChosen,
    DispositionCorrected,
    Fact,
    FieldsWritten,
    IntentCaptured,
    LanguageChosen,
    LegQuality,
    MediaMissing,
    NoteWritten,
    OfferEnded,
    OfferMade,
    OneWayAudio,
    OutsideConnected,
    OutsideLegEnded,
    PositionAnnounced,
    QueueLeft,
    RecordingEnded,
    RecordingPaused,
    RecordingResumed,
    RecordingStarted,
    ScreenPopSent,
    SupervisionChanged,
    SupervisionEnded,
    SupervisionStarted,
    TransferFailed,
    WrapUpEnded,
    utc,
)
from callcenter.model.states import (
    Direction,
    EndCause,
    OfferResult,
    Outcome,
    Side,
    SupervisionMode,
    TransferKind,
    TransferTo,
    VisitOutcome,
)


@dataclass(frozen=True, slots=True)
class Ending:
    """Who ended the call, why, and with which SIP status (0: with a BYE)."""

    by: Side
    cause: EndCause
    sip_status: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit to a queue. ``outcome`` is None while it lasts.

    ``positions``: the places in line that the caller was told, each once: they only get better. ``number`` is that of
    the visit in its call, from 1. ``place_of`` is the visit whose place it went on with (``CALL/NUMBER``, of this call
    or of an earlier one), and ``before_ms`` how old that place was when this visit began; of a new place empty and 0.
    """

    id: str
    queue: str
    wait_ms: int = 0
    outcome: VisitOutcome | None = None
    reason: str = ""
    positions: tuple[int, ...] = ()
    number: int = 0
    place_of: str = ""
    before_ms: int = 0


@dataclass(frozen=True, slots=True)
class OfferTold:
    """One offer of the caller to an agent; ``result`` is None while it lasts."""

    id: str
    agent: str
    result: OfferResult | None = None
    detail: str = ""
    pop_acknowledged: bool | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """How the sound of one leg was. Of two phones that one side had after each other it is the worse one's.

    ``mos``, from 1 to 4.41, is of what came from the peer, ``remote_mos`` of what the peer heard, by its reports;
    0: not known. ``first_ms`` passed from the answer until the first sound came; None: none came. ``one_way`` names
    what was told of sound that went one way only: ``missing`` from the beginning, or a OneWay in the middle.
    """

    codec: str = ""
    mos: float = 0.0
    loss: float = 0.0
    jitter_ms: float = 0.0
    worst_jitter_ms: float = 0.0
    remote_mos: float = 0.0
    remote_loss: float = 0.0
    remote_jitter_ms: float = 0.0
    round_trip_ms: float = 0.0
    received: int = 0
    sent: int = 0
    first_ms: int | None = None
    one_way: tuple[str, ...] = ()

    @property
    def worst(self) -> float:
        """The worse score of both ways; 0 when neither is known."""
        return min((mos for mos in (self.mos, self.remote_mos) if mos), default=0.0)


@dataclass(frozen=True, slots=True)
class AgentLeg:
    """One agent's part of the call.

    ``disposition`` is the one in force: chosen in the talk, told by the end of the wrap-up, or corrected since; those
    before stand in the corrections. ``fields`` of the wrap-up have values. ``queue`` is what the caller came by.
    ``srtp``: the crypto-suite of the sound to the agent's phone; empty when it was plain RTP, were it but for a while.
    """

    offer: str
    agent: str
    talk_ms: int = 0
    hold_ms: int = 0
    wrap_up_ms: int = 0
    ended_by: Side | None = None
    disposition: str = ""
    srtp: str = ""
    quality: Quality | None = None
    fields: tuple[str, ...] = ()
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """What was said of the call after its end in the place of something said before, and why.

    ``what`` is ``disposition``, with both of them; or ``fields``, with their names alone in ``after``: the values, as
    they are now and as they were, are kept where a person's data can be erased. ``offer`` is that of the talk.
    """

    at: datetime
    by: str
    what: str
    agent: str
    offer: str
    before: str
    after: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class NoteTold:
    """One note of the call: how often it was written, and who did so last. Its text is kept elsewhere."""

    id: str
    agent: str
    by: str
    revision: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """One hand-over of the caller: who did it, in the talk of ``offer``, and to whom; ``failed`` says why it did not
    come about, and is empty when it did.
    """

    offer: str
    by: str
    kind: TransferKind
    to: TransferTo
    target: str
    failed: str = ""


@dataclass(frozen=True, slots=True)
class OutsideLeg:
    """The part of the call that somebody outside had, at a ``number`` in E.164; ``srtp`` as an agent's."""

    leg: str
    number: str
    trunk: str
    talk_ms: int = 0
    hold_ms: int = 0
    ended_by: Side | None = None
    srtp: str = ""
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class RecordingTold:
    """One recording of a talk, of that which ``offer`` brought about (or the leg of somebody outside).

    ``from_ms`` is when it began, since the call arrived; ``length_ms`` what its file holds, and ``paused_ms`` how much
    of that is silence by somebody's will. ``state`` is ``recording`` while it lasts, then ``kept``, ``cut`` when it
    ended before the talk did, or ``failed`` when there is no file. ``by`` says in words whose will it was.
    """

    id: str
    offer: str
    agent: str
    by: str
    from_ms: int
    length_ms: int = 0
    paused_ms: int = 0
    state: str = "recording"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SupervisionTold:
    """A supervisor's part in the call: with whom, in which ways (each once, in their order), and for how long."""

    id: str
    supervisor: str
    agent: str
    modes: tuple[SupervisionMode, ...]
    agent_sees: bool
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Conference:
    """How long the caller, the agent of ``offer`` and ``target`` all heard each other; whom the agent had consulted in
    the call ``consulted``.
    """

    offer: str
    agent: str
    consulted: str
    target: str
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Interaction:
    """The whole call. Durations are integer milliseconds of the monotonic clock; instants are UTC.

    ``ivr_ms`` is the answered time that was neither waiting nor talk nor hold. ``dialled_by`` is the agent who called,
    where the call is not inbound. ``callback`` is the id of the one that the caller was promised here, or that this
    call carried out; empty: none. ``srtp`` is the crypto-suite of the caller's sound, empty for plain RTP.
    ``recordings`` are those of its talks, each of which has its own.
    ``quality`` is that of the caller's sound; the agents' and that outside stand with their legs.
    ``disposition`` and ``fields`` are those of ``dialled_by``; the agents' stand with their legs. ``revision`` is 1,
    and one more with each of the ``corrections``.
    """

    call_id: str
    client: str
    flow: str
    from_number: str
    from_name: str
    to_number: str
    arrived_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    language: str
    intent: str
    customer: str
    match: Match
    digits: tuple[str, ...]
    visits: tuple[Visit, ...]
    told: tuple[OfferTold, ...]
    legs: tuple[AgentLeg, ...]
    ivr_ms: int
    duration_ms: int
    outcome: Outcome | None
    ending: Ending | None
    attributes: tuple[tuple[str, str], ...] = ()
    direction: Direction = Direction.INBOUND
    dialled_by: str = ""
    outside: tuple[OutsideLeg, ...] = ()
    diverted_number: str = ""
    diverted_why: str = ""
    transfers: tuple[Transfer, ...] = ()
    callback: str = ""
    srtp: str = ""
    recordings: tuple[RecordingTold, ...] = ()
    quality: Quality | None = None
    supervisions: tuple[SupervisionTold, ...] = ()
    conferences: tuple[Conference, ...] = ()
    disposition: str = ""
    fields: tuple[str, ...] = ()
    notes: tuple[NoteTold, ...] = ()
    corrections: tuple[Correction, ...] = ()
    revision: int = 1

    @property
    def records(self) -> bool:
        """Whether the file of a recording is not whole yet."""
        return any(each.state == "recording" for each in self.recordings)

    @property
    def offers(self) -> tuple[tuple[str, OfferResult | None], ...]:
        """Each offer as (agent, result), in order."""
        return tuple((offer.agent, offer.result) for offer in self.told)

    @property
    def queue(self) -> str:
        """The last queue visited, or nothing."""
        return self.visits[-1].queue if self.visits else ""

    @property
    def agent(self) -> str:
        """The last agent who talked, or nothing. Of those who dialled each other, the one who was called."""
        if self.legs:
            return self.legs[-1].agent
        return self.dialled_by if self.outside else ""

    @property
    def wait_ms(self) -> int:
        """Milliseconds spent in queues."""
        return sum(visit.wait_ms for visit in self.visits)

    @property
    def talk_ms(self) -> int:
        """Milliseconds of two-way talk, hold left out."""
        return sum(leg.talk_ms for leg in self.legs) + sum(leg.talk_ms for leg in self.outside)

    @property
    def hold_ms(self) -> int:
        """Milliseconds on hold, by whichever side."""
        return sum(leg.hold_ms for leg in self.legs) + sum(leg.hold_ms for leg in self.outside)

    @property
    def wrap_up_ms(self) -> int:
        """Milliseconds of wrap-up after this call."""
        return sum(leg.wrap_up_ms for leg in self.legs)

    @property
    def wait(self) -> float:
        """Seconds spent in queues."""
        return self.wait_ms / 1000

    @property
    def talk(self) -> float:
        """Seconds of talk."""
        return self.talk_ms / 1000

    @property
    def hold(self) -> float:
        """Seconds on hold."""
        return self.hold_ms / 1000

    @classmethod
    def from_facts(cls, facts: Iterable[Fact]) -> Interaction:
        """Fold the facts of one call, in the order of their ``seq``.

        Facts of other kinds are passed over. Raises ``ValueError`` when there is no CallArrived.
        """
        told = list(facts)
        fold = _Fold(alive_ms=max((f.body.alive_ms for f in told if isinstance(f.body, CallEnded)), default=0))
        for fact in told:
            fold.take(fact)
        return fold.done()

    def plain(self) -> dict[str, Any]:
        """The record as plain JSON values, sums included."""
        values: dict[str, Any] = {item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self)}
        for name in ("queue", "agent", "wait_ms", "talk_ms", "hold_ms", "wrap_up_ms"):
            values[name] = getattr(self, name)
        values["attributes"] = dict(self.attributes)
        return values


@dataclass(slots=True)
class _Fold:
    """The fold's running state: the parts grow, :meth:`done` freezes them."""

    alive_ms: int = 0
    arrived: CallArrived | None = None
    call_id: str = ""
    boot: str = ""
    arrived_at: datetime | None = None
    arrived_ms: int = 0
    answered_at: datetime | None = None
    answered_ms: int | None = None
    ended_at: datetime | None = None
    ended_ms: int = 0
    last_ms: int = 0
    language: str = ""
    intent: str = ""
    customer: str = ""
    match: Match = Match.NONE
    digits: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    visits: dict[str, Visit] = field(default_factory=dict)
    joined_ms: dict[str, int] = field(default_factory=dict)
    told: dict[str, OfferTold] = field(default_factory=dict)
    queue_of: dict[str, str] = field(default_factory=dict)
    legs: dict[str, AgentLeg] = field(default_factory=dict)
    outside: dict[str, OutsideLeg] = field(default_factory=dict)
    connected_ms: dict[str, int] = field(default_factory=dict)
    leg_ended_ms: dict[str, int] = field(default_factory=dict)
    talking: str = ""
    # By offer, and the caller's under nothing: whose sound came how.
    srtp: dict[str, str] = field(default_factory=dict)
    # By the offer, the leg outside, or the caller's under nothing.
    quality: dict[str, Quality] = field(default_factory=dict)
    first_ms: dict[str, int] = field(default_factory=dict)
    one_way: dict[str, dict[str, None]] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    holders: set[Side] = field(default_factory=set)
    held_since: int = 0
    ending: Ending | None = None
    callback: str = ""
    # Whether the caller was promised it; else an agent planned it, or they hung up and it is our own idea.
    promised: bool = False
    recordings: dict[str, RecordingTold] = field(default_factory=dict)
    paused_since: dict[str, int] = field(default_factory=dict)
    supervisions: dict[str, SupervisionTold] = field(default_factory=dict)
    conferences: list[Conference] = field(default_factory=list)
    # Since when each part that goes on does: of a supervisor by its id, of a conference by the call consulted in.
    parts_since: dict[str, int] = field(default_factory=dict)
    # By offer, and under nothing those of who dialled.
    dispositions: dict[str, str] = field(default_factory=dict)
    fields: dict[str, dict[str, None]] = field(default_factory=dict)
    notes: dict[str, NoteTold] = field(default_factory=dict)
    corrections: list[Correction] = field(default_factory=list)

    def take(self, fact: Fact) -> None:
        if self.arrived is not None:
            self.last_ms = max(self.last_ms, self.ms_of(fact))
        now = self.ms_of(fact)
        match fact.body:
            case CallArrived() as body:
                self.arrived, self.call_id = body, fact.call_id or ""
                self.boot, self.arrived_at, self.arrived_ms = fact.boot, fact.at, fact.ms
                self.last_ms, self.callback = fact.ms, body.callback
            case CallbackRequested(callback=callback, source=source):
                self.promised = self.promised or source == "caller"
                if self.arrived is None or not self.arrived.callback:
                    self.callback = callback
            case CallAnswered():
                self.answered_at, self.answered_ms = fact.at, now
            case CustomerFound(customer=customer, match=found):
                self.customer, self.match = customer, found
            case LanguageChosen(language=language):
                self.language = language
            case DigitsEntered(digits=digits):
                self.digits.append(digits)
            case AttributeSet(name=name, value=value):
                self.attributes[name] = value
            case IntentCaptured(intent=intent):
                self.intent = intent
            case CallQueued(visit=visit, queue=queue) as body:
                number, before = len(self.visits) + 1, max(0, fact.ms - body.first_joined_ms)
                self.visits[visit] = Visit(visit, queue, number=number, place_of=body.place_of, before_ms=before)
                self.joined_ms[visit] = now
            case PositionAnnounced(visit=visit, position=position) if visit in self.visits:
                known = self.visits[visit]
                if position not in known.positions:
                    self.visits[visit] = dataclasses.replace(known, positions=(*known.positions, position))
            case OfferMade(offer=offer, agent=agent, queue=queue):
                self.told[offer] = OfferTold(offer, agent)
                self.queue_of[offer] = queue
            case ScreenPopSent(offer=offer, acknowledged=acknowledged) if offer in self.told:
                self.told[offer] = dataclasses.replace(self.told[offer], pop_acknowledged=acknowledged)
            case OfferEnded(offer=offer, result=result, detail=detail) if offer in self.told:
                self.told[offer] = dataclasses.replace(self.told[offer], result=result, detail=detail)
            case CallConnected(visit=visit, offer=offer, agent=agent):
                self.legs[offer] = AgentLeg(offer, agent)
                self.connected_ms[offer] = now
                self.talking = offer
                self.leave(visit, VisitOutcome.ANSWERED, "", now)
            case AgentTookOver(offer=offer, agent=agent, queue=queue):
                self.legs[offer] = AgentLeg(offer, agent)
                self.queue_of[offer] = queue
                self.connected_ms[offer] = now
                self.talking = offer
            case CallHeld(by=by):
                if not self.holders:
                    self.held_since = now
                self.holders.add(by)
            case CallResumed(by=by):
                self.resume(by, now)
            case AgentLegEnded(offer=offer, by=by) if offer in self.legs:
                self.end_leg(offer, by, now)
            case CallTransferred(offer=offer, by=agent, kind=kind, to=to, target=target):
                self.transfers.append(Transfer(offer, agent, kind, to, target))
            case TransferFailed(status=status, detail=detail) if self.transfers:
                self.transfers[-1] = dataclasses.replace(self.transfers[-1], failed=detail or str(status))
            case CallerMediaStarted(srtp=suite):
                self.sounds("", suite)
                self.first_ms.setdefault("", now)
            case AgentMediaStarted(offer=offer, srtp=suite):
                self.sounds(offer, suite)
                self.first_ms.setdefault(offer, now)
            case MediaMissing(side=side, offer=offer):
                self.one_way.setdefault("" if side is Side.CALLER else offer, {})["missing"] = None
            case OneWayAudio(side=side, kind=kind, offer=offer):
                whose = self.talking if side is Side.OUTSIDE else "" if side is Side.CALLER else offer
                self.one_way.setdefault(whose, {})[kind.value] = None
            case LegQuality() as body:
                self.sounded(body)
            case OutsideConnected(leg=leg, number=number, trunk=trunk, srtp=suite):
                self.outside[leg] = OutsideLeg(leg, number, trunk, srtp=suite)
                self.connected_ms[leg] = now
                self.talking = leg
            case OutsideLegEnded(leg=leg, by=by) if leg in self.outside:
                self.end_leg(leg, by, now)
            case SupervisionStarted(supervision=part, supervisor=supervisor, agent=agent, mode=mode) as body:
                self.supervisions[part] = SupervisionTold(part, supervisor, agent, (mode,), body.agent_sees)
                self.parts_since[part] = now
            case SupervisionChanged(supervision=part, mode=mode) if part in self.supervisions:
                part_told = self.supervisions[part]
                modes = tuple(dict.fromkeys((*part_told.modes, mode)))
                self.supervisions[part] = dataclasses.replace(part_told, modes=modes)
            case SupervisionEnded(supervision=part):
                self.end_part(part, now)
            case ConferenceJoined(offer=offer, agent=agent, consulted=consulted, target=target):
                self.conferences.append(Conference(offer, agent, consulted, target))
                self.parts_since[consulted] = now
            case ConferenceLeft(consulted=consulted):
                self.end_part(consulted, now)
            case QueueLeft(visit=visit, outcome=outcome, reason=reason):
                self.leave(visit, outcome, reason, now)
            case RecordingStarted(recording=recording, offer=offer, agent=agent, by=who):
                from_ms = now - self.arrived_ms
                self.recordings[recording] = RecordingTold(recording, offer, agent, who, from_ms)
            case RecordingPaused(recording=recording) if recording in self.recordings:
                self.paused_since[recording] = now
            case RecordingResumed(recording=recording) if recording in self.recordings:
                self.record_again(recording, now)
            case RecordingEnded(recording=recording) as body if recording in self.recordings:
                self.record_again(recording, min(now, self.ended_ms or now))
                state = "kept" if body.reason == "stopped" else "cut" if body.octets else "failed"
                self.recordings[recording] = dataclasses.replace(
                    self.recordings[recording], length_ms=body.length_ms, state=state, reason=body.reason
                )
            case WrapUpEnded(offer=offer, disposition=disposition) if offer in self.legs:
                self.legs[offer] = dataclasses.replace(
                    self.legs[offer],
                    wrap_up_ms=max(0, now - self.leg_ended_ms.get(offer, now)),
                )
                self.dispositions[offer] = disposition
            case DispositionChosen(offer=offer, disposition=disposition):
                self.dispositions[offer] = disposition
            case DispositionCorrected(agent=agent, offer=offer, before=before, after=after) as body:
                told = Correction(fact.at, body.by, "disposition", agent, offer, before, after, body.why)
                self.corrections.append(told)
                self.dispositions[offer] = after
            case FieldsWritten(agent=agent, offer=offer, fields=names, cleared=cleared) as body:
                filled = self.fields.setdefault(offer, {})
                filled.update(dict.fromkeys(names))
                for name in cleared:
                    filled.pop(name, None)
                if body.corrects:
                    after = ", ".join((*names, *(f"-{name}" for name in cleared)))
                    self.corrections.append(Correction(fact.at, body.by, "fields", agent, offer, "", after, body.why))
            case NoteWritten(note=note, agent=agent, by=who, revision=revision):
                self.notes[note] = NoteTold(note, agent, who, revision)
            case CallEnded(by=by, cause=cause, sip_status=status, detail=detail):
                self.ended_at, self.ended_ms = fact.at, now
                self.ending = Ending(by, cause, status, detail)
                if self.talking:
                    self.end_leg(self.talking, by, now)
                for part in tuple(self.parts_since):
                    self.end_part(part, now)
            case _:
                pass

    def ms_of(self, fact: Fact) -> int:
        """Milliseconds on the call's own boot clock; a later boot's facts stand at its last sign of life."""
        return fact.ms if not self.boot or fact.boot == self.boot else max(self.last_ms, self.alive_ms)

    def leave(self, visit: str, outcome: VisitOutcome, reason: str, now: int) -> None:
        known = self.visits.get(visit)
        if known is not None and known.outcome is None:
            wait = now - self.joined_ms[visit]
            self.visits[visit] = dataclasses.replace(known, wait_ms=wait, outcome=outcome, reason=reason)

    def end_part(self, part: str, now: int) -> None:
        since = self.parts_since.pop(part, None)
        if since is None:
            return
        if part in self.supervisions:
            self.supervisions[part] = dataclasses.replace(self.supervisions[part], duration_ms=now - since)
        else:
            # Of several with the same one, the last is the one that went on.
            at = max(at for at, each in enumerate(self.conferences) if each.consulted == part)
            self.conferences[at] = dataclasses.replace(self.conferences[at], duration_ms=now - since)

    def sounds(self, whose: str, suite: str) -> None:
        # Another phone that took the talk over counts too: who was once heard in the clear was not private.
        self.srtp[whose] = suite if self.srtp.get(whose, suite) else ""

    def sounded(self, body: LegQuality) -> None:
        whose = body.offer or body.leg
        quality = Quality(
            codec=body.codec,
            mos=body.mos,
            loss=_share(body.lost, body.received + body.lost),
            jitter_ms=body.jitter_ms,
            worst_jitter_ms=body.worst_jitter_ms,
            remote_mos=body.remote_mos,
            remote_loss=_share(body.remote_lost, body.sent),
            remote_jitter_ms=body.remote_jitter_ms,
            round_trip_ms=body.round_trip_ms,
            received=body.received,
            sent=body.sent,
        )
        known = self.quality.get(whose)
        if known is None or not known.worst or 0 < quality.worst <= known.worst:
            self.quality[whose] = quality

    def quality_of(self, whose: str, since: int | None) -> Quality | None:
        """What is known of a leg that was answered, or connected, ``since``."""
        known, first = self.quality.get(whose), self.first_ms.get(whose)
        if known is None:
            return None
        first_ms = max(0, first - since) if first is not None and since is not None else None
        return dataclasses.replace(known, first_ms=first_ms, one_way=tuple(self.one_way.get(whose, ())))

    def resume(self, by: Side, now: int) -> None:
        if by in self.holders:
            self.holders.discard(by)
            if not self.holders:
                self.add_hold(now)

    def record_again(self, recording: str, now: int) -> None:
        since = self.paused_since.pop(recording, None)
        if since is not None:
            told = self.recordings[recording]
            self.recordings[recording] = dataclasses.replace(told, paused_ms=told.paused_ms + max(0, now - since))

    def add_hold(self, now: int) -> None:
        held = now - self.held_since
        if self.talking in self.legs:
            leg = self.legs[self.talking]
            self.legs[self.talking] = dataclasses.replace(leg, hold_ms=leg.hold_ms + held)
        elif self.talking in self.outside:
            other = self.outside[self.talking]
            self.outside[self.talking] = dataclasses.replace(other, hold_ms=other.hold_ms + held)

    def end_leg(self, offer: str, by: Side, now: int) -> None:
        if offer in self.leg_ended_ms:
            return
        if self.holders and offer == self.talking:
            self.add_hold(now)
            self.holders.clear()
        connected = now - self.connected_ms[offer]
        if offer in self.legs:
            leg = self.legs[offer]
            self.legs[offer] = dataclasses.replace(leg, talk_ms=connected - leg.hold_ms, ended_by=by)
        else:
            other = self.outside[offer]
            self.outside[offer] = dataclasses.replace(other, talk_ms=connected - other.hold_ms, ended_by=by)
        self.leg_ended_ms[offer] = now
        if self.talking == offer:
            self.talking = ""

    def outcome(self) -> Outcome | None:
        if self.ending is None:
            return None
        if self.legs or self.outside:
            return Outcome.HANDLED
        if self.promised and self.arrived is not None and not self.arrived.callback:
            return Outcome.CALLBACK
        if self.arrived is not None and self.arrived.callback and self.answered_ms is None:
            return Outcome.NOT_REACHED
        queued = any(visit.queue for visit in self.visits.values())
        if self.arrived is not None and self.arrived.direction is not Direction.INBOUND and not queued:
            return Outcome.LOST if self.ending.cause is EndCause.RESTART else Outcome.NOT_REACHED
        if self.answered_ms is None and self.ending.by is Side.SYSTEM:
            return Outcome.LOST if self.ending.cause is EndCause.RESTART else Outcome.REFUSED
        if self.visits:
            match list(self.visits.values())[-1].outcome:
                case VisitOutcome.REFUSED:
                    return Outcome.REFUSED
                case VisitOutcome.FLOWED_OUT:
                    return Outcome.UNSERVED
                case VisitOutcome.ABANDONED | VisitOutcome.SHORT_ABANDONED:
                    return Outcome.ABANDONED
                case _:
                    return Outcome.LOST
        if self.ending.by is Side.CALLER:
            return Outcome.LEFT_IN_MENU
        return Outcome.SELF_SERVED if self.ending.cause is EndCause.FLOW_ENDED else Outcome.LOST

    def done(self) -> Interaction:
        if self.arrived is None or self.arrived_at is None:
            raise ValueError("these facts hold no CallArrived: not a call's facts, or not all of them")
        ended_ms = self.ended_ms if self.ending is not None else self.last_ms
        visits = tuple(self.visits.values())
        legs = tuple(
            dataclasses.replace(
                leg,
                srtp=self.srtp.get(leg.offer, ""),
                quality=self.quality_of(leg.offer, self.connected_ms[leg.offer]),
                disposition=self.dispositions.get(leg.offer, ""),
                fields=tuple(self.fields.get(leg.offer, ())),
                queue=self.queue_of.get(leg.offer, ""),
            )
            for leg in self.legs.values()
        )
        outside = tuple(
            dataclasses.replace(leg, quality=self.quality_of(leg.leg, None)) for leg in self.outside.values()
        )
        busy = sum(visit.wait_ms for visit in visits) + sum(leg.talk_ms + leg.hold_ms for leg in legs)
        busy += sum(leg.talk_ms + leg.hold_ms for leg in outside)
        answered = ended_ms - self.answered_ms if self.answered_ms is not None else 0
        return Interaction(
            call_id=self.call_id,
            client=self.arrived.client,
            flow=self.arrived.flow,
            from_number=self.arrived.from_number,
            from_name=self.arrived.from_name,
            to_number=self.arrived.to_number,
            arrived_at=self.arrived_at,
            answered_at=self.answered_at,
            ended_at=self.ended_at,
            language=self.language,
            intent=self.intent,
            customer=self.customer,
            match=self.match,
            digits=tuple(self.digits),
            visits=visits,
            told=tuple(self.told.values()),
            legs=legs,
            ivr_ms=max(0, answered - busy),
            duration_ms=ended_ms - self.arrived_ms,
            outcome=self.outcome(),
            ending=self.ending,
            attributes=tuple(self.attributes.items()),
            direction=self.arrived.direction,
            dialled_by=self.arrived.agent,
            outside=outside,
            diverted_number=self.arrived.diverted_number,
            diverted_why=self.arrived.diverted_why,
            transfers=tuple(self.transfers),
            srtp=self.srtp.get("", ""),
            quality=self.quality_of("", self.answered_ms),
            callback=self.callback,
            recordings=tuple(self.recordings.values()),
            supervisions=tuple(self.supervisions.values()),
            conferences=tuple(self.conferences),
            disposition=self.dispositions.get("", ""),
            fields=tuple(self.fields.get("", ())),
            notes=tuple(self.notes.values()),
            corrections=tuple(self.corrections),
            revision=1 + len(self.corrections),
        )


def _share(part: int, whole: int) -> float:
    return round(min(1.0, part / whole), 4) if whole else 0.0


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    return value
