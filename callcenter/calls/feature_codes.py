"""Feature codes: an agent dials one from the own phone, hears in a word what came of it, and is hung up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from typing import assert_never

import structlog

from callcenter.acd.agents import AgentView
from callcenter.calls.busy_lines import BusyLines
from callcenter.calls.commands import CommandDesk
from callcenter.calls.inbound import RETRY_AFTER, take_up
from callcenter.calls.orders import (
    AnswerPreview,
    CancelEntry,
    Choose,
    Consult,
    ExtendWrapUp,
    FinishWrapUp,
    Order,
    Record,
    StartEntry,
    Supervise,
)
from callcenter.calls.party import Party
from callcenter.calls.phrases import Phrase, reason_prompt
from callcenter.calls.recorded_talk import RecordAction
from callcenter.calls.results import Result
from callcenter.calls.services import Services
from callcenter.calls.settings import CONSULTING, SUPERVISING, CodeAction, ConsultDo, FeatureCode, find_code
from callcenter.calls.sound import Sound
from callcenter.calls.supervision import Supervisions
from callcenter.media.plane import MediaError
from callcenter.model.facts import FeatureCodeDialled
from callcenter.model.states import Device, Intent, OfferResult, Side, Work
from callcenter.runtime.scopes import Background, until
from callcenter.signaling.leg import Leg

# Codes that are being answered at once; a thousand agents who all sign in within a minute need some fifty.
MOST_AT_ONCE = 200
# No confirmation is longer. It ends also what a media worker forgot to tell the end of.
LONGEST = 30.0

# An ACK that is lost, or of a phone that sends none, keeps nobody from hearing the answer.
ACK_PATIENCE = 0.5

BY = "agent's phone"

log = structlog.get_logger()


NOW: Mapping[Intent, Phrase] = {
    Intent.READY: Phrase.READY,
    Intent.NOT_READY: Phrase.NOT_READY,
    Intent.SIGNED_OUT: Phrase.SIGNED_OUT,
}
NEXT: Mapping[Intent, Phrase] = {
    Intent.READY: Phrase.READY_NEXT,
    Intent.NOT_READY: Phrase.NOT_READY_NEXT,
    Intent.SIGNED_OUT: Phrase.SIGNED_OUT_NEXT,
}
# Why the system took somebody off the floor.
FORCED: Mapping[str, Phrase] = {
    OfferResult.NO_ANSWER: Phrase.MISSED,
    OfferResult.BUSY: Phrase.MISSED,
    OfferResult.DECLINED: Phrase.MISSED,
    OfferResult.UNREACHABLE: Phrase.UNREACHED,
}
REFUSED: Mapping[Result, Phrase] = {
    Result.NOTHING_TO_WRAP_UP: Phrase.NOTHING_TO_WRAP_UP,
    Result.NEEDS_DISPOSITION: Phrase.NEEDS_DISPOSITION,
    Result.UNKNOWN_DISPOSITION: Phrase.NEEDS_DISPOSITION,
    Result.NEEDS_FIELDS: Phrase.NEEDS_DISPOSITION,
    Result.NEEDS_FOLLOW_UP: Phrase.NEEDS_DISPOSITION,
    Result.TOO_MANY_OUT: Phrase.BREAK_FULL,
    Result.ENDLESS: Phrase.NOT_EXTENDABLE,
    Result.NOT_EXTENDABLE: Phrase.NOT_EXTENDABLE,
    Result.EXTENDED_BEFORE: Phrase.EXTENDED_BEFORE,
    Result.NOT_TALKING: Phrase.NOT_RECORDED,
    Result.NOT_RECORDED: Phrase.NOT_RECORDED,
    Result.NOT_RECORDABLE: Phrase.NOT_RECORDABLE,
    Result.MUST_RECORD: Phrase.MUST_RECORD,
    Result.NO_ROOM: Phrase.NOT_RECORDED,
}
RECORDED: Mapping[RecordAction, Phrase] = {
    RecordAction.START: Phrase.RECORDED,
    RecordAction.STOP: Phrase.NOT_RECORDED,
    RecordAction.PAUSE: Phrase.RECORD_PAUSED,
    RecordAction.RESUME: Phrase.RECORDED,
}


class FeatureCodes:
    """Answers agents who dial a code. Who they are is proved before: the leg's ``user``.

    Nothing is kept of such a call but a fact. While it lasts no caller is offered to the agent: a phone with one line
    would refuse, and it would count.
    """

    def __init__(self, services: Services, desk: CommandDesk, busy: BusyLines, supervisions: Supervisions) -> None:
        self._services = services
        self._desk = desk
        self._busy = busy
        self._supervisions = supervisions
        self._closed = False
        self._dialling: set[str] = set()
        self._calls = Background(MOST_AT_ONCE)

    def __len__(self) -> int:
        return len(self._calls)

    def known(self, dialled: str) -> bool:
        """Whether a number that was dialled is a code."""
        return find_code(self._services.settings.feature_codes, dialled) is not None

    def take(self, leg: Leg) -> bool:
        """Serve ``leg`` if it dialled a code; False when it is a caller like any other."""
        found = find_code(self._services.settings.feature_codes, leg.dialled)
        if found is None:
            return False
        code, target = found
        agent = leg.user
        if not agent or agent not in self._services.dispatcher.acd.plan.agents:
            leg.reject(403)
        elif (mode := SUPERVISING.get(code.action)) is not None:
            self._supervisions.dialled(leg, agent, mode, target)
        elif agent in self._dialling:
            leg.reject(486)
        elif self._closed or not self._calls.start(self._serve(leg, agent, code, target), name=f"code of {agent}"):
            leg.reject(503, headers=(("Retry-After", str(RETRY_AFTER)),))
        return True

    def pressed(self, agent: str, keys: str) -> None:
        """An agent has pressed a code in a talk: obey, as if it had been dialled. Never waits, and says nothing."""
        found = find_code(self._services.settings.feature_codes, keys)
        if found is None or found[0].action in SUPERVISING or self._closed:
            return
        result, _ = self._obey(agent, *found)
        self._services.stream.append(FeatureCodeDialled(agent, keys, result))

    def close(self) -> None:
        """Hang up and take no more codes: the switch goes down. Never waits."""
        self._closed = True
        self._calls.cancel()

    async def _serve(self, leg: Leg, agent: str, code: FeatureCode, target: str) -> None:
        if agent in self._dialling:
            leg.reject(486)  # both came in the same moment
            return
        party = Party(Side.AGENT, leg, Sound())
        self._dialling.add(agent)
        with self._busy.taken(agent, "dials a code", "has dialled a code"):
            try:
                async with until(leg.ended), until(party.sound.trouble), asyncio.timeout(LONGEST):
                    await self._speak(party, agent, code, target)
            except TimeoutError:
                log.warning("an agent's code took too long to confirm", agent=agent, code=leg.dialled)
            except MediaError as error:
                log.warning("an agent's code was not confirmed", agent=agent, code=leg.dialled, detail=str(error))
            finally:
                self._dialling.discard(agent)
                party.close()

    async def _speak(self, party: Party, agent: str, code: FeatureCode, target: str) -> None:
        """Answer, obey, say what came of it."""
        settings = self._services.settings
        heard: list[str] = []

        def obey() -> None:
            result, words = self._obey(agent, code, target)
            heard.extend(words)
            self._services.stream.append(FeatureCodeDialled(agent, party.leg.dialled, result))

        refused = await take_up(party, self._services, self._services.ids.new(), obey)
        if refused is None:
            # A phone that has not acknowledged may not play yet, and the first word says it all.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ACK_PATIENCE):
                    await party.leg.acknowledged
            language, texts = settings.agent_languages.get(agent, ""), settings.prompts.texts
            # A reason that was chosen before a reload took it away has no words any more.
            clips = [clip for name in heard for clip in texts.get((name, language), ())]
            await party.sound.say(clips, barge_in=False)

    def _obey(self, agent: str, code: FeatureCode, target: str = "") -> tuple[str, list[str]]:
        """Do what the code says; what came of it in a word, and the prompts that tell the agent."""
        order = order_of(code, target)
        result = self._desk.obey(agent, order, by=BY) if order is not None else Result.DONE
        view = self._services.dispatcher.acd.agent(agent)
        if view is None or result is Result.NO_SUCH_AGENT:
            return str(Result.NO_SUCH_AGENT), []
        if not result.good:
            silent = isinstance(order, StartEntry | CancelEntry)  # there are no words for it: the screen tells
            return str(result), [REFUSED[result]] if result in REFUSED and not silent else []
        words = list(state_phrases(view, told_why=order is None))
        match order:
            case FinishWrapUp():
                words.insert(0, Phrase.WRAPPED_UP)
            case ExtendWrapUp():
                words = [Phrase.EXTENDED]
            case Record(action=action):
                words = [RECORDED[action]]
            case Consult() | StartEntry() | CancelEntry() | AnswerPreview():
                words = []  # what comes of it is heard in the talk
            case _:
                pass
        return str(result), words


def order_of(code: FeatureCode, target: str = "") -> Order | None:
    """What a code orders, with ``target`` behind it; None when it only asks."""
    match code.action:
        case CodeAction.READY:
            return Choose(Intent.READY)
        case CodeAction.NOT_READY:
            return Choose(Intent.NOT_READY, code.reason)
        case CodeAction.SIGN_OUT:
            return Choose(Intent.SIGNED_OUT)
        case CodeAction.WRAP_UP_DONE:
            return FinishWrapUp(code.disposition)
        case CodeAction.WRAP_UP_EXTEND:
            return ExtendWrapUp()
        case CodeAction.RECORD_START | CodeAction.RECORD_STOP | CodeAction.RECORD_PAUSE | CodeAction.RECORD_RESUME:
            return Record(RecordAction(code.action.value))
        case CodeAction.ENTRY_START:
            return StartEntry(code.entry)
        case CodeAction.ENTRY_CANCEL:
            return CancelEntry()
        case CodeAction.CALLBACK_ACCEPT | CodeAction.CALLBACK_DECLINE:
            return AnswerPreview(accepts=code.action is CodeAction.CALLBACK_ACCEPT)
        case CodeAction.STATE:
            return None
        case CodeAction.LISTEN | CodeAction.WHISPER | CodeAction.BARGE:
            return Supervise(SUPERVISING[code.action])
        case CodeAction.CONSULT:
            return Consult(ConsultDo.ASK, target)
        case CodeAction.CONSULT_SWAP | CodeAction.CONSULT_JOIN | CodeAction.CONSULT_DROP | CodeAction.CONSULT_TRANSFER:
            return Consult(CONSULTING[code.action])
        case _:
            assert_never(code.action)


def state_phrases(view: AgentView, *, told_why: bool) -> Iterator[str]:
    """How an agent stands; with ``told_why`` also what the work is, for who only asks."""
    if view.work is Work.IDLE:
        yield NOW[view.intent]
        if view.forced and view.reason in FORCED:
            yield FORCED[view.reason]
        elif view.intent is Intent.NOT_READY and not view.forced and view.reason:
            yield reason_prompt(view.reason)
    else:
        if told_why:
            yield Phrase.IN_WRAP_UP if view.work is Work.WRAP_UP else Phrase.IN_A_CALL
        yield NEXT[view.next]
        if view.next is Intent.NOT_READY and view.next_reason:
            yield reason_prompt(view.next_reason)
    if view.device is Device.UNREACHABLE:
        yield Phrase.NO_PHONE
