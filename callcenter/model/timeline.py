"""Timeline: a call as it happened, entry by entry, told from its facts; several calls of one journey as one.

Nothing is computed here that the interaction has not: durations stand beside what ended them, as the fold gives them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

from callcenter.model import states
from callcenter.model.access import Actor, Role
from callcenter.model.customer import Match
from callcenter.model.facts import (
    AgentCommanded,
    AgentLegEnded,
    AgentMediaStarted,
    AgentRang,
    AgentStateChanged,
    AgentTookOver,
    AttributeSet,
    Body,
    BranchTaken,
    CallAnswered,
    CallArrived,
    CallbackAttempted,
    CallbackChanged,
    CallbackDeclined,
    CallbackDeferred,
    CallbackEnded,
    CallbackFailed,
    CallbackRequested,
    CallCommanded,
    CallConnected,
    CallEnded,
    CallerMediaStarted,
    CallHeld,
    CallPrioritised,
    CallQueued,
    CallResumed,
    CallTransferred,
    ConferenceJoined,
    ConferenceLeft,
    CustomerFound,
    DigitsEntered,
    DispositionChosen,
    DispositionCorrected,
    DoNotCallAdded,
    EntryBegan,
    EntryEnded,
    Fact,
    FieldsWritten,
    FlowEntered,
    HoursChecked,
    IntentCaptured,
    LanguageChosen,
    LegQuality,
    MediaMissing,
    NoteWritten,
    OfferEnded,
    OfferMade,
    OneWayAudio,
    OneWayAudioEnded,
    OutsideConnected,
    OutsideLegEnded,
    PhoneChanged,
    PositionAnnounced,
    PreferenceEnded,
    QueueLeft,
    RecordingDeleted,
    RecordingEnded,
    RecordingFailed,
    RecordingHeld,
    RecordingOpened,
    RecordingPaused,
    RecordingReleased,
    RecordingResumed,
    RecordingStarted,
    RoutingRelaxed,
    ScreenPopSent,
    StateRepaired,
    SupervisionChanged,
    SupervisionEnded,
    SupervisionStarted,
    TransferFailed,
    TrunkTried,
    WaitAnnounced,
    WrapUpEnded,
    body_to_dict,
    utc,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import Direction, OfferResult, Side, VisitOutcome

# What is the house's own business, and nothing to a client company that sees its calls: whom callers were offered to
# and why, who listened, how it sounded to whom, what agents wrote.
OF_THE_HOUSE: frozenset[type[Any]] = frozenset(
    {
        AgentMediaStarted,
        AgentRang,
        CallCommanded,
        CallPrioritised,
        ConferenceJoined,
        ConferenceLeft,
        FieldsWritten,
        LegQuality,
        MediaMissing,
        NoteWritten,
        OfferEnded,
        OfferMade,
        OneWayAudio,
        OneWayAudioEnded,
        PhoneChanged,
        PreferenceEnded,
        RecordingOpened,
        RoutingRelaxed,
        ScreenPopSent,
        SupervisionChanged,
        SupervisionEnded,
        SupervisionStarted,
        TrunkTried,
    }
)
_PEOPLE = ("agent", "by", "supervisor", "target", "detail", "why", "before", "prefer", "origins")

# What happens with a call and is no part of its story: what an agent is and does stands with the agent.
LEFT_OUT: Mapping[type[Any], str] = {
    AgentStateChanged: "the agent's state has a history of its own",
    AgentCommanded: "what was commanded shows in what was done",
    StateRepaired: "a repair of ours shows in the log",
}


@dataclass(frozen=True, slots=True)
class Sight:
    """What of a call somebody may see: ``digits`` and attributes as they were entered (a masked one nobody can);
    ``supervision`` also where the agent is not shown it; what the ``house`` does, and the names of its people.
    """

    digits: bool = True
    supervision: bool = True
    house: bool = True

    @classmethod
    def of(cls, actor: Actor, interaction: Interaction) -> Sight:
        """What of this call is to be seen by somebody who may see calls of its client at all."""
        match actor.role:
            case Role.SUPERVISOR | Role.ADMIN:
                return cls()
            case Role.AGENT:
                talked = {leg.agent for leg in interaction.legs} | {interaction.dialled_by}
                return cls(digits=actor.agent != "" and actor.agent in talked, supervision=False)
            case Role.CLIENT:
                return cls(digits=False, supervision=False, house=False)


ALL = Sight()
Words: TypeAlias = str | tuple[str, Mapping[str, Any]] | None
"""What is said of a fact, with the durations that ended with it, if any did; None: nothing by this part."""
# Of what people have written so much stands in a line (characters); all of it is with the data.
MOST_SAID = 200
# What of a fact's fields means something within the switch alone.
_OF_OURS = ("explanation", "source", "sip_call_id", "path", "sha256", "key", "client", "alive_ms", "first_joined_ms")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. ``ms`` since the call arrived, as the interaction counts them; ``words`` tell it to
    people, ``data`` to programs: the fact's own fields, without what is not to be seen, and durations that ended.
    """

    seq: int
    at: datetime
    ms: int
    call: str
    kind: str
    words: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "seq": self.seq,
            "at": utc(self.at),
            "ms": self.ms,
            "call": self.call,
            "kind": self.kind,
            "words": self.words,
            "data": dict(self.data),
        }


@dataclass(frozen=True, slots=True)
class Link:
    """Another call of the same journey: ``earlier`` (whose place in line this one had), ``consulted`` (an agent asked
    somebody there), or ``callback``, named by the callback that both have to do with in place of the ``call``.
    """

    kind: str
    call: str = ""
    callback: str = ""


def timeline(facts: Sequence[Fact], sight: Sight = ALL) -> tuple[Entry, ...]:
    """The entries of one call, in the order of its facts. Raises ``ValueError`` when they are not a call's."""
    interaction = Interaction.from_facts(facts)
    clock = _Clock(facts)
    story = _Story(interaction, sight)
    entries = []
    for fact in facts:
        ms = clock.ms_of(fact)
        if type(fact.body) in LEFT_OUT:
            continue
        told = story.tell(fact, ms)
        if told is not None:
            words, data = told
            entries.append(Entry(fact.seq, fact.at, ms, interaction.call_id, kind_of(fact), words, data))
    return tuple(entries)


def journey(timelines: Iterable[Sequence[Entry]]) -> tuple[Entry, ...]:
    """The entries of several calls as one story: in the order in which everything happened, which their numbers are."""
    return tuple(sorted((entry for told in timelines for entry in told), key=lambda entry: entry.seq))


def links(facts: Sequence[Fact]) -> tuple[Link, ...]:
    """The other calls that these facts name, each once."""
    found: dict[Link, None] = {}
    for fact in facts:
        match fact.body:
            case CallArrived(callback=callback) | CallbackRequested(callback=callback) if callback:
                found[Link("callback", callback=callback)] = None
            case CallQueued(place_of=place) if place and (call := place.rpartition("/")[0]) != fact.call_id:
                found[Link("earlier", call)] = None
            case ConferenceJoined(consulted=call) if call:
                found[Link("consulted", call)] = None
            case _:
                pass
    return tuple(found)


def kind_of(fact: Fact) -> str:
    """The kind of an entry, as a word: that of the fact, in lower case with underscores."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", fact.kind).lower()


class _Clock:
    """Milliseconds since the call arrived. What a later boot tells of a call that was cut stands at the last sign of
    life of the first, as in the interaction; what people say afterwards, at the time of day.
    """

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._first = facts[0]
        self._alive = max((fact.body.alive_ms for fact in facts if isinstance(fact.body, CallEnded)), default=0)
        self._last = facts[0].ms
        self._ended = False

    def ms_of(self, fact: Fact) -> int:
        if fact.boot == self._first.boot:
            self._last = max(self._last, fact.ms)
            self._ended = self._ended or isinstance(fact.body, CallEnded)
            return fact.ms - self._first.ms
        if self._ended:
            return max(self._last - self._first.ms, round((fact.at - self._first.at).total_seconds() * 1000))
        self._last = max(self._last, self._alive)
        self._ended = isinstance(fact.body, CallEnded)
        return self._last - self._first.ms


class _Story:
    """Tells one fact after another; what it says of durations the interaction knows."""

    def __init__(self, interaction: Interaction, sight: Sight) -> None:
        self._call = interaction
        self._sight = sight
        self._visits = {visit.id: visit for visit in interaction.visits}
        self._legs = {leg.offer: leg for leg in interaction.legs}
        self._outside = {leg.leg: leg for leg in interaction.outside}
        self._hidden: set[str] = set()
        self._alone: set[str] = set()
        self._since: dict[str, int] = {}

    def tell(self, fact: Fact, ms: int) -> tuple[str, dict[str, Any]] | None:
        """The words and the data of a fact; None for what is not to be seen."""
        sight, body = self._sight, fact.body
        if not sight.house:
            if type(body) in OF_THE_HOUSE:
                return None
            body = _without_people(body)
            fact = dataclasses.replace(fact, body=body)
        data = body_to_dict(body)
        for name in (*_OF_OURS, *(() if sight.house else _PEOPLE)):
            data.pop(name, None)
        match body:
            case DigitsEntered(digits=digits, masked=masked) if not sight.digits or masked:
                data["digits"] = "*" * len(digits)
            case AttributeSet(value=value) if not sight.digits:
                data["value"] = "*" * len(value)
            case BranchTaken() if not sight.digits:
                # It may name what was entered.
                data.pop("why", None)
            case CallArrived(direction=direction) if not (sight.house or direction is Direction.INBOUND):
                data["from_number"] = data["from_name"] = ""
            case SupervisionStarted(supervision=part, agent_sees=seen) if not (sight.supervision or seen):
                self._hidden.add(part)
                return None
            case SupervisionChanged(supervision=part) | SupervisionEnded(supervision=part) if part in self._hidden:
                return None
            case _:
                pass
        words, more = self._words(fact, data, ms)
        return words, {name: value for name, value in {**data, **more}.items() if value not in ("", None, [], ())}

    def _words(self, fact: Fact, data: Mapping[str, Any], ms: int) -> tuple[str, Mapping[str, Any]]:
        """What is said of a fact, and the durations that ended with it."""
        for part in (self._begins, self._waiting, self._talking, self._beside):
            match part(fact.body, data, ms):
                case None:
                    continue
                case str(words):
                    return words, {}
                case words, more:
                    return words, more
        # A fact that is told here for the first time, by a newer part of the house.
        return spoken(kind_of(fact)), {}

    def _begins(self, body: Body, data: Mapping[str, Any], ms: int) -> Words:
        match body:
            case CallArrived():
                return self._arrived(body)
            case CallAnswered():
                return "answered: the flow begins" if self._call.direction is Direction.INBOUND else "answered"
            case CustomerFound(customer=customer, match=found, by=by):
                who = f"customer {customer}" if found is Match.SURE else "perhaps a known customer"
                return f"found by {by}: {who}"
            case LanguageChosen(language=language):
                return f"served in {language}"
            case DigitsEntered(step=step, valid=valid):
                unknown = "" if valid else ", which it does not know"
                return f"pressed {data['digits'] or 'nothing'} at {step}{unknown}"
            case AttributeSet(name=name):
                return f"noted: {name} is {data['value'] or 'empty'}"
            case HoursChecked(hours=hours, door=door, holiday=holiday):
                return f"hours {hours}: {door}" + (f" ({holiday})" if holiday else "")
            case BranchTaken(step=step, case=case, why=why):
                way = f"case {case}" if case else "otherwise"
                because = f" ({'; '.join(why)})" if why and self._sight.digits else ""
                return f"branch {step}: {way}{because}"
            case FlowEntered(flow=flow):
                return f"goes on in the flow {flow}"
            case IntentCaptured(intent=intent):
                return f"wants {intent}"
            case EntryBegan(agent=agent, entry=entry):
                return f"{agent} has the customer enter {entry}"
            case EntryEnded(entry=entry, result=result):
                return f"entry {entry}: {spoken(result)}"
            case _:
                return None

    def _waiting(self, body: Body, data: Mapping[str, Any], ms: int) -> Words:
        match body:
            case CallQueued(visit=visit, queue=queue, agent=agent, priority=priority, place_of=place):
                if agent:
                    self._alone.add(visit)
                kept = f", on {self._place(place)}" if place else ""
                return f"waits for {agent} alone{kept}" if agent else f"waits in {queue}, priority {priority}{kept}"
            case RoutingRelaxed(step=step, needs=needs, requirements=requirements, reason=reason):
                asks = needs or " and ".join(f"{skill}>={level}" for skill, level in requirements) or "nothing"
                return f"routing step {step} asks for {asks} ({spoken(reason)})"
            case PreferenceEnded(agent=agent, reason=reason):
                return f"waits for {agent} alone no more ({spoken(reason)})"
            case CallPrioritised(priority=priority, by=by):
                return f"priority {priority} from here" + (f", by {by}" if by else "")
            case CallCommanded(order=order, by=by, result=result):
                return f"{by} orders: {spoken(order)}" + (f" ({result})" if result != "done" else "")
            case DoNotCallAdded():
                return "is not to be called any more"
            case PositionAnnounced(position=position):
                return f"told: number {position} in line"
            case WaitAnnounced(low_ms=low, high_ms=high):
                return f"told: {span(low)} to {span(high)} to wait"
            case QueueLeft(visit=visit, queue=queue):
                wait = self._wait_of(visit)
                return self._left(body, queue or "the line", visit in self._alone, span(wait)), {"wait_ms": wait}
            case OfferMade(offer=offer, agent=agent, why=why):
                self._since[offer] = ms
                because = f": {'; '.join(why)}" if why else ""
                return f"offered to {agent}{because}"
            case ScreenPopSent(agent=agent, acknowledged=acknowledged, took_ms=took):
                came = f"in {took} ms" if acknowledged else "not confirmed by the broker"
                return f"screen pop for {agent} {came}"
            case AgentRang(agent=agent):
                return f"{agent}'s phone rings"
            case OfferEnded(offer=offer, agent=agent, result=result, detail=detail):
                after = ms - self._since.get(offer, ms)
                if result is OfferResult.ACCEPTED:
                    return f"{agent} picks up after {span(after)}", {"after_ms": after}
                why_not = f" ({detail})" if detail else ""
                return f"{agent}: {spoken(result)}{why_not}, after {span(after)}", {"after_ms": after}
            case CallbackRequested(queue=queue, source=source, not_before=not_before):
                who = "asks to be called back" if source == "caller" else f"to be called back ({spoken(source)})"
                return f"{who}, by {queue}" + (f", not before {not_before}" if not_before else "")
            case CallbackChanged(what=what, by=by):
                return f"callback changed by {by or 'the house'}: {', '.join(what) or 'nothing'}"
            case CallbackDeferred(until=until, reason=reason):
                return f"callback put off until {until} ({spoken(reason)})"
            case CallbackDeclined(agent=agent):
                return f"{agent} does not take the callback"
            case CallbackAttempted(attempt=attempt, agent=agent):
                return f"called back by {agent}, attempt {attempt}"
            case CallbackFailed(attempt=attempt, cause=cause):
                return f"attempt {attempt} to call back: {spoken(cause)}"
            case CallbackEnded(outcome=outcome, attempts=attempts):
                return f"callback {spoken(outcome)}, after {attempts} attempt{'' if attempts == 1 else 's'}"
            case _:
                return None

    def _talking(self, body: Body, data: Mapping[str, Any], ms: int) -> Words:
        match body:
            case CallConnected(agent=agent):
                return f"talks to {agent}"
            case AgentTookOver(agent=agent):
                return f"talks to {agent}, who took over"
            case CallHeld(by=by):
                self._since[f"hold {by}"] = ms
                return f"on hold by the {by}"
            case CallResumed(by=by):
                after = ms - self._since.pop(f"hold {by}", ms)
                return f"taken back by the {by} after {span(after)}", {"after_ms": after}
            case AgentLegEnded(offer=offer, agent=agent, by=by, cause=cause):
                leg = self._legs.get(offer)
                if leg is None:
                    return f"{agent} is gone before the talk ({spoken(cause)})"
                held = f", {span(leg.hold_ms)} of it on hold" if leg.hold_ms else ""
                talked = span(leg.talk_ms + leg.hold_ms)
                times = {"talk_ms": leg.talk_ms, "hold_ms": leg.hold_ms}
                return f"talk with {agent} over after {talked}{held}: {_ended(by, cause)}", times
            case CallTransferred(by=by, kind=kind, to=to, target=target):
                return f"{by} hands over ({kind}) to {to} {target}"
            case TransferFailed(target=target, status=status, detail=detail):
                return f"{target} does not take over: {detail or status}"
            case PhoneChanged(side=side, agent=agent):
                return f"{agent or f'the {side}'} goes on with another phone"
            case OutsideConnected(number=number):
                return f"talks to {number or 'somebody'} outside"
            case OutsideLegEnded(leg=name, by=by, cause=cause):
                outside = self._outside.get(name)
                if outside is None:
                    return f"the one outside is gone: {_ended(by, cause)}"
                times = {"talk_ms": outside.talk_ms, "hold_ms": outside.hold_ms}
                return f"talk outside over after {span(outside.talk_ms + outside.hold_ms)}: {_ended(by, cause)}", times
            case TrunkTried(trunk=trunk, result=result):
                return f"tried by trunk {trunk}: {result}"
            case SupervisionStarted(supervisor=who, agent=agent, mode=mode):
                return f"{who} takes part with {agent}: {mode}"
            case SupervisionChanged(supervisor=who, mode=mode):
                return f"{who} takes part otherwise: {mode}"
            case SupervisionEnded(supervisor=who):
                return f"{who} takes part no more"
            case ConferenceJoined(agent=agent, target=target):
                return f"{agent} joins {target}: all three hear each other"
            case ConferenceLeft(by=by):
                return f"two again: the {by} has left"
            case CallEnded(by=by, cause=cause):
                return f"over after {span(self._call.duration_ms)}: {_ended(by, cause)}", self._sums()
            case _:
                return None

    def _beside(self, body: Body, _: Mapping[str, Any], ms: int) -> Words:
        match body:
            case CallerMediaStarted(srtp=srtp):
                return f"the caller is heard{' (encrypted)' if srtp else ''}"
            case AgentMediaStarted(agent=agent, srtp=srtp):
                return f"{agent} is heard{' (encrypted)' if srtp else ''}"
            case MediaMissing(side=side, detail=detail):
                return detail or f"nothing is heard from the {side}"  # the detail says whose too
            case OneWayAudio(side=side, detail=detail):
                return detail or f"nothing is heard from the {side} any more"
            case OneWayAudioEnded(side=side, after_ms=after):
                return f"the {side} is heard again after {span(after)}"
            case LegQuality(side=side, codec=codec, agent=agent, mos=mos):
                score = f", score {mos:.1f}" if mos else ""
                return f"sound of {agent or f'the {side}'}: {codec}{score}"
            case RecordingStarted(by=by):
                return f"recorded from here ({by})"
            case RecordingPaused(by=by):
                return f"recording paused ({by})"
            case RecordingResumed(by=by):
                return f"recording goes on ({by})"
            case RecordingEnded(length_ms=length, reason=reason, octets=octets):
                kept = f"recording of {span(length)} {spoken(reason)}"
                return kept if octets else f"no recording: {spoken(reason)}"
            case RecordingFailed(reason=reason):
                return f"not recorded: {spoken(reason)}"
            case RecordingOpened(by=by):
                return f"recording opened by {by}"
            case RecordingHeld(by=by):
                return f"recording held by {by}"
            case RecordingReleased(by=by):
                return f"recording released by {by}"
            case RecordingDeleted(why=why):
                return f"recording deleted: {why}"
            case WrapUpEnded(agent=agent, offer=offer, disposition=disposition):
                leg = self._legs.get(offer)
                took = leg.wrap_up_ms if leg is not None else 0
                said = f": {disposition}" if disposition else ""
                return f"{agent} is through after {span(took)} of wrap-up{said}", {"wrap_up_ms": took}
            case DispositionChosen(agent=agent, disposition=disposition):
                return f"{agent}'s talk comes to {disposition}"
            case DispositionCorrected(agent=agent, before=before, after=after):
                if not self._sight.house:
                    return f"the talk came to {after}"
                why = f" ({body.why})" if body.why else ""
                return f"corrected by {body.by}: {agent}'s talk came to {after}, not {before or 'nothing'}{why}"
            case NoteWritten():
                return noted(body)
            case FieldsWritten():
                return filled_in(body, {})
            case _:
                return None

    def _arrived(self, body: CallArrived) -> str:
        who = body.from_number or "somebody"
        match body.direction:
            case Direction.INBOUND if body.callback:
                return f"callback for {who} comes into line"
            case Direction.INBOUND:
                by = f", sent on by {body.diverted_number}" if body.diverted_number else ""
                return f"{who} calls {body.to_number}{by}"
            case _:
                return f"{body.agent} dials {body.to_number}"

    def _place(self, place: str) -> str:
        return "the same place" if place.rpartition("/")[0] == self._call.call_id else "the place of an earlier call"

    def _left(self, body: QueueLeft, line: str, alone: bool, wait: str) -> str:
        reason = f" ({spoken(body.reason)})" if body.reason else ""
        match body.outcome, body.reason:
            case VisitOutcome.ANSWERED, _:
                return f"waited {wait} in {line}"
            case VisitOutcome.FLOWED_OUT, states.MOVED:
                return f"sent on to another queue by a supervisor, after {wait} in {line}"
            case VisitOutcome.FLOWED_OUT, states.TAKEN:
                return f"offered by a supervisor to somebody of her choice, after {wait} in {line}"
            case VisitOutcome.FLOWED_OUT, _ if alone:
                return f"not taken by whom they waited for{reason}, after {wait}"
            case outcome, _:
                return f"left {line}: {spoken(outcome)}{reason}, after {wait}"

    def _wait_of(self, visit: str) -> int:
        known = self._visits.get(visit)
        return known.wait_ms if known is not None else 0

    def _sums(self) -> dict[str, Any]:
        call = self._call
        sums = {"wait_ms": call.wait_ms, "talk_ms": call.talk_ms, "hold_ms": call.hold_ms, "ivr_ms": call.ivr_ms}
        outcome = {"outcome": call.outcome.value} if call.outcome is not None else {}
        return {"duration_ms": call.duration_ms, "sums": sums, **outcome}


def noted(body: NoteWritten, text: str | None = None) -> str:
    """That a note was written, in words, with its ``text`` in one line; None where that is not known."""
    did = "taken away" if text == "" else "corrected" if body.corrects else "written"
    said = f"note {did} by {body.by}, revision {body.revision}"
    return f"{said}: {_in_a_line(text)}" if text else said


def filled_in(body: FieldsWritten, values: Mapping[str, tuple[str | None, str | None]]) -> str:
    """That fields were filled in, or corrected, in words: ``values`` are, by their names, what they are and were."""
    told = [_now_and_before(name, *values.get(name, (None, None))) for name in body.fields]
    for name in body.cleared:
        was = values.get(name, (None, None))[1]
        told.append(f"{name} taken away" + (f", was {_in_a_line(was)}" if was else ""))
    did = "corrected" if body.corrects else "filled in"
    why = f" ({body.why})" if body.why else ""
    return f"{did} by {body.by}, of {body.agent}'s talk: {('; ' if values else ', ').join(told)}{why}"


def _now_and_before(name: str, now: str | None, before: str | None) -> str:
    if not now:
        return name
    return f"{name} is {_in_a_line(now)}" + (f", not {_in_a_line(before)}" if before else "")


def _in_a_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_SAID else line[: MOST_SAID - 1] + "…"


def lines(entries: Sequence[Entry]) -> Iterator[str]:
    """The entries for people, one a line, with the time since the first; whose call where there are several."""
    if not entries:
        return
    several = len({entry.call for entry in entries}) > 1
    names = {call: f"[{number}] " for number, call in enumerate(dict.fromkeys(e.call for e in entries), start=1)}
    began = entries[0].at
    for entry in entries:
        at = entry.ms if not several else round((entry.at - began).total_seconds() * 1000)
        yield f"{clock(at):>12}  {names[entry.call] if several else ''}{entry.words}"


def clock(ms: int) -> str:
    """Milliseconds as minutes and seconds (``1:02.500``), with hours or days before them where there are some."""
    seconds, rest = divmod(max(0, ms), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{hours}:{minutes:02d}:{seconds:02d}.{rest:03d}" if hours else f"{minutes}:{seconds:02d}.{rest:03d}"


def span(ms: int) -> str:
    """A duration in words: ``0.4 s``, ``12 s``, ``1:12``, ``1:00:05``."""
    if ms < 10_000:
        return f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def spoken(word: str) -> str:
    """A word of the facts as it is said."""
    return str(word).replace("_", " ")


def _without_people(body: Any) -> Any:
    """A fact without the names of who works for the house, and what they say."""
    hidden: dict[str, str] = {}
    for item in dataclasses.fields(body):
        value = getattr(body, item.name)
        if item.name in _PEOPLE and isinstance(value, str) and value and not isinstance(value, Enum):
            hidden[item.name] = "an agent" if item.name in ("agent", "by", "target") else ""
    return dataclasses.replace(body, **hidden) if hidden else body


def _ended(by: Side, cause: str) -> str:
    return f"{spoken(cause)} by the {by}"
