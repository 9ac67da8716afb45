"""Feature codes: an agent dials one from the own phone, hears in a word what came of it, and is hung up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import assert_never

import structlog

from callcenter.acd.agents import AgentView
from callcenter.acd.events import DeviceChanged
from callcenter.calls.commands import Choose, CommandDesk, ExtendWrapUp, FinishWrapUp, Order, Record, Result
from callcenter.calls.inbound import RETRY_AFTER, take_up
from callcenter.calls.party import Party
from callcenter.calls.phrases import Phrase, reason_prompt
from callcenter.calls.recorded_talk import RecordAction
from callcenter.calls.services import Services
from callcenter.calls.settings import CodeAction, FeatureCode
from callcenter.calls.sound import Sound
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
    Result.TOO_MANY_OUT: Phrase.BREAK_FULL,
    Result.ENDLESS: Phrase.NOT_EXTENDABLE,
    Result.NOT_EXTENDABLE: Phrase.NOT_EXTENDABLE,
    Result.EXTENDED_BEFORE: Phrase.EXTENDED_BEFORE,
    Result.NO_TALK: Phrase.NOT_RECORDED,
    Result.NOT_RECORDED: Phrase.NOT_RECORDED,
    Result.NOT_RECORDABLE: Phrase.NOT_RECORDABLE,
    Result.MUST_RECORD: Phrase.MUST_RECORD,
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

    def __init__(self, services: Services, desk: CommandDesk) -> None:
        self._services = services
        self._desk = desk
        self._closed = False
        self._dialling: set[str] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._calls = Background(MOST_AT_ONCE)

    def __len__(self) -> int:
        return len(self._calls)

    def known(self, dialled: str) -> bool:
        """Whether a number that was dialled is a code."""
        return dialled in self._services.settings.feature_codes

    def occupies(self, agent: str) -> bool:
        """Whether an agent hears the answer to a code now."""
        return agent in self._dialling

    def take(self, leg: Leg) -> bool:
        """Serve ``leg`` if it dialled a code; False when it is a caller like any other."""
        code = self._services.settings.feature_codes.get(leg.dialled)
        if code is None:
            return False
        agent = leg.user
        if not agent or agent not in self._services.dispatcher.acd.plan.agents:
            leg.reject(403)
        elif agent in self._dialling:
            leg.reject(486)
        elif self._closed or not self._calls.start(self._serve(leg, agent, code), name=f"code of {agent}"):
            leg.reject(503, headers=(("Retry-After", str(RETRY_AFTER)),))
        return True

    async def empty(self) -> None:
        """Wait until nobody hears an answer."""
        await self._empty.wait()

    def close(self) -> None:
        """Hang up and take no more codes: the switch goes down. Never waits; :meth:`empty` tells when all are gone."""
        self._closed = True
        self._calls.cancel()

    async def _serve(self, leg: Leg, agent: str, code: FeatureCode) -> None:
        if agent in self._dialling:
            leg.reject(486)  # both came in the same moment
            return
        party = Party(Side.AGENT, leg, Sound())
        with self._line_taken(agent):
            try:
                async with until(leg.ended), until(party.sound.trouble), asyncio.timeout(LONGEST):
                    await self._speak(party, agent, code)
            except TimeoutError:
                log.warning("an agent's code took too long to confirm", agent=agent, code=leg.dialled)
            except MediaError as error:
                log.warning("an agent's code was not confirmed", agent=agent, code=leg.dialled, detail=str(error))
            finally:
                party.close()

    async def _speak(self, party: Party, agent: str, code: FeatureCode) -> None:
        """Answer, obey, say what came of it."""
        settings = self._services.settings
        heard: list[str] = []

        def obey() -> None:
            result, words = self._obey(agent, code)
            heard.extend(words)
            self._services.stream.append(FeatureCodeDialled(agent, party.leg.dialled, result))

        refused = await take_up(party, self._services.plane, self._services.ids.new(), obey)
        if refused is None:
            # A phone that has not acknowledged may not play yet, and the first word says it all.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ACK_PATIENCE):
                    await party.leg.acknowledged
            language, texts = settings.agent_languages.get(agent, ""), settings.prompts.texts
            # A reason that was chosen before a reload took it away has no words any more.
            clips = [clip for name in heard for clip in texts.get((name, language), ())]
            await party.sound.say(clips, barge_in=False)

    def _obey(self, agent: str, code: FeatureCode) -> tuple[str, list[str]]:
        """Do what the code says; what came of it in a word, and the prompts that tell the agent."""
        order = order_of(code)
        result = self._desk.obey(agent, order, by=BY) if order is not None else Result.DONE
        view = self._services.dispatcher.acd.agent(agent)
        if view is None or result is Result.NO_SUCH_AGENT:
            return str(Result.NO_SUCH_AGENT), []
        if not result.good:
            return str(result), [REFUSED[result]]
        words = list(state_phrases(view, told_why=order is None))
        match order:
            case FinishWrapUp():
                words.insert(0, Phrase.WRAPPED_UP)
            case ExtendWrapUp():
                words = [Phrase.EXTENDED]
            case Record(action=action):
                words = [RECORDED[action]]
            case _:
                pass
        return str(result), words

    @contextmanager
    def _line_taken(self, agent: str) -> Iterator[None]:
        """While the block lasts, the agent's phone is busy with us."""
        dispatcher = self._services.dispatcher
        view = dispatcher.acd.agent(agent)
        self._dialling.add(agent)
        self._empty.clear()
        if view is not None and view.device is Device.REGISTERED:
            dispatcher.tell(DeviceChanged(agent, Device.BUSY_ELSEWHERE, "dials a code"))
        try:
            yield
        finally:
            self._dialling.discard(agent)
            if not self._dialling:
                self._empty.set()
            dispatcher.decide()
            view = dispatcher.acd.agent(agent)
            if view is not None and view.device is Device.BUSY_ELSEWHERE:
                device = Device.REGISTERED if self._services.phones_of(agent) else Device.UNREACHABLE
                dispatcher.tell(DeviceChanged(agent, device, "has dialled a code"))


def order_of(code: FeatureCode) -> Order | None:
    """What a code orders; None when it only asks."""
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
        case CodeAction.STATE:
            return None
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
